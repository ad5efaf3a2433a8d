/** Ingests that go on without their request: each kept as a file, so that a restart can tell what became of it. */
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { LakeError } from "../../shared/errors.ts";
import type { Log } from "../../shared/log.ts";
import type { Job } from "./schema.ts";

export interface JobsOptions {
  readonly folder: string;
  /** Finished jobs that can still be asked for. */
  readonly kept: number;
  readonly now: () => Date;
  readonly log: Log;
}

interface Entry {
  job: Job;
  watchers: Set<() => void>;
}

const SUFFIX = ".json";

export class Jobs {
  readonly #options: JobsOptions;
  /** Oldest first. */
  readonly #entries = new Map<string, Entry>();

  constructor(options: JobsOptions) {
    this.#options = options;
    mkdirSync(options.folder, { recursive: true });
    this.#load();
  }

  /** @throws LakeError not_found */
  get(job_id: string): Job {
    return this.#entry(job_id).job;
  }

  create(dataset: string, bytes: number): Job {
    const job: Job = {
      job_id: Bun.randomUUIDv7(),
      dataset,
      status: "queued",
      phase: "queued",
      percent: 0,
      bytes,
      rows: 0,
      created_at: this.#options.now().toISOString(),
      finished_at: null,
      result: null,
      error: null,
    };
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

  #entry(job_id: string): Entry {
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
    const detail =
      "The service stopped while this job was under way. Either all of it was committed or nothing: look at the table's history, and send the file again if it is not there (with the same Idempotency-Key it can't be added twice).";
    this.update(job.job_id, { status: "failed", phase: "failed", error: { code: "unavailable", detail } });
  }
}

function isOver(job: Job): boolean {
  return job.status === "done" || job.status === "failed";
}
