/** strace, to fail, kill and record a process at a chosen system call. */
import { expect, test } from "bun:test";

/** A test that needs strace: skipped aloud where it is missing, failed where it may not be (CI). */
export function testWithStrace(name: string, work: () => Promise<void>, timeout_ms: number): void {
  if (Bun.which("strace") !== null) test(name, work, timeout_ms);
  else if (process.env.CI) test(name, () => expect().fail("strace is not installed"));
  else {
    console.error(`SKIPPED, because strace is not installed: ${name}`);
    test.skip(name, work);
  }
}

/** One system call of a recorded run, in order of completion; strings are decoded. */
export interface SystemCall {
  readonly name: string;
  /** The path behind a file descriptor argument, or the first path given. */
  readonly path: string;
  /** The second path of a rename; what a write wrote. */
  readonly data: Buffer;
  /** All arguments as strace shows them. */
  readonly args: string;
  readonly result: number;
  /** How many calls had completed when this one began. */
  readonly began_after: number;
}

export const RECORD = ["-f", "-qq", "-y", "-xx", "-s", "10000000"];
export const RECORDED_CALLS = [
  "openat",
  "write",
  "fdatasync",
  "fsync",
  "rename",
  "ftruncate",
  "mkdir",
  "unlink",
];

/** Reads a trace made with RECORD; calls that were interrupted by another thread's are put together again. */
export function parseTrace(text: string): SystemCall[] {
  const calls: SystemCall[] = [];
  const unfinished = new Map<string, { text: string; began_after: number }>();
  for (const line of text.split("\n")) {
    const [, thread, rest] = /^(\d+) +(.*)$/s.exec(line) ?? [];
    if (thread === undefined || rest === undefined || rest.startsWith("+++") || rest.startsWith("---"))
      continue;
    const resumed = /^<\.\.\. \w+ resumed>(.*)$/.exec(rest);
    const before = unfinished.get(thread);
    let whole = rest;
    let began_after = calls.length;
    if (resumed && before) {
      whole = before.text + resumed[1];
      began_after = before.began_after;
      unfinished.delete(thread);
    } else if (rest.endsWith("<unfinished ...>")) {
      unfinished.set(thread, { text: rest.slice(0, -"<unfinished ...>".length).trimEnd(), began_after });
      continue;
    }
    const call = parseCall(whole, began_after);
    if (call) calls.push(call);
  }
  return calls;
}

function parseCall(text: string, began_after: number): SystemCall | undefined {
  const found = /^(\w+)\((.*)\)\s+= (-?\d+)/s.exec(text);
  if (!found) return undefined; // Killed within the call: it has no result.
  const [, name, args, result] = found as unknown as [string, string, string, string];
  const strings = [...args.matchAll(/[<"]((?:\\x[0-9a-f]{2})+)[">]/g)].map(([, hex]) =>
    Buffer.from((hex as string).replaceAll("\\x", ""), "hex"),
  );
  const is_openat = name === "openat";
  const [first, second] = is_openat && args.startsWith("AT_FDCWD<") ? strings.slice(1) : strings;
  return {
    name,
    path: first?.toString() ?? "",
    data: second ?? Buffer.alloc(0),
    args,
    result: Number(result),
    began_after,
  };
}
