/** Where processes with DuckDB run: so many at a time, a bounded queue before them, and one process started ahead. */
import { rmSync } from "node:fs";
import { join } from "node:path";
import { LakeError } from "../errors.ts";
import { reasonOf } from "./process.ts";

/** What a workshop needs to know of a process. */
export interface Worker {
  readonly alive: boolean;
  readonly exited: Promise<void>;
  kill(fate: LakeError): void;
  close(): Promise<void>;
}

export interface WorkshopOptions<Process> {
  /** What runs here, as in "2 conversions run". */
  readonly what: string;
  readonly workers: number;
  readonly queue: number;
  /** Everything under it is scratch, and removed at the start. */
  readonly scratch_root: string;
  readonly start: (scratch: string) => Process;
}

/** How long a process started ahead waits for its file. */
const SPARE_MS = 10_000;

interface Waiter {
  give(): void;
  fail(error: LakeError): void;
}

export class Workshop<Process extends Worker> {
  readonly #options: WorkshopOptions<Process>;
  readonly #waiting: Waiter[] = [];
  readonly #running = new Set<Process>();
  #taken = 0;
  #spare: { child: Process; timer: ReturnType<typeof setTimeout> } | undefined;
  #closed = false;
  /** Moving average of how long one takes, for Retry-After. */
  #held_ms = 1000;

  constructor(options: WorkshopOptions<Process>) {
    this.#options = options;
    rmSync(options.scratch_root, { recursive: true, force: true });
  }

  get load(): { running: number; waiting: number } {
    return { running: this.#taken, waiting: this.#waiting.length };
  }

  /** A folder of its own for what arrives. */
  folder(): string {
    return join(this.#options.scratch_root, Bun.randomUUIDv7());
  }

  /** Called as a file begins to arrive. @throws LakeError queue_full, before anything is received */
  announce(): void {
    if (this.#closed) throw new LakeError("unavailable", "The service is stopping.");
    if (this.#taken >= this.#options.workers) {
      if (this.#waiting.length >= this.#options.queue) throw this.#full();
      return;
    }
    if (this.#spare !== undefined) return;
    const child = this.#options.start(this.folder());
    const timer = setTimeout(() => {
      this.#spare = undefined;
      void child.close();
    }, SPARE_MS);
    this.#spare = { child, timer };
  }

  /** The process started ahead, where there is one: it may be asked what can be known before a file is whole. */
  get ahead(): Process | undefined {
    return this.#spare?.child.alive ? this.#spare.child : undefined;
  }

  /**
   * Runs `work` with a process of its own, as soon as there is room.
   * @param signal gives up the place in the queue; its reason is thrown
   * @throws LakeError queue_full with retry_after_s
   */
  async run<T>(signal: AbortSignal, work: (child: Process) => Promise<T>): Promise<T> {
    await this.#enter(signal);
    const started_ms = performance.now();
    const child = this.#takeSpare() ?? this.#options.start(this.folder());
    this.#running.add(child);
    try {
      return await work(child);
    } finally {
      // Its end, and the removal of what it wrote, is nothing that the answer has to wait for.
      void child.close().then(() => this.#running.delete(child));
      this.#held_ms = this.#held_ms * 0.8 + (performance.now() - started_ms) * 0.2;
      this.#leave();
    }
  }

  /** Ends what runs and refuses what waits. */
  async close(): Promise<void> {
    this.#closed = true;
    const stopping = new LakeError("unavailable", "The service is stopping.");
    for (const waiter of this.#waiting.splice(0)) waiter.fail(stopping);
    const spare = this.#takeSpare();
    const children = [...this.#running, ...(spare ? [spare] : [])];
    for (const child of children) child.kill(stopping);
    await Promise.all(children.map((it) => it.exited));
  }

  #enter(signal: AbortSignal): Promise<void> {
    if (this.#closed) return Promise.reject(new LakeError("unavailable", "The service is stopping."));
    if (signal.aborted) return Promise.reject(reasonOf(signal));
    if (this.#taken < this.#options.workers) {
      this.#taken++;
      return Promise.resolve();
    }
    if (this.#waiting.length >= this.#options.queue) return Promise.reject(this.#full());
    return new Promise((resolve, reject) => {
      const give_up = () => {
        this.#waiting.splice(this.#waiting.indexOf(waiter), 1);
        reject(reasonOf(signal));
      };
      const settle = (then: () => void) => {
        signal.removeEventListener("abort", give_up);
        then();
      };
      const waiter: Waiter = { give: () => settle(resolve), fail: (error) => settle(() => reject(error)) };
      this.#waiting.push(waiter);
      signal.addEventListener("abort", give_up, { once: true });
    });
  }

  /** The place goes to who waits longest, or becomes free. */
  #leave(): void {
    const next = this.#waiting.shift();
    if (next) next.give();
    else this.#taken--;
  }

  #takeSpare(): Process | undefined {
    const spare = this.#spare;
    this.#spare = undefined;
    clearTimeout(spare?.timer);
    return spare?.child.alive ? spare.child : undefined;
  }

  #full(): LakeError {
    const ahead = this.#waiting.length + 1;
    const retry_after_s = Math.max(1, Math.ceil((ahead * this.#held_ms) / this.#options.workers / 1000));
    return new LakeError(
      "queue_full",
      `${this.#options.workers} ${this.#options.what} run and ${this.#waiting.length} wait already; try again in ${retry_after_s} s.`,
      { retry_after_s },
    );
  }
}
