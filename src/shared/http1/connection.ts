/** One connection to an upstream: writes requests with backpressure, reads their responses. */
import type { Socket } from "bun";
import { LakeError, messageOf } from "../errors.ts";
import { ResponseReader, type ResponseSink } from "./response.ts";

/** Where an upstream listens: its URL, and the Unix socket of the same server where it has one. */
export interface Address {
  readonly hostname: string;
  readonly port: number;
  readonly is_tls: boolean;
  readonly unix_path?: string;
}

/** Told of one exchange; `fail` is told at most once, and nothing after it or after `end`. */
export interface Exchange extends ResponseSink {
  fail(error: unknown): void;
}

/** An upstream that is down must be told in less than a second. */
const CONNECT_TIMEOUT_MS = 800;

const scratch = Buffer.allocUnsafe(16 * 1024);

export class Connection {
  #socket: Socket<Connection> | undefined;
  #exchange: Exchange | undefined;
  #unsent: Buffer | undefined;
  #writable: PromiseWithResolvers<void> | undefined;
  #is_paused = false;
  readonly #reader = new ResponseReader();
  readonly #onClose: (connection: Connection) => void;
  is_open = true;
  /** The pool's: whether no exchange is under way, and since which of its ticks. */
  is_idle = false;
  idle_since_tick = 0;
  /** How many exchanges it has carried; one that has carried some may have been closed meanwhile. */
  exchanges = 0;

  private constructor(onClose: (connection: Connection) => void) {
    this.#onClose = onClose;
  }

  /** @throws LakeError `unreachable` within 0.8 s */
  static async open(address: Address, onClose: (connection: Connection) => void): Promise<Connection> {
    const { unix_path } = address;
    if (unix_path !== undefined)
      try {
        return await Connection.#connect({ unix: unix_path }, onClose);
      } catch {
        // No server of ours behind that name, or it has gone: the URL is what counts.
      }
    const { hostname, port, is_tls } = address;
    const tls = is_tls ? { serverName: hostname } : undefined;
    return Connection.#connect({ hostname, port, tls }, onClose);
  }

  static async #connect(
    to: { unix: string } | { hostname: string; port: number; tls?: { serverName: string } },
    onClose: (connection: Connection) => void,
  ): Promise<Connection> {
    const connection = new Connection(onClose);
    const late = Promise.withResolvers<never>();
    const timer = setTimeout(() => late.reject(new Error("no connection in time")), CONNECT_TIMEOUT_MS);
    const opening: Promise<Socket<Connection>> =
      "unix" in to
        ? Bun.connect({ ...to, data: connection, socket: HANDLERS })
        : Bun.connect({ ...to, data: connection, socket: HANDLERS });
    try {
      connection.#socket = await Promise.race([opening, late.promise]);
    } catch (error) {
      opening.then((socket) => socket.terminate()).catch(() => {}); // it came too late to be used
      throw new LakeError("unreachable", "no connection could be made", {}, messageOf(error));
    } finally {
      clearTimeout(timer);
    }
    return connection;
  }

  /** Begins an exchange; the request follows by `write`. */
  begin(exchange: Exchange, is_head_request: boolean): void {
    this.#exchange = exchange;
    this.exchanges++;
    this.#reader.expect(exchange, is_head_request);
  }

  get is_answer_begun(): boolean {
    return this.#reader.is_begun;
  }

  /**
   * Writes a request's head, and its body where it is small, in one system call.
   * @returns as `write`
   */
  writeHead(head: string, body?: Uint8Array): undefined | Promise<void> {
    const length = head.length + (body?.length ?? 0);
    // One buffer for all of them: it is written or copied before this returns.
    const bytes = length <= scratch.length ? scratch : Buffer.allocUnsafe(length);
    bytes.write(head, 0, "latin1");
    if (body) bytes.set(body, head.length);
    return this.write(bytes, length);
  }

  /** @returns a promise where the peer takes no more now: wait for it before writing again */
  write(bytes: Uint8Array, length = bytes.byteLength): undefined | Promise<void> {
    if (this.#socket === undefined || !this.is_open) return undefined; // the exchange has been told
    const written = this.#unsent ? 0 : Math.max(0, this.#socket.write(bytes, 0, length));
    if (written === length) return undefined;
    const rest = Buffer.from(bytes.subarray(written, length));
    this.#unsent = this.#unsent ? Buffer.concat([this.#unsent, rest]) : rest;
    this.#writable ??= Promise.withResolvers();
    return this.#writable.promise;
  }

  /** Reads no more until `resume`, so that a slow client slows the service instead of filling memory. */
  pause(): void {
    if (this.#is_paused) return;
    this.#is_paused = true;
    this.#socket?.pause();
  }

  resume(): void {
    if (!this.#is_paused) return;
    this.#is_paused = false;
    this.#socket?.resume();
  }

  /** Closes at once; the exchange under way, if any, is told nothing more. */
  destroy(): void {
    this.#exchange = undefined;
    this.#closed();
    this.#socket?.terminate();
  }

  /** The exchange is over, and the connection may carry another. */
  rest(): void {
    this.#exchange = undefined;
    this.resume(); // the answer's last bytes may have paused it
  }

  received(bytes: Buffer): void {
    try {
      this.#reader.feed(bytes);
    } catch (error) {
      this.#fail(error);
    }
  }

  drained(): void {
    if (this.#unsent) {
      const written = Math.max(0, this.#socket?.write(this.#unsent) ?? 0);
      this.#unsent = written === this.#unsent.length ? undefined : this.#unsent.subarray(written);
    }
    if (this.#unsent) return;
    this.#writable?.resolve();
    this.#writable = undefined;
  }

  ended(error?: Error): void {
    if (!this.is_open) return;
    try {
      if (error) throw error;
      if (this.#exchange) this.#reader.close();
      this.#closed();
    } catch (failure) {
      this.#fail(failure);
    }
  }

  #fail(error: unknown): void {
    const exchange = this.#exchange;
    this.destroy();
    exchange?.fail(error);
  }

  #closed(): void {
    if (!this.is_open) return;
    this.is_open = false;
    this.#unsent = undefined;
    this.#writable?.resolve();
    this.#onClose(this);
  }
}

const HANDLERS = {
  data: (socket: Socket<Connection>, bytes: Buffer) => socket.data.received(bytes),
  drain: (socket: Socket<Connection>) => socket.data.drained(),
  end: (socket: Socket<Connection>) => socket.data.ended(),
  close: (socket: Socket<Connection>) => socket.data.ended(),
  error: (socket: Socket<Connection>, error: Error) => socket.data.ended(error),
  connectError: () => {},
};
