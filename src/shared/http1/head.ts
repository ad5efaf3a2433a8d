/** The head of a response: reads it (RFC 9112), and remembers the heads read before. */

/** What an upstream sent that is no HTTP/1.1 response. */
export class WireError extends Error {
  override readonly name = "WireError";
}

export interface Head {
  readonly status: number;
  /** Names in lower case, in order, without hop-by-hop ones and the request's id, which the edge sets. */
  readonly headers: readonly [string, string][];
  /** What Content-Length says, where it counts. */
  readonly length: number | undefined;
  readonly is_chunked: boolean;
  /** Whether the connection ends with this response. */
  readonly is_last: boolean;
  /** The headers as a Response takes them at the least cost: it copies them. Shared by all that are alike. */
  readonly template: Headers;
}

/** Headers of one connection, not of the message (RFC 9110, 7.6.1); what `Connection` lists is added. */
export const HOP_BY_HOP: ReadonlySet<string> = new Set([
  "connection",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

/** The names a `Connection` header lists, in lower case. */
export function listedNames(connection: string): string[] {
  return connection.split(",").map((name) => name.trim().toLowerCase());
}

/**
 * Services answer with the same few heads again and again, but for the request's id: to look one up costs a
 * fifth of reading it and making its headers. All are forgotten together, since Date makes each stale in a second.
 */
const known = new Map<string, Head>();
const MAX_KNOWN = 64;
const MAX_KNOWN_CHARS = 2048;
const ID_NAME = "x-request-id";
const ID_LINE = `\r\n${ID_NAME}: `;

/** @param text up to the empty line that ends the head, without it. @throws WireError where it is no head */
export function readHead(text: string): Head {
  const key = withoutId(text);
  const found = known.get(key);
  if (found) return found;
  const head = parseHead(key);
  if (key.length > MAX_KNOWN_CHARS) return head;
  if (known.size >= MAX_KNOWN) known.clear();
  known.set(key, head);
  return head;
}

function withoutId(text: string): string {
  const from = text.indexOf(ID_LINE);
  if (from < 0) return text;
  const to = text.indexOf("\r\n", from + ID_LINE.length);
  return to < 0 ? text.slice(0, from) : text.slice(0, from) + text.slice(to);
}

function parseHead(text: string): Head {
  let at = text.indexOf("\r\n");
  const status_line = at < 0 ? text : text.slice(0, at);
  const found = /^HTTP\/1\.([01]) ([1-5]\d\d)(?: |$)/.exec(status_line);
  if (!found) throw new WireError("the answer is not HTTP/1.1");
  const all: [string, string][] = [];
  let length: number | undefined;
  let is_chunked = false;
  let connection = "";
  while (at >= 0) {
    const from = at + 2;
    at = text.indexOf("\r\n", from);
    const end = at < 0 ? text.length : at;
    const colon = text.indexOf(":", from);
    if (colon <= from || colon >= end) throw new WireError("a header of the answer has no name");
    const name = text.slice(from, colon).toLowerCase();
    const value = text.slice(colon + 1, end).trim();
    if (name === "content-length") length = lengthOf(value, length);
    else if (name === "transfer-encoding") is_chunked = isChunked(value);
    else if (name === "connection") connection += `${connection && ","}${value}`;
    else if (!HOP_BY_HOP.has(name) && name !== ID_NAME) all.push([name, value]);
  }
  const listed = connection === "" ? [] : listedNames(connection);
  const headers = listed.length === 0 ? all : all.filter(([name]) => !listed.includes(name));
  return {
    status: Number(found[2]),
    headers,
    length: is_chunked ? undefined : length, // RFC 9112, 6.3: the coding overrides the length
    is_chunked,
    is_last: listed.includes("close") || (found[1] === "0" && !listed.includes("keep-alive")),
    template: new Headers(headers),
  };
}

function lengthOf(value: string, before: number | undefined): number {
  const length = /^\d{1,15}$/.test(value) ? Number(value) : undefined;
  if (length === undefined || (before !== undefined && before !== length))
    throw new WireError("the answer's Content-Length is not valid");
  return length;
}

function isChunked(value: string): boolean {
  if (value.toLowerCase() !== "chunked") throw new WireError("the answer's Transfer-Encoding is not known");
  return true;
}
