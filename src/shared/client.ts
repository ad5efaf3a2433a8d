/** A neighbour in another process: one way to call it, with a deadline, and its problems as our errors. */
import { fromProblem, LakeError, messageOf } from "./errors.ts";
import { createPulse, type Pulse } from "./pulse.ts";

/** The pace below which sending a body of known size counts as no progress. */
const MIN_BYTES_PER_MS = 10_000;

export interface Call {
  method?: "GET" | "HEAD" | "PUT" | "POST" | "DELETE";
  /** Sent as JSON. */
  json?: unknown;
  /** Sent as it is; streams are not buffered. */
  body?: BodyInit;
  query?: Record<string, string | number | boolean | undefined>;
  headers?: Record<string, string>;
  /** How long the neighbour may stay without an answer once the body is sent; `json` reads within it, too. */
  timeout_ms?: number;
  signal?: AbortSignal;
  /** Statuses beside 2xx that the caller reads itself. */
  accept?: number[];
}

export interface HttpClient {
  /**
   * Answers once the neighbour has begun to: the body is the caller's to read, for as long as it takes.
   * @throws LakeError the neighbour's own, or `unreachable`, `deadline`, `unavailable`
   */
  call(path: string, call?: Call): Promise<Response>;
  /** Reads the whole answer as JSON. @throws LakeError as `call` */
  json<T>(path: string, call?: Call): Promise<T>;
}

export interface ClientOptions {
  readonly service: string;
  readonly base_url: string;
  readonly service_token: string;
  readonly timeout_ms: number;
}

export function createHttpClient(options: ClientOptions): HttpClient {
  const { service } = options;
  const pulse = createPulse(options.base_url, options.timeout_ms);

  async function open(path: string, call: Call, deadline: Deadline): Promise<Response> {
    const url = new URL(options.base_url.replace(/\/$/, "") + path);
    for (const [name, value] of Object.entries(call.query ?? {}))
      if (value !== undefined) url.searchParams.set(name, String(value));
    const headers: Record<string, string> = {
      authorization: `Bearer ${options.service_token}`,
      ...call.headers,
    };
    if (call.json !== undefined) headers["content-type"] = "application/json";
    const response = await fetch(url, {
      method: call.method ?? "GET",
      headers,
      body: call.json === undefined ? deadline.covering(call.body) : JSON.stringify(call.json),
      redirect: "manual",
      signal: call.signal ? AbortSignal.any([call.signal, deadline.signal]) : deadline.signal,
    });
    if (response.ok || call.accept?.includes(response.status)) return response;
    throw await refusal(service, response);
  }

  /** Runs a call and what is read of it under one deadline, every failure in our words. */
  async function within<T>(call: Call, work: (deadline: Deadline) => Promise<T>): Promise<T> {
    const { timeout_ms = options.timeout_ms } = call;
    const deadline = new Deadline(timeout_ms);
    if (timeout_ms > options.timeout_ms) deadline.feel(pulse);
    try {
      return await work(deadline);
    } catch (error) {
      if (deadline.signal.aborted)
        throw new LakeError("deadline", `${service} did not answer in time.`, {}, error);
      if (error instanceof LakeError) throw error;
      if (call.signal?.aborted) throw call.signal.reason;
      throw new LakeError("unreachable", `${service} could not be reached.`, {}, messageOf(error));
    } finally {
      deadline.clear();
    }
  }

  return {
    call: (path, call = {}) => within(call, (deadline) => open(path, call, deadline)),
    json: <T>(path: string, call: Call = {}) =>
      within(call, async (deadline) => (await (await open(path, call, deadline)).json()) as T),
  };
}

/** How long nothing may move: begun anew by each chunk of a streamed body. */
class Deadline {
  readonly #abort = new AbortController();
  readonly #timeout_ms: number;
  #timer: ReturnType<typeof setTimeout>;
  #feeler: ReturnType<typeof setInterval> | undefined;

  constructor(timeout_ms: number) {
    this.#timeout_ms = timeout_ms;
    this.#timer = this.#start(timeout_ms);
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  clear(): void {
    clearTimeout(this.#timer);
    clearInterval(this.#feeler);
    this.#feeler = undefined;
  }

  /** Ends it early where the service hangs, so that work that may take hours is not waited for in vain. */
  feel(pulse: Pulse): void {
    const check = async () => {
      if (!(await pulse.beats()) && this.#feeler !== undefined) this.#abort.abort();
    };
    this.#feeler = setInterval(check, pulse.after_ms);
  }

  /** The same body; sending it is progress, not silence. */
  covering(body: BodyInit | undefined): BodyInit | undefined {
    if (body instanceof ReadableStream)
      return (body as ReadableStream<Uint8Array>).pipeThrough(
        new TransformStream<Uint8Array, Uint8Array>({
          transform: (chunk, controller) => {
            this.#begin(this.#timeout_ms);
            controller.enqueue(chunk);
          },
        }),
      );
    const bytes = body instanceof Blob ? body.size : ArrayBuffer.isView(body) ? body.byteLength : 0;
    this.#begin(this.#timeout_ms + bytes / MIN_BYTES_PER_MS);
    return body;
  }

  #begin(timeout_ms: number): void {
    clearTimeout(this.#timer);
    this.#timer = this.#start(timeout_ms);
  }

  #start(timeout_ms: number): ReturnType<typeof setTimeout> {
    return setTimeout(() => this.#abort.abort(), timeout_ms);
  }
}

/** The error an answer stands for, with what its headers say beside the problem document. */
async function refusal(service: string, response: Response): Promise<LakeError> {
  const problem = await response.json().catch(() => undefined);
  const error = fromProblem(problem, response.status, `${service} answered ${response.status}.`);
  // Our own key was refused, not the caller's, who could do nothing about it.
  if (error.code === "unauthenticated")
    return new LakeError(
      "unavailable",
      `${service} does not know this lake's service token; both must run on one data_dir.`,
    );
  const retry_after_s = Number(response.headers.get("retry-after") ?? Number.NaN);
  if (Number.isFinite(retry_after_s)) error.details.retry_after_s = retry_after_s;
  const content_range = response.headers.get("content-range");
  if (content_range !== null) error.details.content_range = content_range;
  return error;
}
