/** The connections to one upstream: idle ones are used again, the newest first. */
import { LakeError } from "../errors.ts";
import { type Address, Connection } from "./connection.ts";

/** More are closed when their exchange is over. */
const MAX_IDLE = 256;
/** Exchanges under way with one upstream; past it the answer is 503. */
const MAX_BUSY = 8192;
/** Idle connections are closed after four ticks: below the 255 s after which our own listeners close them. */
const TICK_MS = 15_000;
const MAX_IDLE_TICKS = 3;

export class Pool {
  readonly #address: Address;
  /** In the order in which they came to rest. */
  readonly #idle: Connection[] = [];
  #busy = 0;
  /** Counted while any is idle: to read the clock at each exchange costs more. */
  #tick = 0;
  #ticker: Timer | undefined;

  constructor(address: Address) {
    this.#address = address;
  }

  /** @throws LakeError `unreachable`, `unavailable` */
  async fresh(): Promise<Connection> {
    if (this.#busy >= MAX_BUSY)
      throw new LakeError("unavailable", `${MAX_BUSY} calls are under way already.`, { retry_after_s: 1 });
    this.#busy++;
    try {
      return await Connection.open(this.#address, (connection) => this.#forget(connection));
    } catch (error) {
      this.#busy--;
      throw error;
    }
  }

  /** A connection at rest, if there is one. */
  idle(): Connection | undefined {
    const newest = this.#idle.pop();
    if (newest === undefined) return undefined;
    this.#busy++;
    newest.is_idle = false;
    return newest;
  }

  /** Takes back a connection whose exchange is over. */
  release(connection: Connection): void {
    if (!connection.is_open) return;
    connection.rest();
    if (this.#idle.length >= MAX_IDLE) {
      connection.destroy();
      return;
    }
    this.#busy--;
    connection.is_idle = true;
    connection.idle_since_tick = this.#tick;
    this.#idle.push(connection);
    this.#ticker ??= setInterval(() => this.#closeStale(), TICK_MS).unref();
  }

  close(): void {
    clearInterval(this.#ticker);
    for (const connection of this.#idle.splice(0)) connection.destroy();
  }

  #closeStale(): void {
    this.#tick++;
    const first_fresh = this.#idle.findIndex((it) => this.#tick - it.idle_since_tick <= MAX_IDLE_TICKS);
    const stale = this.#idle.splice(0, first_fresh < 0 ? this.#idle.length : first_fresh);
    for (const connection of stale) connection.destroy();
    if (this.#idle.length > 0) return;
    clearInterval(this.#ticker);
    this.#ticker = undefined;
  }

  #forget(connection: Connection): void {
    if (!connection.is_idle) {
      this.#busy--;
      return;
    }
    const at = this.#idle.indexOf(connection);
    if (at >= 0) this.#idle.splice(at, 1);
  }
}
