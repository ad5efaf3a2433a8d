/** The parent's side of one worker process: asked one thing at a time, killed when it must be. */

import { dlopen, FFIType } from "bun:ffi";
import {
  closeSync,
  constants,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  unlinkSync,
} from "node:fs";
import { join } from "node:path";
import type { Subprocess } from "bun";
import { LakeError } from "../../shared/errors.ts";
import type { Log } from "../../shared/log.ts";
import {
  FIFO_NAME,
  type Question,
  RESULT_NAME,
  type Ready,
  type Reply,
  type WorkerSettings,
} from "./protocol.ts";

const ENTRY = join(import.meta.dir, "worker.ts");
const MIB = 1024 * 1024;
const PAGE_BYTES = 4096;
const STDERR_KEPT_CHARS = 2000;

export interface WorkerLimits {
  /** Resident memory at which it is killed. */
  readonly process_limit_mib: number;
  /** Size at which a result file on disk is too large. */
  readonly scratch_mib: number;
}

interface Pending {
  resolve(reply: Reply): void;
  reject(error: unknown): void;
}

export class WorkerProcess {
  /** Slots (`schema.view`, lower case) and the identity of what each now shows, as the worker has them. */
  readonly views = new Map<string, string>();
  /** Settled once it can be asked; rejects where it ends before. */
  readonly ready: Promise<void>;
  /** Settled when the process has ended, whatever ended it. */
  readonly exited: Promise<void>;
  readonly fifo: string;
  readonly #child: Subprocess<"ignore", "ignore", "pipe">;
  readonly #log: Log;
  #pending: Pending | undefined;
  #fate: LakeError | undefined;
  #ended = false;
  #stderr = "";

  constructor(
    readonly settings: WorkerSettings,
    readonly limits: WorkerLimits,
    log: Log,
  ) {
    this.#log = log;
    this.fifo = join(settings.scratch, FIFO_NAME);
    mkdirSync(join(settings.scratch, "spill"), { recursive: true });
    makeFifo(this.fifo);
    const ready = Promise.withResolvers<void>();
    this.ready = ready.promise;
    this.ready.catch(() => {});
    this.#child = Bun.spawn([process.execPath, "--smol", ENTRY, JSON.stringify(settings)], {
      cwd: settings.scratch,
      env: {},
      stdin: "ignore",
      stdout: "ignore",
      stderr: "pipe",
      serialization: "json",
      ipc: (message: Ready | Reply) => {
        if ("ready" in message) ready.resolve();
        else this.#settle((pending) => pending.resolve(message));
      },
    });
    void this.#readErrors();
    this.exited = this.#child.exited.then(() => {
      this.#ended = true;
      const error = this.#fate ?? this.#died();
      ready.reject(error);
      this.#settle((pending) => pending.reject(error));
      rmSync(settings.scratch, { recursive: true, force: true });
    });
  }

  /** Whether it can still be asked. */
  get alive(): boolean {
    return !this.#ended && this.#fate === undefined;
  }

  /** @throws LakeError what it was killed for, or `resource_limit` where it died by itself */
  ask(question: Question): Promise<Reply> {
    if (this.#fate) return Promise.reject(this.#fate);
    if (this.#ended) return Promise.reject(this.#died());
    if (this.#pending)
      return Promise.reject(new LakeError("internal", "a worker was asked while it was busy"));
    return new Promise((resolve, reject) => {
      this.#pending = { resolve, reject };
      this.#child.send(question);
    });
  }

  /** Ends it at once; what is pending fails with this error, without waiting for the process to go. */
  kill(error: LakeError): void {
    if (!this.alive) return;
    this.#fate = error;
    this.#child.kill("SIGKILL");
    this.#settle((pending) => pending.reject(error));
  }

  /** The limit it has passed, if any: looked at every few milliseconds while it works. */
  overrun(): LakeError | undefined {
    const resident_mib = residentBytes(this.#child.pid) / MIB;
    if (resident_mib > this.limits.process_limit_mib)
      return new LakeError(
        "resource_limit",
        `The query took more memory than the ${this.limits.process_limit_mib} MiB that one query may have; read fewer rows or columns, or group earlier.`,
      );
    if (fileBytes(this.#resultPath) / MIB > this.limits.scratch_mib)
      return new LakeError(
        "resource_limit",
        `The result passed the ${this.limits.scratch_mib} MiB that one result may take on disk; ask for less, or for NDJSON or CSV, which are not kept on disk.`,
      );
    return undefined;
  }

  /** Its resident memory in MiB. */
  get resident_mib(): number {
    return residentBytes(this.#child.pid) / MIB;
  }

  /** The result file, opened and already unlinked: it goes when the descriptor is closed. */
  takeResult(): number {
    const fd = openSync(this.#resultPath, constants.O_RDONLY);
    unlinkSync(this.#resultPath);
    return fd;
  }

  /** Removes what a failed query may have left. */
  tidy(): void {
    rmSync(this.#resultPath, { force: true });
  }

  get #resultPath(): string {
    return join(this.settings.scratch, RESULT_NAME);
  }

  #settle(how: (pending: Pending) => void): void {
    const pending = this.#pending;
    this.#pending = undefined;
    if (pending) how(pending);
  }

  #died(): LakeError {
    const { exitCode, signalCode } = this.#child;
    this.#log.warn({ exit_code: exitCode, signal: signalCode, stderr: this.#stderr }, "a query worker died");
    return new LakeError(
      "resource_limit",
      "The query brought its process down (too much memory, or a statement the engine can't bear); nothing else was disturbed.",
    );
  }

  async #readErrors(): Promise<void> {
    const decoder = new TextDecoder();
    for await (const chunk of this.#child.stderr)
      this.#stderr = (this.#stderr + decoder.decode(chunk, { stream: true })).slice(-STDERR_KEPT_CHARS);
  }
}

/** Resident memory as Linux tells it; 0 for a process that is gone. */
function residentBytes(pid: number): number {
  try {
    return Number(readFileSync(`/proc/${pid}/statm`, "utf8").split(" ")[1]) * PAGE_BYTES;
  } catch (error) {
    if (["ENOENT", "ESRCH"].includes(String((error as NodeJS.ErrnoException).code))) return 0;
    throw error;
  }
}

function fileBytes(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}

let libc: { mkfifo(path: Uint8Array, mode: number): number } | undefined;

function makeFifo(path: string): void {
  libc ??= dlopen(process.platform === "darwin" ? "libc.dylib" : "libc.so.6", {
    mkfifo: { args: [FFIType.ptr, FFIType.u32], returns: FFIType.i32 },
  }).symbols as unknown as typeof libc;
  if (libc?.mkfifo(Buffer.from(`${path}\0`), 0o600) !== 0)
    throw new LakeError("internal", `mkfifo failed for ${path}`);
}

/** Both ends of a FIFO without blocking: `keeper` holds off its end until the writer's outcome is known. */
export function openFifo(path: string): { reader: number; keeper: number } {
  const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    return { reader, keeper: openSync(path, constants.O_WRONLY | constants.O_NONBLOCK) };
  } catch (error) {
    closeSync(reader);
    throw error;
  }
}
