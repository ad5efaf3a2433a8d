/** From the start of the process to its first healthy answer, and the memory of its idle process tree. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { median, printRows, type Row } from "./row.ts";

const RUNS = 7;
const START_TARGET_MS = 600;
const IDLE_TARGET_MIB = 300;
const IDLE_AFTER_MS = 2000;
const POLL_MS = 2;
const MAIN = resolve(import.meta.dir, "../../src/main.ts");

export async function run(): Promise<Row[]> {
  const starts: number[] = [];
  let idle_mib = 0;
  for (let at = 0; at < RUNS; at++) {
    const data_dir = mkdtempSync(join(tmpdir(), "lakehouse-bench-"));
    const from_ms = performance.now();
    const child = Bun.spawn([process.execPath, MAIN], {
      cwd: data_dir,
      env: { ...process.env, LAKEHOUSE_DATA_DIR: data_dir, LAKEHOUSE_GATEWAY_BIND: "127.0.0.1:0" },
      stdout: "pipe",
      stderr: "ignore",
    });
    try {
      const url = await listening(child.stdout);
      while (!(await isHealthy(url))) await Bun.sleep(POLL_MS);
      starts.push(performance.now() - from_ms);
      if (at === RUNS - 1) {
        await Bun.sleep(IDLE_AFTER_MS);
        idle_mib = treeMemoryMib(child.pid);
      }
    } finally {
      child.kill("SIGTERM");
      await child.exited;
      rmSync(data_dir, { recursive: true, force: true });
    }
  }
  const start_ms = median(starts);
  return [
    {
      what: "start to the first healthy answer, all in one process",
      target: `at most ${START_TARGET_MS} ms`,
      measured: `${Math.round(start_ms)} ms`,
      met: start_ms <= START_TARGET_MS,
      detail: `runs: ${starts.map(Math.round).join(", ")} ms`,
    },
    {
      what: "idle memory of the whole process tree (PSS)",
      target: `at most ${IDLE_TARGET_MIB} MiB`,
      measured: `${Math.round(idle_mib)} MiB`,
      met: idle_mib <= IDLE_TARGET_MIB,
    },
  ];
}

async function isHealthy(url: string): Promise<boolean> {
  return (await fetch(`${url}/health`)).ok;
}

async function listening(output: ReadableStream<Uint8Array>): Promise<string> {
  let text = "";
  const decoder = new TextDecoder();
  for await (const chunk of output) {
    text += decoder.decode(chunk, { stream: true });
    const url = /listening (http:\S+)\n/.exec(text)?.[1];
    if (url) return url;
  }
  throw new Error("it ended before it listened");
}

/** The memory that is a process's own and its share of what it shares, over the process and its offspring. */
function treeMemoryMib(pid: number): number {
  const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, "utf8");
  const own_mib = Number(/^Pss:\s+(\d+) kB/m.exec(rollup)?.[1]) / 1024;
  return childrenOf(pid).reduce((sum, child) => sum + treeMemoryMib(child), own_mib);
}

function childrenOf(pid: number): number[] {
  return readdirSync(`/proc/${pid}/task`).flatMap((task) =>
    readFileSync(`/proc/${pid}/task/${task}/children`, "utf8").split(" ").filter(Boolean).map(Number),
  );
}

if (import.meta.main) printRows(await run());
