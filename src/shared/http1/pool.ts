/** The connections to one upstream: idle ones are used again, the newest first. */
import { LakeError } from "../errors.ts";
import { type Address, Connection } from "./connection.ts";

/** More are closed when their exchange is over. */
const MAX_IDLE = 256;
/** Exchanges under way with one upstream; past it the answer is 503. */
const MAX_BUSY = 8192;
/** Below the 255 s after which our own listeners close a silent connection. */
const MAX_IDLE_MS = 60_000;

export class Pool {
  readonly #address: Address;
  readonly #idle: { connection: Connection; since_ms: number }[] = [];
  #busy = 0;

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
    if (performance.now() - newest.since_ms > MAX_IDLE_MS) {
      // It is the newest, so all of them are stale.
      newest.connection.destroy();
      for (const { connection } of this.#idle.splice(0)) connection.destroy();
      return undefined;
    }
    this.#busy++;
    newest.connection.is_idle = false;
    return newest.connection;
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
    this.#idle.push({ connection, since_ms: performance.now() });
  }

  close(): void {
    for (const { connection } of this.#idle.splice(0)) connection.destroy();
  }

  #forget(connection: Connection): void {
    if (!connection.is_idle) {
      this.#busy--;
      return;
    }
    const at = this.#idle.findIndex((it) => it.connection === connection);
    if (at >= 0) this.#idle.splice(at, 1);
  }
}
