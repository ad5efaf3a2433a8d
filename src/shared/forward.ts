/**
 * Hands a request on to a service in another process, and its answer back: both bodies as they come,
 * neither side's connection headers, no retry of anything that may have been carried out.
 *
 * It speaks HTTP/1.1 itself, over connections of its own, since fetch reaches 0.7 of nginx's pace here:
 * docs/decisions/2026-11-23-forwarding.md.
 */
import type { Server } from "bun";
import { Bag } from "./bag.ts";
import { LakeError, messageOf } from "./errors.ts";
import { IDLE_TIMEOUT_S } from "./http.ts";
import type { Address, Connection, Exchange } from "./http1/connection.ts";
import { Pool } from "./http1/pool.ts";
import { isHopByHop, listedNames, type ResponseHead } from "./http1/response.ts";

export interface ForwardOptions {
  readonly service: string;
  readonly base_url: string;
  /** The Unix socket on which the same server listens, if it does. */
  readonly unix_path?: string;
  /** How long the answer may take to begin, counted from the last byte of the request. */
  readonly timeout_ms: number;
}

/** @param path with its query, as the service knows it. @throws LakeError unreachable, deadline, unavailable */
export type Forward = (
  request: Request,
  path: string,
  request_id: string,
  server: Server<undefined>,
) => Promise<Response>;

/** Bodies up to here are passed on whole when their length is told: half the cost of a stream. */
const SMALL_BYTES = 64 * 1024;
/** How often waiting calls are looked at, for deadlines and for clients that are gone. */
const SWEEP_MS = 25;
/** What is asked of the peer again when an idle connection turns out to be closed. */
const REPEATABLE = new Set(["GET", "HEAD"]);
/** Set anew for the next hop, or handled on this one. */
const OWN = new Set([
  "host",
  "content-length",
  "expect",
  // Judged at this door; against the next hop's Host, our own docs page would be a stranger's.
  "origin",
  "x-forwarded-host",
  "x-forwarded-proto",
  "x-request-id",
]);
/** nginx's name for a client that closed before its answer; it is seen in metrics only. */
const CLIENT_GONE = 499;

export function createForward(options: ForwardOptions): { forward: Forward; close(): void } {
  const { service, timeout_ms } = options;
  const { address, authority } = locate(options);
  const pool = new Pool(address);
  const waiting = new Waiting();

  // Not async, and no stream where there is none: at small requests each promise counts.
  const forward: Forward = (request, path, request_id, server) => {
    const { head, length } = requestHead(request, path, authority, request_id, server);
    const send = (body: Body) => {
      const call = new Call(service, request, request_id, server, pool, waiting, timeout_ms);
      waiting.add(call);
      return call.run(head, body);
    };
    if (length === 0) return send(NO_BODY);
    if (length === undefined || length > SMALL_BYTES) return send(STREAMED);
    return request.bytes().then(send);
  };
  return { forward, close: () => pool.close() };
}

const NO_BODY = Symbol("no body");
const STREAMED = Symbol("streamed");
type Body = Uint8Array | typeof NO_BODY | typeof STREAMED;

/** The calls without an answer yet, looked at every few milliseconds: cheaper than a timer for each. */
class Waiting {
  readonly #calls = new Bag<Call>();
  #sweeper: Timer | undefined;

  add(call: Call): void {
    this.#calls.add(call);
    this.#sweeper ??= setInterval(() => this.#sweep(), SWEEP_MS);
  }

  remove(call: Call): void {
    this.#calls.remove(call);
  }

  #sweep(): void {
    const now_ms = performance.now();
    for (const call of this.#calls) call.look(now_ms);
    if (this.#calls.size > 0) return;
    clearInterval(this.#sweeper);
    this.#sweeper = undefined;
  }
}

/** A request on its way, until its answer has begun; then the answer's stream. */
class Call implements Exchange {
  place = -1;
  readonly #answer = Promise.withResolvers<Response>();
  #connection: Connection | undefined;
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  #head: ResponseHead | undefined;
  readonly #parts: Uint8Array[] = [];
  #sent_ms = performance.now();
  #is_sent = false;
  #is_watched = false;
  #is_over = false;
  /** Sends the request once more, where that is harmless. */
  #again: (() => void) | undefined;

  constructor(
    private readonly service: string,
    private readonly request: Request,
    private readonly request_id: string,
    private readonly server: Server<undefined>,
    private readonly pool: Pool,
    private readonly waiting: Waiting,
    private readonly timeout_ms: number,
  ) {}

  run(head: string, body: Body): Promise<Response> {
    const whole = typeof body === "symbol" ? undefined : body;
    const bytes = Buffer.allocUnsafe(head.length + (whole?.length ?? 0));
    bytes.write(head, 0, "latin1");
    if (whole) bytes.set(whole, head.length);
    const send = (connection: Connection) => {
      if (this.#is_over) return this.pool.release(connection);
      this.#connection = connection;
      connection.begin(this, this.request.method === "HEAD");
      const blocked = connection.write(bytes);
      if (body !== STREAMED) this.#is_sent = true;
      else this.#stream(connection, blocked).catch((error) => this.fail(error));
    };
    const idle = this.pool.idle();
    if (idle) {
      if (body === NO_BODY && REPEATABLE.has(this.request.method))
        this.#again = () => this.pool.fresh().then(send, (error) => this.fail(error));
      send(idle);
    } else this.pool.fresh().then(send, (error) => this.fail(error));
    return this.#answer.promise;
  }

  /** Passes the body on as it comes, no faster than the service takes it. */
  async #stream(connection: Connection, blocked: Promise<void> | undefined): Promise<void> {
    await blocked;
    const { request } = this;
    const is_chunked = !request.headers.has("content-length");
    const reader = request.body?.getReader();
    for (;;) {
      const { done, value } = (await reader?.read()) ?? { done: true };
      if (!connection.is_open || this.#is_over) {
        // Read on: a body that is left alone keeps its connection open, and a stop waiting for it.
        while (!done && !(await reader?.read())?.done);
        return;
      }
      // A body cut short must not be closed as if it were whole.
      if (request.signal.aborted) return this.#abandon();
      if (done) break;
      this.#sent_ms = performance.now();
      if (is_chunked) connection.write(Buffer.from(`${value.length.toString(16)}\r\n`));
      await connection.write(value);
      if (is_chunked) connection.write(CRLF);
    }
    if (is_chunked) connection.write(LAST_CHUNK);
    this.#sent_ms = performance.now();
    this.#is_sent = true;
  }

  head(head: ResponseHead): void {
    this.#head = head;
    // Here, since to change the headers of a finished Response costs more than to make it.
    const echoed = head.headers.find(([name]) => name === "x-request-id");
    if (echoed) echoed[1] = this.request_id;
    else head.headers.push(["x-request-id", this.request_id]);
    if (head.length !== undefined && head.length <= SMALL_BYTES) return;
    const stream = new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          this.#controller = controller;
        },
        pull: () => this.#connection?.resume(),
        cancel: () => this.#abandon(),
      },
      new ByteLengthQueuingStrategy({ highWaterMark: SMALL_BYTES }),
    );
    this.#watch();
    const is_event_stream = head.headers.some(
      ([name, value]) => name === "content-type" && value.startsWith("text/event-stream"),
    );
    // An event stream may be silent for as long as it likes.
    if (!is_event_stream) this.server.timeout(this.request, IDLE_TIMEOUT_S);
    this.#settle(new Response(stream, { status: head.status, headers: head.headers }));
  }

  body(bytes: Uint8Array): void {
    if (!this.#controller) {
      this.#parts.push(bytes);
      return;
    }
    this.#controller.enqueue(bytes);
    if ((this.#controller.desiredSize ?? 0) <= 0) this.#connection?.pause();
  }

  end(is_reusable: boolean): void {
    const connection = this.#connection;
    this.#is_over = true;
    if (connection)
      if (is_reusable && this.#is_sent) this.pool.release(connection);
      else connection.destroy();
    if (this.#controller) {
      this.#controller.close();
      return;
    }
    const { status = 0, headers = [] } = this.#head ?? {};
    // Answered before all was sent: the client may stop sending, and its connection must not wait for more.
    if (!this.#is_sent) headers.push(["connection", "close"]);
    const body = this.#parts.length <= 1 ? this.#parts[0] : Buffer.concat(this.#parts);
    this.#settle(new Response((body as Uint8Array<ArrayBuffer> | undefined) ?? null, { status, headers }));
  }

  fail(error: unknown): void {
    if (this.#is_over) return;
    const again = this.#again;
    this.#again = undefined;
    if (again && this.#connection && !this.#connection.is_answer_begun) {
      this.#connection = undefined;
      again();
      return;
    }
    this.#is_over = true;
    this.#connection?.destroy();
    // The client must see that the answer is cut: an error of the stream resets its connection.
    if (this.#controller) this.#controller.error(error);
    else this.#settle(undefined, this.#problem(error));
  }

  /** Ends the call where its client has gone or its time is over. */
  look(now_ms: number): void {
    if (!this.#is_watched && now_ms - this.#sent_ms > SWEEP_MS) this.#watch();
    if (now_ms - this.#sent_ms > this.timeout_ms && !this.#is_over)
      this.fail(new LakeError("deadline", `${this.service} did not answer within ${this.timeout_ms} ms.`));
  }

  /** Not from the start: to ask for the signal costs as much as the rest of a small call. */
  #watch(): void {
    if (this.#is_watched) return;
    this.#is_watched = true;
    this.server.timeout(this.request, 0); // the deadline here is what ends it
    const { signal } = this.request;
    if (signal.aborted) this.#abandon();
    else signal.addEventListener("abort", () => this.#abandon(), { once: true });
  }

  #abandon(): void {
    if (this.#is_over) return;
    this.#is_over = true;
    this.#connection?.destroy();
    if (!this.#controller) this.#settle(new Response(null, { status: CLIENT_GONE }));
  }

  #settle(response: Response | undefined, problem?: LakeError): void {
    this.waiting.remove(this);
    if (response) this.#answer.resolve(response);
    else this.#answer.reject(problem);
  }

  #problem(error: unknown): LakeError {
    if (!(error instanceof LakeError))
      return new LakeError("unreachable", `${this.service} gave no whole answer.`, {}, messageOf(error));
    if (error.code === "deadline") return error;
    const what = error.code === "unreachable" ? "could not be reached" : "takes no more calls now";
    return new LakeError(error.code, `${this.service} ${what}.`, error.details, error.cause);
  }
}

const CRLF = Buffer.from("\r\n");
const LAST_CHUNK = Buffer.from("0\r\n\r\n");

function locate({ base_url, unix_path }: ForwardOptions): { address: Address; authority: string } {
  const url = new URL(base_url);
  const is_tls = url.protocol === "https:";
  const port = url.port === "" ? (is_tls ? 443 : 80) : Number(url.port);
  return {
    address: { hostname: url.hostname.replace(/^\[|\]$/g, ""), port, is_tls, unix_path },
    authority: url.host,
  };
}

/** @returns the request's head, and its body's length: 0 without one, undefined where it is not told */
function requestHead(
  request: Request,
  path: string,
  authority: string,
  request_id: string,
  server: Server<undefined>,
): { head: string; length: number | undefined } {
  const headers = request.headers.toJSON() as Record<string, string>;
  const listed = headers.connection === undefined ? undefined : listedNames(headers.connection);
  const forwarded_for = headers["x-forwarded-for"];
  const peer = server.requestIP(request)?.address ?? "unknown";
  let head = `${request.method} ${path} HTTP/1.1\r\nhost: ${authority}\r\n`;
  for (const name in headers) {
    if (isHopByHop(name) || OWN.has(name) || name === "x-forwarded-for" || listed?.includes(name)) continue;
    head += `${name}: ${headers[name]}\r\n`;
  }
  head += `x-forwarded-for: ${forwarded_for === undefined ? peer : `${forwarded_for}, ${peer}`}\r\n`;
  head += `x-forwarded-proto: http\r\nx-forwarded-host: ${headers.host ?? ""}\r\nx-request-id: ${request_id}\r\n`;
  const declared = headers["content-length"];
  if (declared !== undefined)
    return { head: `${head}content-length: ${declared}\r\n\r\n`, length: +declared };
  if (headers["transfer-encoding"] === undefined) return { head: `${head}\r\n`, length: 0 };
  return { head: `${head}transfer-encoding: chunked\r\n\r\n`, length: undefined };
}
