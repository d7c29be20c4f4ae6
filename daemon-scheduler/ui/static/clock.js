// The server's clock. All times on the page are the server's, and the browser's clock may be wrong.
const HALF_SECOND = 500; // the header Date has whole seconds

let offset = 0; // of the server's clock, in milliseconds

export function readServerTime(response) {
  const sentAt = Date.parse(response.headers.get("Date"));
  if (!Number.isNaN(sentAt)) offset = sentAt + HALF_SECOND - Date.now();
}

// now returns the server's time in milliseconds since the epoch.
export const now = () => Date.now() + offset;
