/** A gateway before an upstream that a test holds in its hand: what it gets byte for byte, and what it answers. */
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { compose } from "../../src/compose.ts";
import { parseConfig } from "../../src/config.ts";
import { listen } from "../../src/listen.ts";
import { createLog } from "../../src/shared/log.ts";

export interface Fronted {
  readonly url: string;
  stop(): Promise<void>;
}

/** A gateway that forwards /v1/observer to `upstream_url`. */
export async function gatewayBefore(
  upstream_url: string,
  env: Record<string, string> = {},
): Promise<Fronted> {
  const data_dir = mkdtempSync(join(tmpdir(), "lakehouse-"));
  const config = parseConfig("", {
    LAKEHOUSE_LOG_LEVEL: "silent",
    LAKEHOUSE_DATA_DIR: data_dir,
    LAKEHOUSE_GATEWAY_BIND: "127.0.0.1:0",
    LAKEHOUSE_GATEWAY_OBSERVERD_URL: upstream_url,
    LAKEHOUSE_GATEWAY_WITNESS: "false",
    ...env,
  });
  const listener = listen(await compose(config, "gateway", createLog("silent")), config);
  return {
    url: listener.url,
    stop: async () => {
      await listener.stop();
      rmSync(data_dir, { recursive: true, force: true });
    },
  };
}

export interface RawUpstream {
  readonly url: string;
  /** What each connection has sent, in order of connection. */
  readonly received: string[];
  readonly closed: number;
  stop(): Promise<void>;
}

/** @param answer called for each chunk that arrives, with all that the connection has sent and its number */
export async function rawUpstream(
  answer: (socket: Socket, text: string, connection: number) => void,
): Promise<RawUpstream> {
  const received: string[] = [];
  const sockets = new Set<Socket>();
  const state = { closed: 0 };
  const server: Server = createServer((socket) => {
    const at = received.push("") - 1;
    sockets.add(socket);
    socket.on("data", (chunk) => {
      received[at] += chunk.toString("latin1");
      answer(socket, received[at] as string, at);
    });
    socket.on("error", () => {}); // a reset is what some tests are about
    socket.on("close", () => {
      sockets.delete(socket);
      state.closed++;
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  return {
    url: `http://127.0.0.1:${port}`,
    received,
    get closed() {
      return state.closed;
    },
    stop: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Waits until a condition holds. @throws Error after five seconds */
export async function until(holds: () => boolean, what: string): Promise<void> {
  for (let tries = 0; tries < 500; tries++) {
    if (holds()) return;
    await Bun.sleep(10);
  }
  throw new Error(`never came about: ${what}`);
}
