/** A journal on disk: the writer behind openJournal. */
import { closeSync, existsSync, ftruncateSync, openSync, renameSync, rmSync } from "node:fs";
import { basename } from "node:path";
import { LakeError, messageOf } from "../errors.ts";
import type { Appended, Journal, JournalOptions, JournalRecord, JournalReport } from "../journal.ts";
import type { FileLock } from "../lock.ts";
import { Batch } from "./batch.ts";
import { toText } from "./frame.ts";
import { journalMeter, type Meter } from "./meter.ts";
import type { RecentIds } from "./recent_ids.ts";
import type { Faults } from "./replay.ts";
import { type JournalFiles, type Segment, syncData, syncDirectory, writeAll } from "./segments.ts";

const BATCH_BYTES = 64 * 1024;
/** A buffer that one large batch made larger than this is not kept. */
const KEPT_BATCH_BYTES = 4 * 1024 * 1024;

/** What replay found, to go on from. */
export interface Opened {
  readonly fd: number;
  readonly last_seq: number;
  /** The first sequence number of the active segment. */
  readonly first_seq: number;
  readonly size_bytes: number;
  readonly segments: Segment[];
  readonly records: number;
  readonly faults: Faults;
}

export class FileJournal<R extends JournalRecord> implements Journal<R> {
  readonly #options: JournalOptions<R>;
  readonly #files: JournalFiles;
  readonly #lock: FileLock;
  readonly #ids: RecentIds;
  readonly #meter: Meter;
  readonly #faults: Faults;
  readonly #segments: Segment[];
  #fd: number;
  #size_bytes: number;
  /** The first sequence number of the active segment. */
  #first_seq: number;
  /** The newest sequence number given out, and the newest applied. */
  #last_seq: number;
  #applied_seq: number;
  #records: number;
  #pending: Batch<R>;
  #in_flight: Batch<R> | undefined;
  #spare: Buffer = Buffer.allocUnsafe(BATCH_BYTES);
  #draining: Promise<void> | undefined;
  #failure: LakeError | undefined;
  #is_closed = false;

  constructor(
    options: JournalOptions<R>,
    files: JournalFiles,
    lock: FileLock,
    ids: RecentIds,
    opened: Opened,
  ) {
    this.#options = options;
    this.#files = files;
    this.#lock = lock;
    this.#ids = ids;
    this.#fd = opened.fd;
    this.#size_bytes = opened.size_bytes;
    this.#first_seq = opened.first_seq;
    this.#last_seq = opened.last_seq;
    this.#applied_seq = opened.last_seq;
    this.#segments = opened.segments;
    this.#records = opened.records;
    this.#faults = opened.faults;
    this.#pending = new Batch(Buffer.allocUnsafe(BATCH_BYTES));
    this.#meter = journalMeter(options.metrics, this.#name, () => this.#last_seq - this.#applied_seq);
  }

  get #name(): string {
    return basename(this.#files.active, ".jsonl");
  }

  append(record: R): Promise<Appended> {
    if (this.#failure) throw this.#failure;
    if (this.#is_closed) throw new LakeError("unavailable", "The journal is closing; send it again shortly.");
    const text = toText(record, this.#options.max_record_bytes);
    const waiting = this.#last_seq - this.#applied_seq;
    const waiting_bytes = this.#pending.used_bytes + (this.#in_flight?.used_bytes ?? 0);
    if (
      waiting >= this.#options.queue_records ||
      (waiting > 0 && waiting_bytes + text.length > this.#options.queue_bytes)
    )
      throw new LakeError("queue_full", `${waiting} records wait for the disk; send it again in a second.`, {
        retry_after_s: 1,
      });
    if (record.id !== undefined && !this.#ids.add(record.id)) return this.#duplicate();
    this.#pending.add(record, text, ++this.#last_seq);
    this.#draining ??= new Promise((resolve) => setImmediate(() => resolve(this.#drain())));
    return this.#pending.appended;
  }

  /** The first of the two may not be durable yet: a repeat waits for all that is under way. */
  async #duplicate(): Promise<Appended> {
    const newest = this.#pending.records.length > 0 ? this.#pending : this.#in_flight;
    await newest?.appended;
    return "duplicate";
  }

  report(): JournalReport {
    return {
      records: this.#records,
      segments: this.#segments.length + 1,
      ...this.#faults,
      ...(this.#failure ? { failure: this.#failure.message } : {}),
    };
  }

  async close(): Promise<void> {
    this.#is_closed = true;
    await this.#draining;
    if (this.#options.durability === "os" && !this.#failure) await syncData(this.#fd);
    closeSync(this.#fd);
    this.#lock.release();
  }

  async #drain(): Promise<void> {
    while (this.#pending.records.length > 0 && !this.#failure) {
      const batch = this.#pending;
      this.#in_flight = batch;
      this.#pending = new Batch(this.#spare);
      try {
        await this.#persist(batch);
        for (const record of batch.records) this.#options.apply(record, ++this.#applied_seq);
      } catch (error) {
        this.#fail(error, batch);
        break;
      }
      this.#records += batch.records.length;
      this.#in_flight = undefined;
      this.#spare = batch.bytes.length > KEPT_BATCH_BYTES ? Buffer.allocUnsafe(BATCH_BYTES) : batch.bytes;
      batch.acknowledge();
    }
    this.#draining = undefined;
  }

  async #persist(batch: Batch<R>): Promise<void> {
    if (this.#size_bytes >= this.#options.segment_bytes) await this.#rotate();
    writeAll(this.#fd, batch.bytes, batch.used_bytes);
    if (this.#options.durability === "fsync") {
      await syncData(this.#fd);
      this.#meter.syncs++;
    }
    this.#size_bytes += batch.used_bytes;
    this.#meter.batch(batch.records.length, batch.used_bytes);
  }

  /** Closes the active segment under its own name and begins another; both names are durable before it is used. */
  async #rotate(): Promise<void> {
    const path = this.#files.closed(this.#first_seq);
    if (existsSync(path)) throw new Error(`a segment named ${basename(path)} is there already`);
    await syncData(this.#fd);
    const { active } = this.#files;
    renameSync(active, path);
    if (existsSync(`${active}.corrupt`)) renameSync(`${active}.corrupt`, `${path}.corrupt`);
    const fd = openSync(active, "ax", 0o644);
    closeSync(this.#fd);
    this.#fd = fd;
    this.#segments.push({ path, first_seq: this.#first_seq });
    this.#first_seq = this.#applied_seq + 1;
    this.#size_bytes = 0;
    const { keep_segments } = this.#options;
    while (keep_segments !== undefined && this.#segments.length > keep_segments) {
      const oldest = this.#segments.shift() as Segment;
      rmSync(oldest.path);
      this.#records -= (this.#segments[0]?.first_seq ?? this.#first_seq) - oldest.first_seq;
    }
    await syncDirectory(this.#files.directory);
  }

  /** Refuses this batch, whatever waits behind it, and all that is to come. */
  #fail(error: unknown, batch: Batch<R>): void {
    const { code } = error as NodeJS.ErrnoException;
    this.#failure = new LakeError(
      "unavailable",
      `The journal ${this.#name} could not be written${code ? ` (${code})` : ""}; it accepts nothing until it is restarted.`,
      {},
      error,
    );
    this.#meter.failures++;
    this.#options.log.error({ journal: this.#name, cause: messageOf(error) }, "journal failed");
    batch.refuse(this.#failure);
    this.#pending.refuse(this.#failure);
    this.#in_flight = undefined;
    try {
      // The kernel may go on showing pages that it failed to write: a restart must not take them for durable.
      ftruncateSync(this.#fd, this.#size_bytes);
    } catch (cause) {
      this.#options.log.error(
        { journal: this.#name, cause: messageOf(cause) },
        "the failed batch was left in the file",
      );
    }
  }
}
