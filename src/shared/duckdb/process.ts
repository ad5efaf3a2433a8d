/** The parent's side of a process with DuckDB: asked one thing at a time, killed when it must be. */
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Subprocess } from "bun";
import { LakeError } from "../errors.ts";
import type { Log } from "../log.ts";
import type { EngineOptions } from "./engine.ts";
import { removeScratch } from "./scratch.ts";
import type { Ask, Reply, Work } from "./serve.ts";

const WATCH_MS = 200;
const PAGE_BYTES = 4096;
const MIB = 1024 * 1024;
const STDERR_KEPT_CHARS = 2000;

export interface ProcessOptions {
  /** The program, which calls `serveEngine`. */
  readonly entry: string;
  /** What it does, as in "The conversion's process died." */
  readonly what: string;
  /** The folder in which it may write, made for it alone. */
  readonly scratch: string;
  /** What else it may read. */
  readonly readable: readonly string[];
  readonly memory_limit_mib: number;
  /** Resident memory at which it is killed. */
  readonly process_limit_mib: number;
  /** The setting that says so, and what needs less, as the end of a sentence each. */
  readonly limit_hint: string;
  readonly threads: number;
  readonly max_temp_mib: number;
  readonly log: Log;
}

/** @typeParam Progress what it tells while it works */
export class EngineProcess<W extends Work<W>, Progress = never> {
  readonly scratch: string;
  readonly exited: Promise<void>;
  readonly #child: Subprocess<"ignore", "ignore", "pipe">;
  readonly #options: ProcessOptions;
  /** Settled once it can be asked the next thing. */
  #ready: Promise<unknown>;
  #pending: PromiseWithResolvers<unknown> | undefined;
  #on_progress: ((progress: Progress) => void) | undefined;
  #fate: LakeError | undefined;
  #ended = false;
  #stderr = "";

  constructor(options: ProcessOptions) {
    this.#options = options;
    this.scratch = options.scratch;
    mkdirSync(join(options.scratch, "spill"), { recursive: true });
    this.#child = Bun.spawn([process.execPath, "--smol", options.entry], {
      cwd: options.scratch,
      env: {},
      stdin: "ignore",
      stdout: "ignore",
      stderr: "pipe",
      serialization: "json",
      ipc: (reply: Reply<Progress>) => this.#take(reply),
    });
    void this.#readErrors();
    const watch = setInterval(() => this.#watchMemory(), WATCH_MS);
    this.exited = this.#child.exited.then(async () => {
      clearInterval(watch);
      this.#ended = true;
      this.#pending?.reject(this.#fate ?? this.#died());
      await removeScratch(options.scratch, options.log);
    });
    const engine: EngineOptions = {
      memory_limit_mib: options.memory_limit_mib,
      threads: options.threads,
      temp_dir: join(options.scratch, "spill"),
      max_temp_mib: options.max_temp_mib,
      directories: [options.scratch, ...options.readable],
    };
    this.#ready = this.#ask({ open: engine });
    this.#ready.catch(() => {});
  }

  get alive(): boolean {
    return !this.#ended && this.#fate === undefined;
  }

  get pid(): number {
    return this.#child.pid;
  }

  /**
   * Asks as soon as what was asked before is answered.
   * @param signal kills the process; its reason, a LakeError, is thrown
   * @throws LakeError
   */
  async ask<Kind extends keyof W & string>(
    kind: Kind,
    request: Parameters<W[Kind]>[0],
    on_progress: (progress: Progress) => void,
    signal: AbortSignal,
  ): Promise<ReturnType<W[Kind]>> {
    const stop = () => this.kill(reasonOf(signal));
    if (signal.aborted) stop();
    signal.addEventListener("abort", stop, { once: true });
    const answer = this.#ready.then(() => {
      this.#on_progress = on_progress;
      return this.#ask({ kind, request });
    });
    this.#ready = answer.catch(() => {}); // Told to whoever asked.
    try {
      return (await answer) as ReturnType<W[Kind]>;
    } finally {
      if (this.#on_progress === on_progress) this.#on_progress = undefined;
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
    this.kill(new LakeError("unavailable", `The ${this.#options.what} was ended.`));
    await this.exited;
  }

  #ask(message: Ask): Promise<unknown> {
    if (this.#fate || this.#ended) return Promise.reject(this.#fate ?? this.#died());
    this.#pending = Promise.withResolvers<unknown>();
    this.#child.send(message);
    return this.#pending.promise;
  }

  #take(reply: Reply<Progress>): void {
    if ("progress" in reply) {
      this.#on_progress?.(reply.progress);
      return;
    }
    const pending = this.#pending;
    this.#pending = undefined;
    if ("answer" in reply) pending?.resolve(reply.answer);
    else if (reply.failed.code === "internal")
      pending?.reject(
        new LakeError("internal", `The ${this.#options.what} failed.`, {}, new Error(reply.failed.message)),
      );
    else pending?.reject(new LakeError(reply.failed.code, reply.failed.message, reply.failed.details));
  }

  #watchMemory(): void {
    const { process_limit_mib, what, limit_hint } = this.#options;
    if (residentMib(this.#child.pid) <= process_limit_mib) return;
    this.kill(
      new LakeError(
        "resource_limit",
        `The ${what} took more than ${process_limit_mib} MiB of memory and was stopped ${limit_hint}`,
      ),
    );
  }

  #died(): LakeError {
    return new LakeError(
      "internal",
      `The ${this.#options.what}'s process died.`,
      {},
      new Error(this.#stderr || "no word from it"),
    );
  }

  async #readErrors(): Promise<void> {
    const decoder = new TextDecoder();
    for await (const chunk of this.#child.stderr)
      this.#stderr = (this.#stderr + decoder.decode(chunk, { stream: true })).slice(-STDERR_KEPT_CHARS);
    if (this.#stderr !== "")
      this.#options.log.warn({ stderr: this.#stderr }, `a ${this.#options.what}'s process complained`);
  }
}

/** Why something was given up: a deadline's own error, or a client that is gone. */
export function reasonOf(signal: AbortSignal): LakeError {
  return signal.reason instanceof LakeError
    ? signal.reason
    : new LakeError("unavailable", "The client went away, so its request was given up.");
}

function residentMib(pid: number): number {
  try {
    return (Number(readFileSync(`/proc/${pid}/statm`, "utf8").split(" ")[1]) * PAGE_BYTES) / MIB;
  } catch {
    // It has ended, or this system has no /proc; the other limits hold.
    return 0;
  }
}
