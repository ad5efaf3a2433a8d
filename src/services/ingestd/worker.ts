/** A conversion's own process: it can be killed on time and on memory, and takes nothing else down with it. */
import { readFileSync } from "node:fs";
import { LakeError, messageOf } from "../../shared/errors.ts";
import { convert, firstLine } from "./convert.ts";
import { type Engine, openEngine } from "./engine.ts";
import { merge } from "./keys.ts";
import type { Answer, Failed, Progress, Request } from "./protocol.ts";

const PROGRESS_MS = 200;

let engine: Engine | undefined;

function send(answer: Answer): void {
  process.send?.(answer);
}

async function answer(request: Request): Promise<Answer> {
  if (request.kind === "open") {
    engine = await openEngine(request.engine);
    return { kind: "ready" };
  }
  if (engine === undefined) throw new Error("asked before it was opened");
  const open = engine;
  let phase: Progress["phase"] = request.kind === "merge" ? "merging" : "converting";
  let percent = open.percent;
  const tell = () => send({ kind: "progress", phase, percent: percent() });
  const timer = setInterval(tell, PROGRESS_MS);
  try {
    if (request.kind === "merge") return await merge(open, request);
    return await convert(open, request, (entered, bytes) => {
      phase = entered;
      percent = readMeter(bytes) ?? open.percent;
      tell();
    });
  } finally {
    clearInterval(timer);
  }
}

/** How much of the bytes to be read has been: DuckDB tells nothing of a COPY whose values are checked. */
function readMeter(bytes: number): (() => number) | undefined {
  const read = () => Number(/^rchar: (\d+)/.exec(readFileSync("/proc/self/io", "utf8"))?.[1]);
  try {
    const before = read();
    return () => Math.min(99, (100 * (read() - before)) / bytes);
  } catch {
    // Not every system has it.
    return undefined;
  }
}

/** What went wrong as the parent may tell it: DuckDB's messages name paths of this machine. */
function failure(error: unknown): Failed {
  if (error instanceof LakeError)
    return { kind: "failed", code: error.code, message: error.message, details: error.details };
  const message = messageOf(error);
  // A parser takes any depth; what looks at a value member by member does not.
  if (error instanceof RangeError && message.startsWith("Maximum call stack"))
    return { kind: "failed", code: "invalid", message: "A value is nested too deeply.", details: {} };
  if (/Out of Memory|max_temp_directory_size/.test(message))
    return {
      kind: "failed",
      code: "resource_limit",
      message:
        "The conversion needed more memory or scratch space than it may have (ingestd.memory_limit_mib).",
      details: {},
    };
  return { kind: "failed", code: "internal", message: firstLine(error), details: {} };
}

process.on("message", (request: Request) => {
  answer(request).catch(failure).then(send);
});
// Without its parent there is nobody to answer.
// A terminal and systemd signal the whole group; when a worker ends is for its parent to say.
for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => {});
process.on("disconnect", () => process.exit(0));
