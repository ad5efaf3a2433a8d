/** Both compositions, started in this process on free ports, so that a flow is tested either way. */
import { afterAll, describe } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { compose } from "../../src/compose.ts";
import { parseConfig } from "../../src/config.ts";
import { type Listener, listen } from "../../src/listen.ts";
import { serviceNames, type Target } from "../../src/services/index.ts";
import { createLog } from "../../src/shared/log.ts";

export type Composition = "mounted" | "forwarded";
export const compositions: readonly Composition[] = ["mounted", "forwarded"];

export interface RunningHouse {
  readonly composition: Composition;
  /** The gateway's address. */
  readonly url: string;
  /** Each service's own address; empty when mounted. */
  readonly service_urls: Readonly<Record<string, string>>;
  readonly data_dir: string;
  /** Stops what was started and keeps data_dir, so that a start on it again is a restart. */
  stop(): Promise<void>;
}

/** @param env settings as the environment gives them, beside the free ports chosen here */
export async function startHouse(
  composition: Composition,
  env: Record<string, string> = {},
  data_dir = mkdtempSync(join(tmpdir(), "lakehouse-")),
): Promise<RunningHouse> {
  const listeners: Listener[] = [];
  const service_urls: Record<string, string> = {};
  const start = async (target: Target) => {
    const settings: Record<string, string> = {
      LAKEHOUSE_LOG_LEVEL: "silent",
      LAKEHOUSE_DATA_DIR: data_dir,
      ...env,
    };
    settings[`LAKEHOUSE_${(target === "all" ? "gateway" : target).toUpperCase()}_BIND`] = "127.0.0.1:0";
    for (const [name, url] of Object.entries(service_urls))
      settings[`LAKEHOUSE_GATEWAY_${name.toUpperCase()}_URL`] = url;
    const config = parseConfig("", settings);
    const listener = listen(await compose(config, target, createLog(config.log_level)), config);
    listeners.push(listener);
    return listener.url;
  };
  if (composition === "forwarded") for (const name of serviceNames) service_urls[name] = await start(name);
  const url = await start(composition === "forwarded" ? "gateway" : "all");
  return {
    composition,
    url,
    service_urls,
    data_dir,
    stop: async () => {
      for (const listener of listeners.splice(0).reverse()) await listener.stop();
    },
  };
}

/** Runs the same tests against the mounted and the forwarded composition; cleans up after both. */
export function inBothCompositions(
  name: string,
  define: (start: (env?: Record<string, string>, data_dir?: string) => Promise<RunningHouse>) => void,
): void {
  for (const composition of compositions)
    describe(`${name} (${composition})`, () => {
      const started: RunningHouse[] = [];
      afterAll(async () => {
        for (const house of started) {
          await house.stop();
          rmSync(house.data_dir, { recursive: true, force: true });
        }
      });
      define(async (env, data_dir) => {
        const house = await startHouse(composition, env, data_dir);
        started.push(house);
        return house;
      });
    });
}
