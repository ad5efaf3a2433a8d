/** Passes a request on to a service in another process, and its answer back, both streamed. */
import { LakeError, messageOf } from "./errors.ts";

/** Headers of one connection (RFC 9110, 7.6.1), never passed on. */
const HOP_BY_HOP = [
  "connection",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
];

export interface ForwardOptions {
  readonly service: string;
  readonly base_url: string;
  readonly timeout_ms: number;
}

/** One upstream. `path` is what the service owns: the gateway's path without /v1, with its query. */
export function createForward({ service, base_url, timeout_ms }: ForwardOptions) {
  const base = base_url.replace(/\/$/, "");
  return async (
    request: Request,
    path: string,
    request_id: string,
    client_address: string,
  ): Promise<Response> => {
    const abort = new AbortController();
    const deadline = setTimeout(() => abort.abort("deadline"), timeout_ms);
    request.signal.addEventListener("abort", () => abort.abort("client gone"), { once: true });
    const headers = endToEnd(request.headers);
    const host = request.headers.get("host");
    headers.delete("host");
    headers.set("x-request-id", request_id);
    headers.set("x-forwarded-for", client_address);
    headers.set("x-forwarded-proto", "http");
    if (host !== null) headers.set("x-forwarded-host", host);
    try {
      const upstream = await fetch(base + path, {
        method: request.method,
        headers,
        body: request.body,
        redirect: "manual",
        decompress: false,
        signal: abort.signal,
      });
      return new Response(upstream.body, { status: upstream.status, headers: endToEnd(upstream.headers) });
    } catch (error) {
      if (abort.signal.reason === "deadline")
        throw new LakeError("deadline", `${service} did not answer within ${timeout_ms} ms.`);
      throw new LakeError("unreachable", `${service} could not be reached.`, {}, messageOf(error));
    } finally {
      clearTimeout(deadline);
    }
  };
}

function endToEnd(from: Headers): Headers {
  const headers = new Headers(from);
  for (const name of headers.get("connection")?.split(",") ?? []) headers.delete(name.trim());
  for (const name of HOP_BY_HOP) headers.delete(name);
  return headers;
}
