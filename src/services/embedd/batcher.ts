/**
 * One model's texts on their way to its provider: those of many requests share a call, so many calls run
 * at a time, and what waits is bounded. A text that the provider refuses fails its own request only.
 */
import { LakeError } from "../../shared/errors.ts";
import type { Made } from "./cache.ts";
import type { Batch, Provider } from "./provider.ts";

export interface BatcherOptions {
  readonly provider: Provider;
  readonly queue: number;
  readonly queue_bytes: number;
  /** How long one call may take. */
  readonly call_ms: number;
  /** Called around every call, as a breaker is. */
  readonly guard: <T>(call: () => Promise<T>) => Promise<T>;
}

/** So that one call of long texts takes no longer than one of many short ones. */
const CALL_BYTES = 512 * 1024;

interface Job {
  readonly results: Made[];
  missing: number;
  is_over: boolean;
  resolve(results: Made[]): void;
  reject(error: unknown): void;
}

interface Item {
  readonly text: string;
  readonly bytes: number;
  readonly job: Job;
  readonly at: number;
}

export class Batcher {
  readonly #options: BatcherOptions;
  #waiting: Item[] = [];
  #waiting_bytes = 0;
  #running = 0;
  readonly #closing = new AbortController();
  calls = 0;

  constructor(options: BatcherOptions) {
    this.#options = options;
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  /**
   * @param signal aborted where nobody waits any more; its reason is thrown
   * @throws LakeError queue_full, or the provider's
   */
  async embed(texts: readonly string[], signal: AbortSignal): Promise<Made[]> {
    const sizes = texts.map((text) => Buffer.byteLength(text));
    const bytes = sizes.reduce((sum, size) => sum + size, 0);
    const { queue, queue_bytes, provider } = this.#options;
    const is_full = this.#waiting.length + texts.length > queue || this.#waiting_bytes + bytes > queue_bytes;
    if (is_full && this.#waiting.length > 0)
      throw new LakeError("queue_full", `Too many texts wait for ${provider.title}; try again in a second.`, {
        retry_after_s: 1,
      });
    signal.throwIfAborted();
    const { promise, resolve, reject } = Promise.withResolvers<Made[]>();
    const job: Job = { results: [], missing: texts.length, is_over: false, resolve, reject };
    for (const [at, text] of texts.entries())
      this.#waiting.push({ text, bytes: sizes[at] as number, job, at });
    this.#waiting_bytes += bytes;
    const leave = () => this.#fail(job, signal.reason);
    signal.addEventListener("abort", leave, { once: true });
    // After this turn, so that requests that arrived together share a call.
    setImmediate(() => this.#next());
    try {
      return await promise;
    } finally {
      signal.removeEventListener("abort", leave);
    }
  }

  close(): void {
    this.#closing.abort();
    const stopped = new LakeError("unavailable", "embedd is stopping.");
    for (const { job } of this.#waiting.splice(0)) this.#fail(job, stopped);
  }

  #next(): void {
    while (this.#running < this.#options.provider.parallel && this.#waiting.length > 0) {
      const items = this.#take();
      this.#running++;
      void this.#call(items).finally(() => {
        this.#running--;
        this.#next();
      });
    }
  }

  #take(): Item[] {
    const { batch_texts } = this.#options.provider;
    let count = 0;
    let call_bytes = 0;
    for (const { bytes } of this.#waiting) {
      if (count === batch_texts || (count > 0 && call_bytes + bytes > CALL_BYTES)) break;
      call_bytes += bytes;
      count++;
    }
    this.#waiting_bytes -= call_bytes;
    return this.#waiting.splice(0, count);
  }

  async #call(items: readonly Item[]): Promise<void> {
    const wanted = items.filter(({ job }) => !job.is_over);
    if (wanted.length === 0) return;
    const { guard, call_ms } = this.#options;
    this.calls++;
    try {
      const texts = wanted.map(({ text }) => text);
      const batch = await guard(() => this.#ask(texts, AbortSignal.timeout(call_ms)));
      const truncated = new Set(batch.truncated);
      for (const [at, { job, at: place }] of wanted.entries()) {
        job.results[place] = {
          vector: batch.vectors[at] as Float32Array,
          tokens: batch.tokens[at] as number,
          is_truncated: truncated.has(at),
        };
        job.missing--;
        if (job.missing === 0) this.#finish(job);
      }
    } catch (error) {
      await this.#divide(wanted, error);
    }
  }

  /** @throws LakeError and nothing else */
  async #ask(texts: readonly string[], deadline: AbortSignal): Promise<Batch> {
    const { provider } = this.#options;
    try {
      return await provider.embed(texts, AbortSignal.any([deadline, this.#closing.signal]));
    } catch (error) {
      if (error instanceof LakeError) throw error;
      const what = deadline.aborted ? "gave no answer in time" : "failed";
      throw new LakeError("unavailable", `${provider.title} ${what}.`, {}, error);
    }
  }

  /** A refusal is some text's: halves are tried until it stands alone. Any other failure is everyone's. */
  async #divide(items: readonly Item[], error: unknown): Promise<void> {
    const jobs = new Set(items.map(({ job }) => job));
    if (!(error instanceof LakeError && error.code === "invalid") || jobs.size === 1) {
      for (const job of jobs) this.#fail(job, error);
      return;
    }
    const half = Math.ceil(items.length / 2);
    await this.#call(items.slice(0, half));
    await this.#call(items.slice(half));
  }

  #finish(job: Job): void {
    job.is_over = true;
    job.resolve(job.results);
  }

  #fail(job: Job, error: unknown): void {
    if (job.is_over) return;
    job.is_over = true;
    job.reject(error);
    this.#waiting = this.#waiting.filter((item) => {
      if (item.job !== job) return true;
      this.#waiting_bytes -= item.bytes;
      return false;
    });
  }
}
