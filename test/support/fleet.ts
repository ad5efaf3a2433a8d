/** Several catalogd processes over one lake, each of them a writer of the same pointers; one storaged serves all. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import type { Subprocess } from "bun";
import type { Target } from "../../src/services/index.ts";
import { type Lake, lakeAt } from "./lake.ts";

const MAIN = resolve(import.meta.dir, "../../src/main.ts");

export interface CatalogProcess {
  readonly lake: Lake;
  /** Ends it at once, as a crash would. */
  kill(): Promise<void>;
}

export interface Fleet {
  readonly data_dir: string;
  startCatalogd(): Promise<CatalogProcess>;
  stop(): Promise<void>;
}

type Running = Subprocess<"ignore", "pipe", "inherit">;

export async function startFleet(): Promise<Fleet> {
  const data_dir = mkdtempSync(join(tmpdir(), "lakehouse-fleet-"));
  const running = new Set<Running>();
  const start = async (target: Target, settings: Record<string, string>) => {
    const name = `LAKEHOUSE_${target.toUpperCase()}_BIND`;
    const env = {
      LAKEHOUSE_LOG_LEVEL: "warn",
      LAKEHOUSE_DATA_DIR: data_dir,
      [name]: "127.0.0.1:0",
      ...settings,
    };
    const inherited = Object.entries(process.env).filter(([key]) => !key.startsWith("LAKEHOUSE_"));
    const child = Bun.spawn([process.execPath, MAIN, target], {
      cwd: data_dir,
      env: { ...Object.fromEntries(inherited), ...env },
      stdin: "ignore",
      stdout: "pipe",
      stderr: "inherit",
    });
    running.add(child);
    return { child, url: await addressOf(child) };
  };
  const end = async (child: Running) => {
    child.kill("SIGKILL");
    await child.exited;
    running.delete(child);
  };
  const storaged = await start("storaged", {});
  return {
    data_dir,
    async startCatalogd() {
      const { child, url } = await start("catalogd", { LAKEHOUSE_GATEWAY_STORAGED_URL: storaged.url });
      const { catalog } = lakeAt({ url, data_dir }, "");
      const { storage } = lakeAt({ url: storaged.url, data_dir }, "");
      return { lake: { catalog, storage }, kill: () => end(child) };
    },
    async stop() {
      await Promise.all([...running].map(end));
      rmSync(data_dir, { recursive: true, force: true });
    },
  };
}

/** The address in the line `listening http://…`. */
async function addressOf(child: Running): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of child.stdout) {
    text += decoder.decode(chunk, { stream: true });
    const url = /^listening (http:\/\/\S+)$/m.exec(text)?.[1];
    if (url !== undefined) return url;
  }
  throw new Error(`a process ended before it listened: ${text}`);
}
