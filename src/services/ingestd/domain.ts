/**
 * The rules of ingest: what each mode does to a table, what may be repeated, and that a table is at its old
 * snapshot or at the new one, whole, whatever ends the work on the way.
 */

import { dirname } from "node:path";
import { removeScratch } from "../../shared/duckdb/scratch.ts";
import type { Workshop } from "../../shared/duckdb/workshop.ts";
import { LakeError } from "../../shared/errors.ts";
import type { Jobs } from "../../shared/jobs.ts";
import type { Log } from "../../shared/log.ts";
import type { Catalogd } from "../catalogd/schema.ts";
import type { Storaged } from "../storaged/schema.ts";
import { type CommitterOptions, IngestCommitter } from "./commit.ts";
import { type Report, readOptions } from "./draft.ts";
import type { ConversionProcess } from "./protocol.ts";
import { formatOf, type Received, type ReceiveLimits, receive } from "./receive.ts";
import type { Ingestd, Ingested, IngestOptions, Job, Upload } from "./schema.ts";
import { PIECE_BYTES } from "./text.ts";

export interface IngestdOptions extends ReceiveLimits, CommitterOptions {
  readonly timeout_ms: number;
}

export interface IngestdParts {
  readonly storaged: Storaged;
  readonly catalogd: Catalogd;
  readonly workshop: Workshop<ConversionProcess>;
  readonly jobs: Jobs<Job>;
  readonly log: Log;
}

export class IngestdDomain implements Ingestd {
  readonly #parts: IngestdParts;
  readonly #options: IngestdOptions;
  readonly #committer: IngestCommitter;
  readonly #background = new Set<Promise<void>>();

  constructor(parts: IngestdParts, options: IngestdOptions) {
    this.#parts = parts;
    this.#options = options;
    this.#committer = new IngestCommitter(parts, options);
  }

  get load(): { running: number; waiting: number } {
    return this.#parts.workshop.load;
  }

  async ingest(options: IngestOptions, upload: Upload): Promise<Ingested & { created: boolean }> {
    const started_ms = performance.now();
    checkOptions(options);
    this.#parts.workshop.announce();
    const signal = AbortSignal.any([upload.signal, this.#deadline()]);
    const path = `${this.#parts.workshop.folder()}/input`;
    try {
      const looking = this.#lookAhead(options, upload, path);
      const received = await receive({ ...upload, signal }, path, this.#options, looking);
      return await this.#run(options, received, upload.idempotency_key, signal, started_ms, () => {});
    } finally {
      this.#behind(removeScratch(dirname(path), this.#parts.log));
    }
  }

  async submit(options: IngestOptions, upload: Upload): Promise<Job> {
    const started_ms = performance.now();
    checkOptions(options);
    this.#parts.workshop.announce();
    const signal = this.#deadline();
    const path = `${this.#parts.workshop.folder()}/input`;
    let job: Job;
    let received: Received;
    try {
      const until_received = AbortSignal.any([upload.signal, signal]);
      const looking = this.#lookAhead(options, upload, path);
      received = await receive({ ...upload, signal: until_received }, path, this.#options, looking);
      job = this.#parts.jobs.create({
        dataset: options.name,
        bytes: received.bytes,
        rows: 0,
        result: null,
      });
    } catch (error) {
      this.#behind(removeScratch(dirname(path), this.#parts.log));
      throw error;
    }
    const run = async () => {
      const report: Report = (told) => this.#parts.jobs.update(job.job_id, { status: "running", ...told });
      const key = upload.idempotency_key;
      const { created: _created, ...result } = await this.#run(
        options,
        received,
        key,
        signal,
        started_ms,
        report,
      );
      return { rows: result.rows, result };
    };
    const work = this.#parts.jobs
      .run(job.job_id, run)
      .finally(() => removeScratch(dirname(path), this.#parts.log));
    this.#behind(work);
    return job;
  }

  async job(job_id: string): Promise<Job> {
    return this.#parts.jobs.get(job_id);
  }

  watch(job_id: string, signal: AbortSignal): AsyncIterable<Job> {
    // Asked at once, so that an unknown job is told before an answer has begun.
    this.#parts.jobs.get(job_id);
    return this.#parts.jobs.watch(job_id, signal);
  }

  async close(): Promise<void> {
    await this.#parts.workshop.close();
    await Promise.all(this.#background);
  }

  /**
   * Has the process started ahead look at the first MiB while the rest arrives: with all of it there, one core would
   * wait for that. @returns what is to be told of the bytes that lie in the file
   */
  #lookAhead(options: IngestOptions, upload: Upload, input: string): (written: number) => void {
    let has_asked = false;
    return (written) => {
      if (has_asked || written <= PIECE_BYTES) return;
      has_asked = true;
      const read = readOptions(options, formatOf(upload.content_type, null));
      // Another's file may take the process meanwhile: only its own sender may end it.
      const never = new AbortController().signal;
      const looked = this.#parts.workshop.ahead?.ask("look", { input, read }, () => {}, never);
      looked?.catch(() => {}); // The conversion looks again, and tells.
    };
  }

  /** Keeps `work` in mind until it is done, for `close` to wait for. */
  #behind(work: Promise<void>): void {
    this.#background.add(work);
    void work.finally(() => this.#background.delete(work));
  }

  #run(
    options: IngestOptions,
    received: Received,
    idempotency_key: string | null,
    signal: AbortSignal,
    started_ms: number,
    report: Report,
  ): Promise<Ingested & { created: boolean }> {
    const fingerprint = fingerprintOf(options, received);
    return this.#parts.workshop.run(signal, async (child) => {
      const outcome = await this.#committer.commit(
        { options, received, fingerprint, idempotency_key, signal, report },
        child,
      );
      return { ...outcome, elapsed_ms: Math.round(performance.now() - started_ms) };
    });
  }

  #deadline(): AbortSignal {
    const { timeout_ms } = this.#options;
    const late = new AbortController();
    const timer = setTimeout(
      () =>
        late.abort(
          new LakeError("deadline", `The ingest took longer than ${timeout_ms} ms (ingestd.timeout_ms).`),
        ),
      timeout_ms,
    );
    // It may not keep a process alive that has nothing else to do.
    timer.unref();
    return late.signal;
  }
}

/** @throws LakeError invalid for options that contradict each other */
function checkOptions(options: IngestOptions): void {
  if (options.key !== undefined && options.mode !== "upsert")
    throw new LakeError("invalid", "key is for mode=upsert; no other mode matches rows.");
}

/** What makes two ingests the same: the bytes and every option but the table's name. */
function fingerprintOf(options: IngestOptions, received: Received): string {
  const { name: _name, mode = "create", ...rest } = options;
  const sorted = Object.entries({ ...rest, mode }).sort(([a], [b]) => (a < b ? -1 : 1));
  const text = JSON.stringify([received.digest, received.bytes, sorted]);
  return new Bun.CryptoHasher("sha256").update(text).digest("hex");
}
