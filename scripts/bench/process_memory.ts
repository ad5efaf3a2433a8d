/** The memory of a process and all below it, as the kernel counts it: proportional set size, pages shared counted once. */
import { readdirSync, readFileSync } from "node:fs";

const SAMPLE_MS = 15;

/** Samples a process tree until stopped. @returns a function that stops and tells the peak, in MiB */
export function watchPeak(root_pid: number): () => number {
  let peak_kib = 0;
  const sample = () => {
    peak_kib = Math.max(peak_kib, treeKib(root_pid));
  };
  sample();
  const timer = setInterval(sample, SAMPLE_MS);
  return () => {
    clearInterval(timer);
    sample();
    return peak_kib / 1024;
  };
}

/** The proportional set size of the tree now, in MiB. */
export function treeMib(root_pid: number): number {
  return treeKib(root_pid) / 1024;
}

function treeKib(root_pid: number): number {
  const parents = new Map<number, number>();
  for (const name of readdirSync("/proc")) {
    const parent = /^\d+$/.test(name) ? parentOf(name) : undefined;
    if (parent !== undefined) parents.set(Number(name), parent);
  }
  const tree = new Set([root_pid]);
  for (let size = 0; size !== tree.size; ) {
    size = tree.size;
    for (const [pid, parent] of parents) if (tree.has(parent)) tree.add(pid);
  }
  return [...tree].reduce((sum, pid) => sum + pssKib(pid), 0);
}

/** Undefined for a process that has ended meanwhile. */
function parentOf(pid: string): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]);
  } catch {
    return undefined;
  }
}

function pssKib(pid: number): number {
  try {
    return Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, "utf8"))?.[1] ?? 0);
  } catch {
    return 0;
  }
}
