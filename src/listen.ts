/** Opens a composition's one port, and closes it so that nothing under way is cut. */
import type { House } from "./compose.ts";
import type { Config } from "./config.ts";

export interface Listener {
  readonly url: string;
  /** Stops accepting, waits for what is in flight, then closes every service. */
  stop(): Promise<void>;
}

export function listen(house: House, config: Config): Listener {
  const server = Bun.serve({
    hostname: house.hostname,
    port: house.port,
    idleTimeout: 255,
    maxRequestBodySize: Math.max(
      config.max_json_bytes,
      config.storaged.max_object_bytes,
      config.ingestd.max_body_bytes,
    ),
    fetch: house.app.fetch,
  });
  house.app.server = server;
  return {
    url: `http://${house.hostname.includes(":") ? `[${house.hostname}]` : house.hostname}:${server.port}`,
    stop: async () => {
      await server.stop();
      await house.close();
    },
  };
}
