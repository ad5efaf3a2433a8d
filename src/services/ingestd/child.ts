/** The parent's side of a conversion's process: asked one thing at a time, killed when it must be. */
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Subprocess } from "bun";
import { LakeError } from "../../shared/errors.ts";
import type { Log } from "../../shared/log.ts";
import type {
  Answer,
  Converted,
  ConvertRequest,
  Merged,
  MergeRequest,
  Progress,
  Request,
} from "./protocol.ts";
import { removeScratch } from "./scratch.ts";

const ENTRY = join(import.meta.dir, "worker.ts");
const WATCH_MS = 200;
const PAGE_BYTES = 4096;
const MIB = 1024 * 1024;
const STDERR_KEPT_CHARS = 2000;

export interface ChildOptions {
  /** The folder in which it may write, made for it alone. */
  readonly scratch: string;
  /** What else it may read. */
  readonly readable: readonly string[];
  readonly memory_limit_mib: number;
  /** Resident memory at which it is killed. */
  readonly process_limit_mib: number;
  readonly threads: number;
  readonly max_temp_mib: number;
  readonly log: Log;
}

export class ConversionProcess {
  readonly scratch: string;
  readonly exited: Promise<void>;
  readonly #child: Subprocess<"ignore", "ignore", "pipe">;
  readonly #options: ChildOptions;
  readonly #opened: Promise<Answer>;
  #pending: PromiseWithResolvers<Answer> | undefined;
  #on_progress: ((progress: Progress) => void) | undefined;
  #fate: LakeError | undefined;
  #ended = false;
  #stderr = "";

  constructor(options: ChildOptions) {
    this.#options = options;
    this.scratch = options.scratch;
    mkdirSync(join(options.scratch, "spill"), { recursive: true });
    this.#child = Bun.spawn([process.execPath, "--smol", ENTRY], {
      cwd: options.scratch,
      env: {},
      stdin: "ignore",
      stdout: "ignore",
      stderr: "pipe",
      serialization: "json",
      ipc: (answer: Answer) => this.#take(answer),
    });
    void this.#readErrors();
    const watch = setInterval(() => this.#watchMemory(), WATCH_MS);
    this.exited = this.#child.exited.then(async () => {
      clearInterval(watch);
      this.#ended = true;
      this.#pending?.reject(this.#fate ?? this.#died());
      await removeScratch(options.scratch, options.log);
    });
    this.#opened = this.#ask({
      kind: "open",
      engine: {
        memory_limit_mib: options.memory_limit_mib,
        threads: options.threads,
        temp_dir: join(options.scratch, "spill"),
        max_temp_mib: options.max_temp_mib,
        directories: [options.scratch, ...options.readable],
      },
    });
    this.#opened.catch(() => {});
  }

  get alive(): boolean {
    return !this.#ended && this.#fate === undefined;
  }

  get pid(): number {
    return this.#child.pid;
  }

  /**
   * @param signal kills the process; its reason, a LakeError, is thrown
   * @throws LakeError
   */
  async ask<R extends ConvertRequest | MergeRequest>(
    request: R,
    on_progress: (progress: Progress) => void,
    signal: AbortSignal,
  ): Promise<R extends ConvertRequest ? Converted : Merged> {
    const stop = () => this.kill(reasonOf(signal));
    if (signal.aborted) stop();
    signal.addEventListener("abort", stop, { once: true });
    this.#on_progress = on_progress;
    try {
      await this.#opened;
      const answer = await this.#ask(request);
      return answer as unknown as R extends ConvertRequest ? Converted : Merged;
    } finally {
      this.#on_progress = undefined;
      signal.removeEventListener("abort", stop);
    }
  }

  /** Ends it at once; what is under way fails with `fate`. */
  kill(fate: LakeError): void {
    if (!this.alive) return;
    this.#fate = fate;
    this.#child.kill("SIGKILL");
  }

  async close(): Promise<void> {
    this.kill(new LakeError("unavailable", "The conversion was ended."));
    await this.exited;
  }

  #ask(request: Request): Promise<Answer> {
    if (this.#fate || this.#ended) return Promise.reject(this.#fate ?? this.#died());
    this.#pending = Promise.withResolvers<Answer>();
    this.#child.send(request);
    return this.#pending.promise;
  }

  #take(answer: Answer): void {
    if (answer.kind === "progress") {
      this.#on_progress?.(answer);
      return;
    }
    const pending = this.#pending;
    this.#pending = undefined;
    if (answer.kind !== "failed") pending?.resolve(answer);
    else if (answer.code === "internal")
      pending?.reject(new LakeError("internal", "The conversion failed.", {}, new Error(answer.message)));
    else pending?.reject(new LakeError(answer.code, answer.message, answer.details));
  }

  #watchMemory(): void {
    const limit = this.#options.process_limit_mib;
    if (residentMib(this.#child.pid) <= limit) return;
    this.kill(
      new LakeError(
        "resource_limit",
        `The conversion took more than ${limit} MiB of memory and was stopped (ingestd.process_limit_mib). Smaller files, or rows, need less.`,
      ),
    );
  }

  #died(): LakeError {
    return new LakeError(
      "internal",
      "The conversion's process died.",
      {},
      new Error(this.#stderr || "no word from it"),
    );
  }

  async #readErrors(): Promise<void> {
    const decoder = new TextDecoder();
    for await (const chunk of this.#child.stderr)
      this.#stderr = (this.#stderr + decoder.decode(chunk, { stream: true })).slice(-STDERR_KEPT_CHARS);
    if (this.#stderr !== "")
      this.#options.log.warn({ stderr: this.#stderr }, "a conversion's process complained");
  }
}

/** Why something was given up: a deadline's own error, or a client that is gone. */
export function reasonOf(signal: AbortSignal): LakeError {
  return signal.reason instanceof LakeError
    ? signal.reason
    : new LakeError("unavailable", "The client went away, so the ingest was given up.");
}

function residentMib(pid: number): number {
  try {
    return (Number(readFileSync(`/proc/${pid}/statm`, "utf8").split(" ")[1]) * PAGE_BYTES) / MIB;
  } catch {
    // It has ended, or this system has no /proc; the other limits hold.
    return 0;
  }
}
