/** The head of a request as it goes on to a service (RFC 9110, 7.6). */
import type { Server } from "bun";
import { HOP_BY_HOP, listedNames } from "./head.ts";

interface Asked {
  readonly request: Request;
  readonly headers: Readonly<Record<string, string>>;
  readonly request_id: string;
  readonly server: Server<undefined>;
}

/** Headers that are not passed on as they came: this hop's, set anew for the next, or handled here. */
const OWN = new Set([
  ...HOP_BY_HOP,
  "host",
  "content-length",
  "expect",
  // Judged at this door; against the next hop's Host, our own docs page would be a stranger's.
  "origin",
  "x-forwarded-for",
  "x-forwarded-host",
  "x-forwarded-proto",
  "x-request-id",
]);
/** @returns the request's head, and its body's length: 0 without one, undefined where it is not told */
export function requestHead(
  { request, headers, request_id, server }: Asked,
  path: string,
  authority: string,
  only_peer: string | undefined,
): { head: string; length: number | undefined } {
  const listed = headers.connection === undefined ? undefined : listedNames(headers.connection);
  const before = headers["x-forwarded-for"];
  // A system call, so not where there is but one answer.
  const peer = only_peer ?? server.requestIP(request)?.address ?? "unknown";
  let head = `${request.method} ${path} HTTP/1.1\r\nhost: ${authority}\r\n`;
  for (const name in headers)
    if (!OWN.has(name) && !listed?.includes(name)) head += `${name}: ${headers[name]}\r\n`;
  head += `x-forwarded-for: ${before === undefined ? peer : `${before}, ${peer}`}\r\nx-forwarded-proto: http\r\nx-forwarded-host: ${headers.host ?? ""}\r\nx-request-id: ${request_id}\r\n`;
  const declared = headers["content-length"];
  if (declared !== undefined)
    return { head: `${head}content-length: ${declared}\r\n\r\n`, length: +declared };
  if (headers["transfer-encoding"] === undefined) return { head: `${head}\r\n`, length: 0 };
  return { head: `${head}transfer-encoding: chunked\r\n\r\n`, length: undefined };
}
