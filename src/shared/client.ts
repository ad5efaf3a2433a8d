/** A neighbour in another process: one way to call it, with a deadline, and its problems as our errors. */
import { fromProblem, LakeError, messageOf } from "./errors.ts";

export interface Call {
  method?: "GET" | "HEAD" | "PUT" | "POST" | "DELETE";
  /** Sent as JSON. */
  json?: unknown;
  /** Sent as it is; streams are not buffered. */
  body?: BodyInit;
  query?: Record<string, string | number | boolean | undefined>;
  headers?: Record<string, string>;
  timeout_ms?: number;
  signal?: AbortSignal;
  /** Statuses beside 2xx that the caller reads itself. */
  accept?: number[];
}

export interface HttpClient {
  /** @throws LakeError the neighbour's own, or `unreachable` / `deadline` */
  call(path: string, call?: Call): Promise<Response>;
  json<T>(path: string, call?: Call): Promise<T>;
}

export interface ClientOptions {
  readonly service: string;
  readonly base_url: string;
  readonly service_token: string;
  readonly timeout_ms: number;
}

export function createHttpClient(options: ClientOptions): HttpClient {
  async function call(path: string, call: Call = {}): Promise<Response> {
    const url = new URL(options.base_url.replace(/\/$/, "") + path);
    for (const [name, value] of Object.entries(call.query ?? {}))
      if (value !== undefined) url.searchParams.set(name, String(value));
    const deadline = AbortSignal.timeout(call.timeout_ms ?? options.timeout_ms);
    const headers: Record<string, string> = {
      authorization: `Bearer ${options.service_token}`,
      ...call.headers,
    };
    if (call.json !== undefined) headers["content-type"] = "application/json";
    let response: Response;
    try {
      response = await fetch(url, {
        method: call.method ?? "GET",
        headers,
        body: call.json === undefined ? call.body : JSON.stringify(call.json),
        redirect: "manual",
        signal: call.signal ? AbortSignal.any([call.signal, deadline]) : deadline,
      });
    } catch (error) {
      if (deadline.aborted)
        throw new LakeError("deadline", `${options.service} did not answer in time.`, {}, error);
      if (call.signal?.aborted) throw call.signal.reason;
      throw new LakeError("unreachable", `${options.service} could not be reached.`, {}, messageOf(error));
    }
    if (response.ok || call.accept?.includes(response.status)) return response;
    const problem = await response.json().catch(() => undefined);
    throw fromProblem(problem, response.status, `${options.service} answered ${response.status}.`);
  }
  return {
    call,
    json: async <T>(path: string, options?: Call) => (await (await call(path, options)).json()) as T,
  };
}
