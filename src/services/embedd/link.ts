/**
 * The service's side of one Worker: started when first needed, asked many things at a time, and started
 * again after it has died, by the next question or soon by itself.
 */
import { LakeError } from "../../shared/errors.ts";

/** What a Worker answers: the same id, and a result or, for the log, what went wrong. */
export type Reply<Result> = { id: number } & ({ result: Result } | { cause: string });
/** What every Worker says first: that it is ready, or why it can't be. */
export type Hello = { ready: true } | { ready: false; reason: string; cause?: string };

/** After the death of a Worker that had been ready: a pace that a Worker which keeps dying can't outrun. */
const REVIVE_AFTER_MS = 500;

interface Pending {
  resolve(result: unknown): void;
  reject(error: unknown): void;
}

export interface LinkOptions {
  /** Used in errors. */
  readonly title: string;
  readonly entry: string;
  readonly settings: object;
}

export class Link {
  readonly #options: LinkOptions;
  readonly #pending = new Map<number, Pending>();
  #worker: Worker | undefined;
  #last_id = 0;
  #was_ready = false;
  #reviving: ReturnType<typeof setTimeout> | undefined;
  /** Why it could not start or died; undefined again once it has started. */
  fault: string | undefined;

  constructor(options: LinkOptions) {
    this.#options = options;
  }

  /** Starts the Worker where it doesn't run, so that the first question finds it ready. */
  start(): void {
    if (this.#worker) return;
    const worker = new Worker(this.#options.entry, { smol: true, ref: false });
    this.#worker = worker;
    this.#was_ready = false;
    clearTimeout(this.#reviving);
    worker.postMessage({ settings: this.#options.settings });
    worker.onmessage = ({ data }: MessageEvent<Hello | Reply<unknown>>) => {
      if (!("ready" in data)) this.#settle(data);
      else if (data.ready) {
        this.#was_ready = true;
        this.fault = undefined;
      } else this.#fail(worker, data.reason, data.cause);
    };
    worker.onerror = (event) => {
      event.preventDefault();
      this.#fail(worker, "it failed", event.message);
    };
    worker.addEventListener("close", () => this.#fail(worker, "it ended"));
  }

  /** @throws LakeError unavailable; the signal's reason where it is aborted */
  async ask<Result>(question: object, signal?: AbortSignal): Promise<Result> {
    signal?.throwIfAborted();
    this.start();
    const id = ++this.#last_id;
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    this.#pending.set(id, { resolve, reject });
    const leave = () => reject(signal?.reason);
    signal?.addEventListener("abort", leave, { once: true });
    this.#worker?.postMessage({ id, ...question });
    try {
      return (await promise) as Result;
    } finally {
      this.#pending.delete(id);
      signal?.removeEventListener("abort", leave);
    }
  }

  close(): void {
    const worker = this.#worker;
    if (worker) this.#fail(worker, "it is stopping");
    clearTimeout(this.#reviving);
  }

  #settle(reply: Reply<unknown>): void {
    const pending = this.#pending.get(reply.id);
    if ("result" in reply) pending?.resolve(reply.result);
    else pending?.reject(new LakeError("unavailable", `${this.#options.title} failed.`, {}, reply.cause));
  }

  /** Everything asked fails. One that never got ready waits for a question to try again. */
  #fail(worker: Worker, reason: string, cause?: string): void {
    if (this.#worker !== worker) return;
    this.#worker = undefined;
    this.fault = `${this.#options.title} can't be used: ${reason}.`;
    worker.terminate();
    for (const { reject } of this.#pending.values())
      reject(new LakeError("unavailable", this.fault, {}, cause));
    if (!this.#was_ready) return;
    this.#reviving = setTimeout(() => this.start(), REVIVE_AFTER_MS);
    this.#reviving.unref();
  }
}
