/** One request handed on to a service: written when its turn comes, watched, its answer passed back. */
import type { Server } from "bun";
import { Bag } from "./bag.ts";
import { LakeError, messageOf } from "./errors.ts";
import { IDLE_TIMEOUT_S } from "./http.ts";
import type { Connection, Exchange } from "./http1/connection.ts";
import type { Pool } from "./http1/pool.ts";
import type { ResponseHead } from "./http1/response.ts";
import type { Pulse } from "./pulse.ts";

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

/** Bodies up to here are passed on whole when their length is told: half the cost of a stream. */
export const SMALL_BYTES = 64 * 1024;
/** How often waiting calls are looked at, for deadlines and for clients that are gone. */
const SWEEP_MS = 25;
/** What is asked of the peer again when an idle connection turns out to be closed. */
const REPEATABLE = new Set(["GET", "HEAD"]);
/** nginx's name for a client that closed before its answer; it is seen in metrics only. */
const CLIENT_GONE = 499;

/** A service, and what its calls share. */
export interface Upstream {
  readonly service: string;
  readonly timeout_ms: number;
  /** Where calls may take far longer than a service may be silent. */
  readonly pulse?: Pulse;
  readonly pool: Pool;
  readonly waiting: Waiting;
  readonly outbox: Outbox;
}

export const NO_BODY = Symbol("no body");
export const STREAMED = Symbol("streamed");
export type Body = Uint8Array | typeof NO_BODY | typeof STREAMED;

/** The calls without an answer yet, looked at every few milliseconds: cheaper than a timer for each. */
export class Waiting {
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

/**
 * The calls to be written once all that arrived with them has been read: written one by one between reads, each
 * finds the service asleep again, and waking it costs both sides more than the write.
 */
export class Outbox {
  #calls: Call[] = [];
  readonly #flush = () => {
    const calls = this.#calls;
    this.#calls = [];
    for (const call of calls) call.write();
  };

  add(call: Call): void {
    if (this.#calls.push(call) === 1) setImmediate(this.#flush);
  }
}

/** A request on its way, until its answer has begun; then the answer's stream. */
export class Call implements Exchange {
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
  /** When the service was last asked for a sign of life. */
  #pulse_ms = 0;
  #is_unwritten = false;
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
    if (this.#body !== NO_BODY) this.#sent_ms = performance.now();
    this.#connection = connection;
    // From here on it is told where the connection closes.
    connection.begin(this, this.#asked.request.method === "HEAD");
    this.#is_unwritten = true;
    this.#upstream.outbox.add(this);
  }

  /** Writes what has been handed a connection. */
  write(): void {
    const connection = this.#connection;
    if (!this.#is_unwritten || this.#is_over || !connection) return;
    this.#is_unwritten = false;
    const body = this.#body;
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
    const { service, timeout_ms, pulse } = this.#upstream;
    if (now_ms - this.#sent_ms > timeout_ms && !this.#is_over)
      this.fail(new LakeError("deadline", `${service} did not answer within ${timeout_ms} ms.`));
    else if (pulse && now_ms - Math.max(this.#sent_ms, this.#pulse_ms) > pulse.after_ms) {
      this.#pulse_ms = now_ms;
      this.#feel(pulse);
    }
  }

  /** A service that hangs is not waited for as long as its longest work may take. */
  async #feel(pulse: Pulse): Promise<void> {
    if ((await pulse.beats()) || this.#head || this.#is_over) return;
    this.#is_repeatable = false;
    const { service } = this.#upstream;
    const silent_ms = 2 * pulse.after_ms;
    this.fail(new LakeError("deadline", `${service} gave no sign of life for ${silent_ms} ms: it hangs.`));
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
