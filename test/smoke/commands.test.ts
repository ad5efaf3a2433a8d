/** The commands a person types: start, services and demo, through the bootstrap, with signals and exit codes. */
import { afterEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { serviceNames } from "../../src/services/index.ts";
import { ROOT } from "../support/source.ts";

const COMMAND_WAIT_MS = 90_000;
const GONE_WAIT_MS = 15_000;
const BOOTSTRAP = "scripts/bootstrap.mjs";
/** Node where there is one; else Bun, as `bun run` does it. */
const NODE = Bun.which("node") ?? process.execPath;

const started: {
  data_dir: string;
  processes: { kill(signal: NodeJS.Signals): void; exited: Promise<number> }[];
}[] = [];

afterEach(async () => {
  for (const { data_dir, processes } of started.splice(0)) {
    for (const it of processes) {
      it.kill("SIGTERM");
      await it.exited;
    }
    rmSync(data_dir, { recursive: true, force: true });
  }
});

/** A command in the repository, on free ports and a lake of its own. */
function command(args: string[], env: Record<string, string> = {}) {
  const data_dir = mkdtempSync(join(tmpdir(), "lakehouse-command-"));
  const settings: Record<string, string> = { LAKEHOUSE_DATA_DIR: data_dir, LAKEHOUSE_LOG_LEVEL: "error" };
  for (const name of ["gateway", ...serviceNames])
    settings[`LAKEHOUSE_${name.toUpperCase()}_BIND`] = "127.0.0.1:0";
  const child = Bun.spawn(args, {
    cwd: ROOT,
    env: { ...process.env, ...settings, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  started.push({ data_dir, processes: [child] });
  return { child, data_dir };
}

/** Reads until the text holds what is waited for. @throws Error where the output ends before */
async function until(output: ReadableStream<Uint8Array>, found: RegExp): Promise<string> {
  let text = "";
  const reader = output.getReader();
  const decoder = new TextDecoder();
  while (!found.test(text)) {
    const { done, value } = await reader.read();
    if (done) throw new Error(`ended without ${found}:\n${text}`);
    text += decoder.decode(value, { stream: true });
  }
  reader.releaseLock();
  return text;
}

async function isGone(url: string): Promise<boolean> {
  const give_up_ms = performance.now() + GONE_WAIT_MS;
  while (performance.now() < give_up_ms) {
    try {
      await fetch(`${url}/health`);
    } catch {
      return true;
    }
    await Bun.sleep(50);
  }
  return false;
}

test(
  "start prints its address first, the docs, and a line of curl that works; SIGTERM ends it with 0",
  async () => {
    const { child } = command([NODE, BOOTSTRAP, "src/main.ts"]);
    const text = await until(child.stdout, /^try .*\n/m);
    const url = /^listening (http:\/\/127\.0\.0\.1:\d+)\ndocs {6}\1\/swagger\ntry {7}curl \1/.exec(text)?.[1];
    expect({ text, url }).toEqual({ text, url: expect.any(String) });
    const line = /^try +(.*)$/m.exec(text)?.[1] as string;
    const tried = Bun.spawnSync(["sh", "-c", `${line} -sS`]);
    expect(tried.stdout.toString()).toContain('"accepted":true');
    child.kill("SIGTERM");
    expect(await child.exited).toBe(0);
    expect(await isGone(url as string)).toBe(true);
  },
  COMMAND_WAIT_MS,
);

test(
  "a command's exit code passes through, and a setting's mistake is one line",
  async () => {
    const { child } = command([NODE, BOOTSTRAP, "src/main.ts"], { LAKEHOUSE_QUERYD_WORKERS: "many" });
    expect(await child.exited).toBe(1);
    const lines = (await new Response(child.stderr).text()).trim().split("\n");
    expect(lines).toEqual([expect.stringContaining("queryd.workers")]);
  },
  COMMAND_WAIT_MS,
);

test(
  "under npm it goes when the shell between them goes",
  async () => {
    const script = `"$0" ${BOOTSTRAP} src/main.ts; true`;
    const { child } = command(["sh", "-c", script, NODE], { npm_lifecycle_event: "start" });
    const text = await until(child.stdout, /^listening \S+\n/m);
    const url = /^listening (\S+)/m.exec(text)?.[1] as string;
    child.kill("SIGTERM");
    await child.exited;
    expect(await isGone(url)).toBe(true);
  },
  COMMAND_WAIT_MS,
);

test(
  "services starts every service, brings back one that dies, and ends with all of them",
  async () => {
    const { child } = command([NODE, BOOTSTRAP, "scripts/services.ts"]);
    const url = /^listening (\S+)/m.exec(await until(child.stdout, /^listening \S+\n/m))?.[1] as string;
    const told = await until(child.stderr, /^observerd +listening \S+\n/m);
    const observerd = /^observerd +listening (\S+)$/m.exec(told)?.[1] as string;
    const health = async () => {
      const { services } = (await (await fetch(`${url}/health`)).json()) as {
        services: Record<string, { status: string; mode: string }>;
      };
      return Object.values(services).filter(({ status, mode }) => status === "ok" && mode === "forwarded")
        .length;
    };
    expect(await health()).toBe(serviceNames.length);
    const pid = pidListening(observerd);
    process.kill(pid, "SIGKILL");
    await until(child.stderr, new RegExp(`^observerd +listening ${observerd}\\n`, "m"));
    expect(await health()).toBe(serviceNames.length);
    child.kill("SIGTERM");
    expect(await child.exited).toBe(0);
    expect(await isGone(url)).toBe(true);
    expect(await isGone(observerd)).toBe(true);
  },
  COMMAND_WAIT_MS,
);

/** The process of the supervisor's that listens at an address, from Linux's own tables. */
function pidListening(url: string): number {
  const port = new URL(url).port;
  const listed = Bun.spawnSync(["ss", "-Hltnp", `sport = :${port}`]).stdout.toString();
  const pid = Number(/pid=(\d+)/.exec(listed)?.[1]);
  if (!(pid > 0)) throw new Error(`no process listens at ${url}: ${listed}`);
  return pid;
}

test(
  "demo tells its tour to the end, and again on the lake it left",
  async () => {
    const data_dir = mkdtempSync(join(tmpdir(), "lakehouse-demo-"));
    started.push({ data_dir, processes: [] });
    for (const round of ["first", "again"]) {
      const { child } = command([NODE, BOOTSTRAP, "scripts/demo.ts", "--data-dir", data_dir]);
      const [text, errors] = await Promise.all([
        new Response(child.stdout).text(),
        new Response(child.stderr).text(),
      ]);
      expect({ round, code: await child.exited, errors }).toEqual({ round, code: 0, errors: "" });
      expect(text).toContain("3,000,000 rows as NDJSON");
      expect(text).toContain("Ada is allergic to nuts");
      expect(text).toContain("Go on exploring");
      expect(text.includes("there already")).toBe(round === "again");
    }
  },
  COMMAND_WAIT_MS,
);
