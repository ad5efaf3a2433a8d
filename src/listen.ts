/** Opens a composition's one port, and closes it so that nothing under way is cut. */
import { mkdirSync, rmSync } from "node:fs";
import { dirname } from "node:path";
import type { Server } from "bun";
import type { House } from "./compose.ts";
import { type Config, ConfigError } from "./config.ts";
import { IDLE_TIMEOUT_S } from "./shared/http.ts";
import type { Log } from "./shared/log.ts";
import { socketPath } from "./shared/socket_path.ts";

export interface Listener {
  readonly url: string;
  /** Stops accepting, waits for what is in flight, then closes every service. */
  stop(): Promise<void>;
  /** What has no answer yet, as `GET /v1/sql 1200 ms`. */
  underWay(): string[];
}

/** A stopping listener goes on answering until no request has come for so long: a busy client's pause is shorter … */
const QUIET_MS = 200;
/** … but no longer than this. */
const LINGER_MS = 2000;
const LOOK_MS = 5;

/** @throws ConfigError where the address is taken or is not of this machine */
export function listen(house: House, config: Config, log?: Log): Listener {
  const { edge, hostname, target } = house;
  const options = {
    fetch: edge.fetch,
    error: edge.error,
    development: false,
    // The edge answers what is too large with a problem; Bun would answer with an empty body.
    maxRequestBodySize: Number.MAX_SAFE_INTEGER,
  } as const;
  // Bun's types know none of a Unix socket; Bun itself does, and cuts what waits for 10 s where none is given.
  const patience: object = { idleTimeout: IDLE_TIMEOUT_S };
  const server = open(house);
  const port = server.port as number;
  const path =
    target === "all" || target === "gateway" ? undefined : socketPath(config.data_dir, target, port);
  const beside = path === undefined ? undefined : openBeside(path);
  house.app.server = server as never;

  function open({ port }: House): Server<undefined> {
    try {
      return Bun.serve({ ...options, hostname, port, idleTimeout: IDLE_TIMEOUT_S, reusePort: false });
    } catch (error) {
      const setting = target === "all" ? "gateway.bind" : `${target}.bind`;
      throw new ConfigError(`${setting} can't be opened: ${why(error, hostname, port)}`);
    }
  }

  function openBeside(path: string): Server<undefined> | undefined {
    try {
      mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
      rmSync(path, { force: true }); // of a process that held this port before
      return Bun.serve({ ...options, unix: path, ...patience });
    } catch (error) {
      // It is reached by its port, then.
      log?.warn({ path, reason: (error as Error).message }, "no Unix socket beside the port");
      return undefined;
    }
  }

  return {
    url: `http://${hostname.includes(":") ? `[${hostname}]` : hostname}:${port}`,
    underWay: () => edge.underWay(),
    stop: async () => {
      await linger(edge, Math.min(LINGER_MS, config.drain_ms / 2));
      await Promise.all([server.stop(), beside?.stop()]);
      if (path !== undefined) rmSync(path, { force: true });
      await house.close();
    },
  };
}

/**
 * Bun's stop closes every connection at rest, also one on which a request is just arriving. So answers
 * first tell their clients to close, until no more requests come.
 */
async function linger(edge: House["edge"], at_most_ms: number): Promise<void> {
  edge.drain();
  const until_ms = performance.now() + at_most_ms;
  while (edge.quiet_ms < QUIET_MS && performance.now() < until_ms) await Bun.sleep(LOOK_MS);
}

function why(error: unknown, hostname: string, port: number): string {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === "EADDRINUSE") return `${hostname}:${port} is in use by another program`;
  if (code === "EADDRNOTAVAIL") return `${hostname} is no address of this machine`;
  if (code === "EACCES") return `port ${port} needs privileges that this process lacks`;
  return message;
}
