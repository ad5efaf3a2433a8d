/**
 * The Unix socket beside a service's port: a gateway on the same machine reaches the service by it at half
 * the cost of loopback TCP. The port is in its name, so whoever holds the port owns the file.
 */
import { join, resolve } from "node:path";

/** What a socket's address holds on Linux (108) and macOS (104), with the closing zero. */
const MAX_PATH_BYTES = 103;

/** @returns undefined where data_dir lies too deep for a socket */
export function socketPath(data_dir: string, service: string, port: number): string | undefined {
  const path = join(resolve(data_dir), "run", `${service}.${port}.sock`);
  return Buffer.byteLength(path) <= MAX_PATH_BYTES ? path : undefined;
}
