/** The worker processes: so many queries at a time, one process kept warm, and a bounded queue before them. */
import { LakeError, messageOf } from "../../shared/errors.ts";
import type { Log } from "../../shared/log.ts";
import type { WorkerProcess } from "./process.ts";

export interface PoolOptions {
  readonly workers: number;
  readonly queue: number;
  /** How long more idle workers than one are kept. */
  readonly idle_ms: number;
  /** An idle worker that holds more memory is replaced. */
  readonly idle_limit_mib: number;
  /** A worker with more views is replaced. */
  readonly max_views: number;
  readonly start: () => WorkerProcess;
  readonly log: Log;
}

interface Waiter {
  give(worker: WorkerProcess): void;
  fail(error: LakeError): void;
}

/** Pause after a worker that could not be started, so that a broken machine isn't hammered. */
const START_PAUSE_MS = 500;

export class WorkerPool {
  readonly #options: PoolOptions;
  readonly #all = new Set<WorkerProcess>();
  readonly #idle: WorkerProcess[] = [];
  readonly #waiting: Waiter[] = [];
  #starting = 0;
  #paused = false;
  #closed = false;
  #trim: ReturnType<typeof setTimeout> | undefined;
  /** Moving average of how long a query holds a worker, for Retry-After. */
  #held_ms = 100;
  #fault: string | undefined;

  constructor(options: PoolOptions) {
    this.#options = options;
  }

  get load(): { running: number; waiting: number; workers: number; fault: string | undefined } {
    return {
      running: this.#all.size - this.#idle.length - this.#starting,
      waiting: this.#waiting.length,
      workers: this.#all.size,
      fault: this.#fault,
    };
  }

  /** Starts a worker where none is idle or on its way, as far as the limit allows. */
  warm(): void {
    const short = this.#waiting.length + 1 - this.#idle.length - this.#starting;
    for (let i = 0; i < short && this.#all.size < this.#options.workers; i++) this.#start();
  }

  /**
   * A worker of one's own, to be given back with `release`.
   * @param signal gives up the place in the queue; its reason is thrown
   * @throws LakeError queue_full with retry_after_s
   */
  acquire(signal: AbortSignal): Promise<WorkerProcess> {
    if (this.#closed) return Promise.reject(new LakeError("unavailable", "The service is stopping."));
    const idle = this.#waiting.length === 0 ? this.#takeIdle() : undefined;
    if (idle) {
      this.warm();
      return Promise.resolve(idle);
    }
    if (this.#waiting.length >= this.#options.queue + this.#startable()) return Promise.reject(this.#full());
    return new Promise((resolve, reject) => {
      const leave = () => {
        const at = this.#waiting.indexOf(waiter);
        if (at !== -1) this.#waiting.splice(at, 1);
        reject(signal.reason);
      };
      const waiter: Waiter = {
        give: (worker) => {
          signal.removeEventListener("abort", leave);
          resolve(worker);
        },
        fail: (error) => {
          signal.removeEventListener("abort", leave);
          reject(error);
        },
      };
      this.#waiting.push(waiter);
      signal.addEventListener("abort", leave, { once: true });
      this.warm();
    });
  }

  /** Takes a worker back; one that was killed, or has grown, is replaced. */
  release(worker: WorkerProcess, held_ms: number): void {
    this.#held_ms = this.#held_ms * 0.8 + held_ms * 0.2;
    if (worker.alive && this.#worn(worker)) worker.kill(new LakeError("unavailable", "retired"));
    if (worker.alive) this.#put(worker);
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#trim);
    const stopping = new LakeError("unavailable", "The service is stopping.");
    for (const waiter of this.#waiting.splice(0)) waiter.fail(stopping);
    const all = [...this.#all];
    for (const worker of all) worker.kill(stopping);
    await Promise.all(all.map((worker) => worker.exited));
  }

  #worn(worker: WorkerProcess): boolean {
    return worker.resident_mib > this.#options.idle_limit_mib || worker.views.size > this.#options.max_views;
  }

  #takeIdle(): WorkerProcess | undefined {
    for (let worker = this.#idle.pop(); worker; worker = this.#idle.pop()) if (worker.alive) return worker;
    return undefined;
  }

  /** Places that are no queueing: a worker will be there as soon as it has started. */
  #startable(): number {
    return Math.max(0, this.#options.workers - this.#all.size) + this.#starting;
  }

  #full(): LakeError {
    const seconds = Math.ceil((this.#held_ms * (this.#waiting.length + 1)) / this.#options.workers / 1000);
    return new LakeError(
      "queue_full",
      `${this.#waiting.length} queries are waiting already; try again shortly.`,
      {
        retry_after_s: Math.min(60, Math.max(1, seconds)),
      },
    );
  }

  #put(worker: WorkerProcess): void {
    const next = this.#waiting.shift();
    if (next) {
      next.give(worker);
      this.warm();
      return;
    }
    this.#idle.push(worker);
    this.#trim ??= setTimeout(() => this.#retireIdle(), this.#options.idle_ms).unref();
  }

  #retireIdle(): void {
    this.#trim = undefined;
    for (const worker of this.#idle.splice(1)) worker.kill(new LakeError("unavailable", "retired"));
  }

  #start(): void {
    if (this.#closed || this.#paused) return;
    let worker: WorkerProcess;
    try {
      worker = this.#options.start();
    } catch (error) {
      this.#startFailed(error);
      return;
    }
    this.#all.add(worker);
    this.#starting++;
    worker.ready.then(
      () => {
        this.#fault = undefined;
        this.#starting--;
        if (worker.alive) this.#put(worker);
      },
      (error: unknown) => {
        this.#starting--;
        if (!this.#closed) this.#startFailed(error);
      },
    );
    void worker.exited.then(() => {
      this.#all.delete(worker);
      const at = this.#idle.indexOf(worker);
      if (at !== -1) this.#idle.splice(at, 1);
      if (!this.#closed) this.warm();
    });
  }

  #startFailed(error: unknown): void {
    this.#fault = "query workers can't be started";
    this.#options.log.error({ err: { message: messageOf(error) } }, this.#fault);
    this.#paused = true;
    setTimeout(() => {
      this.#paused = false;
      this.warm();
    }, START_PAUSE_MS).unref();
  }
}
