/** Work that goes on without its request: each job kept as a file, so that a restart can tell what became of it. */
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type ErrorCode, type ErrorDetails, LakeError, messageOf } from "./errors.ts";
import type { Log } from "./log.ts";

export interface JobError extends ErrorDetails {
  code: ErrorCode;
  detail: string;
}

/** What every job tells; a service's own jobs tell more. */
export interface JobState {
  job_id: string;
  status: "queued" | "running" | "done" | "failed";
  phase: string;
  /** Of the present phase, 0 to 100. */
  percent: number;
  created_at: string;
  finished_at: string | null;
  error: JobError | null;
}

export interface JobsOptions {
  readonly folder: string;
  /** Finished jobs that can still be asked for. */
  readonly kept: number;
  /** What a job that a stop of the service cut off is told to have failed for. */
  readonly cut_off: string;
  readonly now: () => Date;
  readonly log: Log;
}

interface Entry<Job> {
  job: Job;
  watchers: Set<() => void>;
}

const SUFFIX = ".json";

/** @typeParam Job its phases include "queued", "done" and "failed" */
export class Jobs<Job extends JobState> {
  readonly #options: JobsOptions;
  /** Oldest first. */
  readonly #entries = new Map<string, Entry<Job>>();

  constructor(options: JobsOptions) {
    this.#options = options;
    mkdirSync(options.folder, { recursive: true });
    this.#load();
  }

  /** @throws LakeError not_found */
  get(job_id: string): Job {
    return this.#entry(job_id).job;
  }

  /** @param own what this job tells beside what every one does */
  create(own: Omit<Job, keyof JobState>): Job {
    const state: JobState = {
      job_id: Bun.randomUUIDv7(),
      status: "queued",
      phase: "queued",
      percent: 0,
      created_at: this.#options.now().toISOString(),
      finished_at: null,
      error: null,
    };
    const job = { ...own, ...state } as Job;
    this.#entries.set(job.job_id, { job, watchers: new Set() });
    this.#save(job);
    this.#forgetOldest();
    return job;
  }

  /** Changes a job and tells its watchers; its end is kept on disk. */
  update(job_id: string, change: Partial<Job>): void {
    const entry = this.#entry(job_id);
    entry.job = { ...entry.job, ...change };
    if (change.status === "done" || change.status === "failed") {
      entry.job.finished_at = this.#options.now().toISOString();
      this.#save(entry.job);
    }
    for (const wake of entry.watchers) wake();
  }

  /** Runs a job to its end. @param work answers with what the finished job tells */
  async run(job_id: string, work: () => Promise<Partial<Job>>): Promise<void> {
    try {
      const told = await work();
      this.update(job_id, { ...told, status: "done", phase: "done", percent: 100 } as Partial<Job>);
    } catch (error) {
      const known = error instanceof LakeError && error.code !== "internal" ? error : undefined;
      if (!known)
        this.#options.log.error(
          { job_id, err: { message: messageOf(error), cause: (error as Error).cause } },
          "a job failed",
        );
      const { code = "internal", message: detail = "Internal error", details = {} } = known ?? {};
      this.#fail(job_id, { ...details, code, detail });
    }
  }

  #fail(job_id: string, error: JobError): void {
    this.update(job_id, { status: "failed", phase: "failed", error } as Partial<Job>);
  }

  /** The job now, and again whenever it has changed, to its end. @throws LakeError not_found */
  async *watch(job_id: string, signal: AbortSignal): AsyncGenerator<Job> {
    const entry = this.#entry(job_id);
    let wake = () => {};
    const notify = () => wake();
    entry.watchers.add(notify);
    signal.addEventListener("abort", notify, { once: true });
    try {
      for (let told: Job | undefined; !signal.aborted; ) {
        const changed = new Promise<void>((resolve) => {
          wake = resolve;
        });
        if (told === entry.job) await changed;
        if (signal.aborted) return;
        told = entry.job;
        yield told;
        if (isOver(told)) return;
      }
    } finally {
      entry.watchers.delete(notify);
      signal.removeEventListener("abort", notify);
    }
  }

  #entry(job_id: string): Entry<Job> {
    const entry = this.#entries.get(job_id);
    if (entry) return entry;
    throw new LakeError(
      "not_found",
      `There is no job "${job_id}"; the last ${this.#options.kept} finished ones are kept.`,
    );
  }

  #path(job_id: string): string {
    return join(this.#options.folder, job_id + SUFFIX);
  }

  #save(job: Job): void {
    const path = this.#path(job.job_id);
    writeFileSync(`${path}.new`, JSON.stringify(job));
    renameSync(`${path}.new`, path);
  }

  #forgetOldest(): void {
    const over = [...this.#entries.values()].filter((it) => isOver(it.job));
    for (const { job } of over.slice(0, Math.max(0, over.length - this.#options.kept))) {
      this.#entries.delete(job.job_id);
      rmSync(this.#path(job.job_id), { force: true });
    }
  }

  /** Jobs of an earlier process: what was under way then has failed. Ids are in order of time. */
  #load(): void {
    for (const name of readdirSync(this.#options.folder).sort()) {
      if (!name.endsWith(SUFFIX)) rmSync(join(this.#options.folder, name), { force: true });
      else this.#revive(name);
    }
    this.#forgetOldest();
  }

  #revive(name: string): void {
    let job: Job;
    try {
      job = JSON.parse(readFileSync(join(this.#options.folder, name), "utf8")) as Job;
    } catch (error) {
      // A crash can leave a file without its bytes; the job can't be told any more.
      this.#options.log.warn({ job_file: name, err: error }, "a job's file could not be read");
      rmSync(join(this.#options.folder, name), { force: true });
      return;
    }
    this.#entries.set(job.job_id, { job, watchers: new Set() });
    if (isOver(job)) return;
    this.#fail(job.job_id, { code: "unavailable", detail: this.#options.cut_off });
  }
}

function isOver(job: JobState): boolean {
  return job.status === "done" || job.status === "failed";
}
