// The commands of the command-line client that do what the page's actions do.
const DEFAULT_ENDPOINT = "http://127.0.0.1:2000"; // of the client

// commandLine returns a command that can be pasted into a shell. It skips words that are "".
export function commandLine(...words) {
  const endpoint = new URL(".", location.href).href.replace(/\/$/, "");
  if (endpoint !== DEFAULT_ENDPOINT) words.push("--endpoint", endpoint);
  return ["blox", ...words.filter((word) => word !== "").map((word) => quote(String(word)))].join(" ");
}

function quote(word) {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`;
}
