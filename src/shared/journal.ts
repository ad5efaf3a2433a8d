/**
 * An append-only JSONL journal: persist, then apply, then acknowledge. One writer takes all that waits, writes it,
 * syncs once, and only then applies and acknowledges the whole batch, in the order of the appends. After a failed
 * write or sync nothing is acknowledged any more until a restart.
 */
import { closeSync, existsSync, fstatSync, ftruncateSync, openSync, renameSync, rmSync } from "node:fs";
import { basename } from "node:path";
import { LakeError, messageOf } from "./errors.ts";
import { FRAME_BYTES, toText, writeFrame } from "./journal/frame.ts";
import { MemoryJournal } from "./journal/memory.ts";
import { journalMeter, type Meter } from "./journal/meter.ts";
import { RecentIds } from "./journal/recent_ids.ts";
import { type Faults, Replay } from "./journal/replay.ts";
import {
  createDirectory,
  JournalFiles,
  type Segment,
  syncData,
  syncDirectory,
  writeAll,
} from "./journal/segments.ts";
import { type FileLock, lockFile } from "./lock.ts";
import type { Log } from "./log.ts";
import type { Metrics } from "./metrics.ts";

/** A JSON object; with an id, appending it again within the last `dedupe_records` is a repeat and the first wins. */
export interface JournalRecord {
  readonly id?: string;
}

export type Appended = "appended" | "duplicate";

export interface JournalReport extends Faults {
  /** Records held, on disk and in memory. */
  records: number;
  /** Files, the active one included. */
  segments: number;
  /** Why nothing is accepted any more. */
  failure?: string;
}

export interface Journal<R extends JournalRecord> {
  /**
   * Resolves once the record is durable and applied; appends resolve in the order they were made.
   * @throws LakeError at once: invalid, too_large, queue_full, unavailable; later, by rejecting: unavailable
   */
  append(record: R): Promise<Appended>;
  report(): JournalReport;
  /** Waits for what was appended, then lets the files go. */
  close(): Promise<void>;
}

export interface JournalOptions<R extends JournalRecord> {
  /** The active segment, `<name>.jsonl`; "" keeps nothing. */
  readonly path: string;
  /** "os" acknowledges what the kernel has, which a power cut may lose. */
  readonly durability: "fsync" | "os";
  /** The size at which the active segment is closed. */
  readonly segment_bytes: number;
  /** How many closed segments are kept, the newest; all by default. */
  readonly keep_segments?: number;
  readonly dedupe_records: number;
  /** Records, and bytes of them, waiting for the disk; past either an append is refused. */
  readonly queue_records: number;
  readonly queue_bytes: number;
  readonly max_record_bytes: number;
  /** How long to wait for a predecessor that still holds the journal. */
  readonly lock_wait_ms: number;
  /** Replay applies only so many of the newest records; all by default. */
  readonly apply_last?: number;
  readonly log: Log;
  readonly metrics: Metrics;
  /** Takes a record that is durable; must not throw. Replayed records come first, in order. */
  apply(record: R, seq: number): void;
  /** The record that a line an older system wrote, unframed, stands for; undefined where it is none. */
  adopt(value: object, seq: number): R | undefined;
}

const BATCH_BYTES = 64 * 1024;
/** A buffer that one large batch made larger than this is not kept. */
const KEPT_BATCH_BYTES = 4 * 1024 * 1024;
/** UTF-8 bytes of one UTF-16 code unit, at most. */
const UTF8_PER_UNIT = 3;

/**
 * Opens a journal, waiting for its lock, and replays it.
 * @throws LockHeldError where another process has it; a system error where the files can't be used
 */
export async function openJournal<R extends JournalRecord>(options: JournalOptions<R>): Promise<Journal<R>> {
  if (options.path === "") return new MemoryJournal(options);
  const files = new JournalFiles(options.path);
  await createDirectory(files.directory);
  const lock = await lockFile(files.lock, options.lock_wait_ms);
  try {
    return await replay(options, files, lock);
  } catch (error) {
    lock.release();
    throw error;
  }
}

async function replay<R extends JournalRecord>(
  options: JournalOptions<R>,
  files: JournalFiles,
  lock: FileLock,
): Promise<FileJournal<R>> {
  const ids = new RecentIds(options.dedupe_records);
  const apply_last = options.apply_last ?? Number.POSITIVE_INFINITY;
  const all = files.segments();
  const read = all.slice(unneeded(all, Math.max(apply_last, options.dedupe_records)));
  // Only where old segments are deleted or left unread may the first sequence number be another than 1.
  const may_begin_late = options.keep_segments !== undefined || read.length < all.length;
  const before_seq = may_begin_late ? (read[0]?.first_seq ?? 1) - 1 : 0;
  const reader = new Replay<R>({ ...options, ids, apply_last }, before_seq);
  for (const segment of read) reader.readSegment(segment);
  const fd = openSync(files.active, "a+", 0o644);
  try {
    await reader.readActive(files.active, fd);
    // What a predecessor wrote and did not live to sync is answered as a duplicate from now on: it must be durable.
    await syncData(fd);
    await syncDirectory(files.directory);
    const last_seq = reader.finish();
    const skipped = before_seq - (all[0]?.first_seq ?? 1) + 1;
    return new FileJournal(options, files, lock, ids, {
      fd,
      last_seq,
      first_seq: reader.active_first_seq ?? last_seq + 1,
      size_bytes: fstatSync(fd).size,
      segments: all,
      records: reader.records + skipped,
      faults: reader.faults,
    });
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/** How many of the oldest segments hold nothing of the newest `needed` records. */
function unneeded(segments: readonly Segment[], needed: number): number {
  const newest_seq = segments.at(-1)?.first_seq ?? 1;
  const oldest_needed = segments.findLastIndex((segment) => newest_seq - segment.first_seq >= needed);
  return Math.max(0, oldest_needed);
}

interface Opened {
  readonly fd: number;
  readonly last_seq: number;
  /** The first sequence number of the active segment. */
  readonly first_seq: number;
  readonly size_bytes: number;
  readonly segments: Segment[];
  readonly records: number;
  readonly faults: Faults;
}

/** Records on their way to the disk, already as bytes. */
class Batch<R> {
  bytes: Buffer;
  used_bytes = 0;
  readonly records: R[] = [];
  readonly #settled = Promise.withResolvers<Appended>();

  constructor(bytes: Buffer) {
    this.bytes = bytes;
    // Whoever appended hears of a failure; with nobody listening any more it must not end the process.
    this.#settled.promise.catch(() => {});
  }

  get appended(): Promise<Appended> {
    return this.#settled.promise;
  }

  /** Frames a record at the end of the batch. */
  add(record: R, text: string, seq: number): void {
    const needed = this.used_bytes + text.length * UTF8_PER_UNIT + FRAME_BYTES;
    if (needed > this.bytes.length) {
      const larger = Buffer.allocUnsafe(Math.max(this.bytes.length * 2, needed));
      this.bytes.copy(larger, 0, 0, this.used_bytes);
      this.bytes = larger;
    }
    const length = this.bytes.write(text, this.used_bytes, "utf8");
    this.used_bytes = writeFrame(this.bytes, this.used_bytes, length, seq);
    this.records.push(record);
  }

  acknowledge(): void {
    this.#settled.resolve("appended");
  }

  refuse(failure: LakeError): void {
    this.#settled.reject(failure);
  }
}

class FileJournal<R extends JournalRecord> implements Journal<R> {
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
    const started_ms = performance.now();
    writeAll(this.#fd, batch.bytes, batch.used_bytes);
    if (this.#options.durability === "fsync") {
      await syncData(this.#fd);
      this.#meter.synced();
    }
    this.#size_bytes += batch.used_bytes;
    this.#meter.batch(batch.records.length, batch.used_bytes, (performance.now() - started_ms) / 1000);
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
    this.#meter.failed();
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
