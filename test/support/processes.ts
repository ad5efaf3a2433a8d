/** Real processes on free ports, as a user runs them: one for the mounted composition, one per service forwarded. */
import { afterAll, describe } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import type { Subprocess } from "bun";
import type { Target } from "../../src/services/index.ts";
import { serviceNames } from "../../src/services/index.ts";
import { type Composition, compositions } from "./house.ts";

const MAIN = resolve(import.meta.dir, "../../src/main.ts");
const START_WAIT_MS = 20_000;
const STOP_WAIT_MS = 15_000;
const KEPT_OUTPUT_CHARS = 16_384;

export interface RunningProcesses {
  readonly composition: Composition;
  /** The gateway's address. */
  readonly url: string;
  /** Each process's own address, by target: `all`, or `gateway` and each service. */
  readonly urls: Readonly<Record<string, string>>;
  readonly data_dir: string;
  /** The process of each target that runs now. */
  readonly pids: Readonly<Record<string, number>>;
  /** The process that serves `name`: `all` when mounted, itself when forwarded. */
  targetOf(name: Target): Target;
  /** What a target last wrote on standard error, over all its starts. */
  stderr(target: Target): string;
  /** Sends a signal and waits for the end. @returns the exit code; null where the signal ended it */
  kill(target: Target, signal?: NodeJS.Signals): Promise<number | null>;
  /** Starts a target again at the port it had; stops it first where it still runs. */
  restart(target: Target): Promise<void>;
  /** Ends every process and keeps data_dir. */
  stop(): Promise<void>;
}

interface Running {
  readonly target: Target;
  process: Subprocess<"ignore", "pipe", "pipe">;
  url: string;
  stderr: string;
}

/**
 * @param env settings as the environment gives them, beside the free ports chosen here
 * @param data_dir shared by all the processes; a new temporary one where none is given
 * @throws Error with the process's standard error, where one does not come up in time
 */
export async function startProcesses(
  composition: Composition,
  env: Record<string, string> = {},
  data_dir = mkdtempSync(join(tmpdir(), "lakehouse-")),
): Promise<RunningProcesses> {
  const running = new Map<Target, Running>();
  const targets: Target[] = composition === "mounted" ? ["all"] : [...serviceNames, "gateway"];

  const launch = async (target: Target, bind: string) => {
    const settings: Record<string, string> = {
      LAKEHOUSE_LOG_LEVEL: "warn",
      LAKEHOUSE_DATA_DIR: data_dir,
      ...env,
      [`LAKEHOUSE_${(target === "all" ? "gateway" : target).toUpperCase()}_BIND`]: bind,
    };
    for (const name of serviceNames) {
      const url = running.get(name)?.url;
      if (url) settings[`LAKEHOUSE_GATEWAY_${name.toUpperCase()}_URL`] = url;
    }
    const it: Running = { target, process: spawn(target, settings, data_dir), url: "", stderr: "" };
    it.stderr = running.get(target)?.stderr ?? "";
    running.set(target, it);
    keepStderr(it);
    it.url = await listening(it);
  };

  const known = (target: Target) => {
    const it = running.get(target);
    if (!it) throw new Error(`no process for "${target}" (there are: ${targets.join(", ")})`);
    return it;
  };

  const kill = async (target: Target, signal: NodeJS.Signals = "SIGTERM") => {
    const { process } = known(target);
    process.kill(signal);
    await ended(process);
    return process.exitCode;
  };

  const stop = async () => {
    for (const target of [...targets].reverse()) if (isAlive(running.get(target))) await kill(target);
  };

  try {
    for (const target of targets) await launch(target, "127.0.0.1:0");
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    composition,
    url: known(composition === "mounted" ? "all" : "gateway").url,
    data_dir,
    get urls() {
      return Object.fromEntries([...running].map(([target, it]) => [target, it.url]));
    },
    get pids() {
      const alive = [...running].filter(([, it]) => isAlive(it));
      return Object.fromEntries(alive.map(([target, it]) => [target, it.process.pid]));
    },
    targetOf: (name) => (composition === "mounted" ? "all" : name),
    stderr: (target) => known(target).stderr,
    kill,
    restart: async (target) => {
      const it = known(target);
      if (isAlive(it)) await kill(target);
      await launch(target, new URL(it.url).host);
    },
    stop,
  };
}

/** Runs the same tests against real processes in both compositions; cleans up after both. */
export function inBothCompositionsOfProcesses(
  name: string,
  define: (start: (env?: Record<string, string>, data_dir?: string) => Promise<RunningProcesses>) => void,
): void {
  for (const composition of compositions)
    describe(`${name} (${composition})`, () => {
      const started: RunningProcesses[] = [];
      afterAll(async () => {
        for (const processes of started) {
          await processes.stop();
          rmSync(processes.data_dir, { recursive: true, force: true });
        }
      }, STOP_WAIT_MS * 2);
      define(async (env, data_dir) => {
        const processes = await startProcesses(composition, env, data_dir);
        started.push(processes);
        return processes;
      });
    });
}

/** Only our own settings reach the process, and no lakehouse.toml: it runs in its data directory. */
function spawn(target: Target, settings: Record<string, string>, cwd: string): Running["process"] {
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith("LAKEHOUSE_"));
  return Bun.spawn([process.execPath, MAIN, target], {
    cwd,
    env: { ...Object.fromEntries(inherited), ...settings },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
}

function isAlive(it: Running | undefined): boolean {
  return it !== undefined && it.process.exitCode === null && it.process.signalCode === null;
}

async function keepStderr(it: Running): Promise<void> {
  const decoder = new TextDecoder();
  for await (const chunk of it.process.stderr)
    it.stderr = (it.stderr + decoder.decode(chunk, { stream: true })).slice(-KEPT_OUTPUT_CHARS);
}

/** The address of the line `listening http://…`; what follows on standard output is read and dropped. */
async function listening(it: Running): Promise<string> {
  const timer = setTimeout(() => it.process.kill("SIGKILL"), START_WAIT_MS);
  const reader = it.process.stdout.getReader();
  const decoder = new TextDecoder();
  let text = "";
  try {
    while (!text.includes("\n")) {
      const { done, value } = await reader.read();
      if (done) break;
      text += decoder.decode(value, { stream: true });
    }
  } finally {
    clearTimeout(timer);
  }
  const url = /^listening (http:\/\/\S+)$/m.exec(text)?.[1];
  if (url === undefined) {
    const code = await it.process.exited;
    throw new Error(`${it.target} did not come up (exit ${code}): ${text.trim()}\n${it.stderr.trim()}`);
  }
  drain(reader);
  return url;
}

async function drain(reader: { read(): Promise<{ done: boolean }> }): Promise<void> {
  while (!(await reader.read()).done);
}

async function ended(process: Running["process"]): Promise<void> {
  const timer = setTimeout(() => process.kill("SIGKILL"), STOP_WAIT_MS);
  await process.exited;
  clearTimeout(timer);
}
