"use strict";

// Every URL is relative to the page, so that it works below whatever path a proxy puts before it.
(async () => {
  const place = document.getElementById("api");
  try {
    const base = new URL("v1", location.href);
    const answer = await fetch("v1/swagger.json");
    if (!answer.ok) throw new Error(`v1/swagger.json: ${answer.status}`);
    const spec = await answer.json();
    document.title = spec.info.title;
    Object.assign(spec, { host: base.host, basePath: base.pathname, schemes: [base.protocol.replace(":", "")] });
    SwaggerUIBundle({
      spec,
      domNode: place,
      validatorUrl: null, // else a host elsewhere would be asked whether the description is valid
      deepLinking: true,
      displayRequestDuration: true,
      requestInterceptor: authorize,
      plugins: [{ statePlugins: { spec: { wrapSelectors: { allowTryItOutFor } } } }],
    });
  } catch (error) {
    place.textContent = `The API's description cannot be shown: ${error.message}`;
  }
})();

// authorize adds the token of the field. Only the field stores it, so it is gone when the page is closed or reloaded.
function authorize(request) {
  const token = document.getElementById("token").value.trim();
  if (token && new URL(request.url, location.href).origin === location.origin) {
    request.headers.Authorization = "Bearer " + token;
  }
  return request;
}

// A stream has no end that the page could wait for.
function allowTryItOutFor(allowed) {
  return (state, path, method) => !path.startsWith("/stream/") && allowed(state, path, method);
}
