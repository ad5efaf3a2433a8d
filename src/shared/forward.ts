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
import { HOP_BY_HOP, listedNames } from "./http1/head.ts";
import { Pool } from "./http1/pool.ts";
import type { ResponseHead } from "./http1/response.ts";

export interface ForwardOptions {
  readonly service: string;
  readonly base_url: string;
  /** The Unix socket on which the same server listens, if it does. */
  readonly unix_path?: string;
  /** How long the answer may take to begin, counted from the last byte of the request. */
  readonly timeout_ms: number;
  /** The address of every client, where the listener can be reached from one only. */
  readonly peer?: string;
}

/** A request to hand on. What becomes of it is told to it, since one more promise a request would cost. */
export interface Forwarded {
  readonly request: Request;
  /** The request's headers, names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly request_id: string;
  readonly server: Server<undefined>;
  readonly started_ms: number;
  /** @returns the answer, ready for the client */
  finish(response: Response): Response;
  /** @param error LakeError unreachable, deadline, unavailable; or what reading the request's body threw */
  refuse(error: unknown): Response;
}

/** @param path with its query, as the service knows it. @returns the finished answer; it never rejects */
export type Forward = (asked: Forwarded, path: string) => Promise<Response>;

/** Bodies up to here are passed on whole when their length is told: half the cost of a stream. */
const SMALL_BYTES = 64 * 1024;
/** How often waiting calls are looked at, for deadlines and for clients that are gone. */
const SWEEP_MS = 25;
/** What is asked of the peer again when an idle connection turns out to be closed. */
const REPEATABLE = new Set(["GET", "HEAD"]);
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
/** nginx's name for a client that closed before its answer; it is seen in metrics only. */
const CLIENT_GONE = 499;

export function createForward(options: ForwardOptions): { forward: Forward; close(): void } {
  const { address, authority } = locate(options);
  const upstream: Upstream = { ...options, pool: new Pool(address), waiting: new Waiting() };

  // Not async, and no stream where there is none: at small requests each promise counts.
  const forward: Forward = (asked, path) => {
    const { head, length } = requestHead(asked, path, authority, options.peer);
    const call = new Call(upstream, asked, head);
    if (length === 0) call.run(NO_BODY);
    else if (length === undefined || length > SMALL_BYTES) call.run(STREAMED);
    else
      asked.request.bytes().then(
        (body) => call.run(body),
        (error) => call.refuse(error),
      );
    return call.answer;
  };
  return { forward, close: () => upstream.pool.close() };
}

interface Upstream {
  readonly service: string;
  readonly timeout_ms: number;
  readonly pool: Pool;
  readonly waiting: Waiting;
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
  readonly answer: Promise<Response>;
  #resolve!: (response: Response) => void;
  readonly #upstream: Upstream;
  readonly #asked: Forwarded;
  readonly #request_head: string;
  #body: Body = NO_BODY;
  #connection: Connection | undefined = undefined;
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined = undefined;
  #head: ResponseHead | undefined = undefined;
  /** The answer's small body: mostly one piece. */
  #part: Uint8Array | undefined = undefined;
  #sent_ms: number;
  #is_sent = false;
  #is_watched = false;
  #is_over = false;
  /** Whether the request may be sent once more, since that is harmless. */
  #is_repeatable = false;

  constructor(upstream: Upstream, asked: Forwarded, request_head: string) {
    this.#upstream = upstream;
    this.#asked = asked;
    this.#request_head = request_head;
    this.#sent_ms = asked.started_ms;
    this.answer = new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  run(body: Body): void {
    this.#body = body;
    this.#upstream.waiting.add(this);
    const idle = this.#upstream.pool.idle();
    if (!idle) {
      this.#open();
      return;
    }
    this.#is_repeatable = body === NO_BODY && REPEATABLE.has(this.#asked.request.method);
    this.#send(idle);
  }

  /** Ends the call before it was sent. */
  refuse(error: unknown): void {
    this.#is_over = true;
    this.#done(this.#asked.refuse(error));
  }

  #open(): void {
    this.#upstream.pool.fresh().then(
      (connection) => this.#send(connection),
      (error) => this.fail(error),
    );
  }

  #send(connection: Connection): void {
    if (this.#is_over) {
      this.#upstream.pool.release(connection);
      return;
    }
    const body = this.#body;
    if (body !== NO_BODY) this.#sent_ms = performance.now();
    this.#connection = connection;
    connection.begin(this, this.#asked.request.method === "HEAD");
    const blocked = connection.writeHead(this.#request_head, typeof body === "symbol" ? undefined : body);
    if (body !== STREAMED) this.#is_sent = true;
    else this.#stream(connection, blocked).catch((error) => this.fail(error));
  }

  /** Passes the body on as it comes, no faster than the service takes it. */
  async #stream(connection: Connection, blocked: Promise<void> | undefined): Promise<void> {
    await blocked;
    const { request } = this.#asked;
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
    if (!is_event_stream) this.#asked.server.timeout(this.#asked.request, IDLE_TIMEOUT_S);
    this.#settle(stream, head);
  }

  body(bytes: Uint8Array): void {
    if (!this.#controller) {
      this.#part = this.#part ? Buffer.concat([this.#part, bytes]) : bytes;
      return;
    }
    this.#controller.enqueue(bytes);
    if ((this.#controller.desiredSize ?? 0) <= 0) this.#connection?.pause();
  }

  end(is_reusable: boolean): void {
    const connection = this.#connection;
    this.#is_over = true;
    if (connection)
      if (is_reusable && this.#is_sent) this.#upstream.pool.release(connection);
      else connection.destroy();
    if (this.#controller) this.#controller.close();
    else if (this.#head) this.#settle(this.#part ?? null, this.#head);
  }

  fail(error: unknown): void {
    if (this.#is_over) return;
    if (this.#is_repeatable && this.#connection && !this.#connection.is_answer_begun) {
      this.#is_repeatable = false;
      this.#connection = undefined;
      this.#open();
      return;
    }
    this.#is_over = true;
    this.#connection?.destroy();
    // The client must see that the answer is cut: an error of the stream resets its connection.
    if (this.#controller) this.#controller.error(error);
    else this.#done(this.#asked.refuse(this.#problem(error)));
  }

  /** Ends the call where its client has gone or its time is over. */
  look(now_ms: number): void {
    if (!this.#is_watched && now_ms - this.#sent_ms > SWEEP_MS) this.#watch();
    const { service, timeout_ms } = this.#upstream;
    if (now_ms - this.#sent_ms > timeout_ms && !this.#is_over)
      this.fail(new LakeError("deadline", `${service} did not answer within ${timeout_ms} ms.`));
  }

  /** Not from the start: to ask for the signal costs as much as the rest of a small call. */
  #watch(): void {
    if (this.#is_watched) return;
    this.#is_watched = true;
    const { server, request } = this.#asked;
    server.timeout(request, 0); // the deadline here is what ends it
    const { signal } = request;
    if (signal.aborted) this.#abandon();
    else signal.addEventListener("abort", () => this.#abandon(), { once: true });
  }

  #abandon(): void {
    if (this.#is_over) return;
    this.#is_over = true;
    this.#connection?.destroy();
    if (!this.#controller) this.#done(this.#asked.finish(new Response(null, { status: CLIENT_GONE })));
  }

  #settle(body: ReadableStream<Uint8Array> | Uint8Array | null, { status, template }: ResponseHead): void {
    // Here, since to change the headers of a finished Response costs more than to make it.
    template.set("x-request-id", this.#asked.request_id);
    let headers = template;
    if (!this.#is_sent) {
      // Answered before all was sent: the client may stop sending, and its connection must not wait for more.
      headers = new Headers(template);
      if (!this.#controller) headers.set("connection", "close");
    }
    const response = new Response(body as Uint8Array<ArrayBuffer> | null, { status, headers });
    this.#done(this.#asked.finish(response));
  }

  #done(response: Response): void {
    this.#upstream.waiting.remove(this);
    this.#resolve(response);
  }

  #problem(error: unknown): LakeError {
    const { service } = this.#upstream;
    if (!(error instanceof LakeError))
      return new LakeError("unreachable", `${service} gave no whole answer.`, {}, messageOf(error));
    if (error.code === "deadline") return error;
    const what = error.code === "unreachable" ? "could not be reached" : "takes no more calls now";
    return new LakeError(error.code, `${service} ${what}.`, error.details, error.cause);
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
  { request, headers, request_id, server }: Forwarded,
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
