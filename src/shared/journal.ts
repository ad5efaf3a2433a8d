/**
 * An append-only JSONL journal: persist, then apply, then acknowledge. One writer takes all that waits, writes it,
 * syncs once, and only then applies and acknowledges the whole batch, in the order of the appends. After a failed
 * write or sync nothing is acknowledged any more until a restart.
 */
import { closeSync, fstatSync, openSync } from "node:fs";
import { basename } from "node:path";
import { makeDirectory, syncDirectory } from "./files.ts";
import { ActiveSegment } from "./journal/active.ts";
import { FileJournal } from "./journal/file.ts";
import { MemoryJournal } from "./journal/memory.ts";
import { RecentIds } from "./journal/recent_ids.ts";
import { type Faults, Replay } from "./journal/replay.ts";
import type { Rewrite } from "./journal/rewrite.ts";
import { JournalFiles, type Segment, syncData } from "./journal/segments.ts";
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
  /**
   * Puts other records in the place of some that are applied; they keep their place in the order. When it resolves,
   * no file holds what was replaced, those of damaged lines included; a crash before that leaves each file as it was
   * or as it is to be. @throws a system error, or LakeError unavailable after a failed write
   */
  rewrite(rewrite: Rewrite<R>): Promise<void>;
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

/**
 * Opens a journal, waiting for its lock, and replays it.
 * @throws LockHeldError where another process has it; a system error where the files can't be used
 */
export async function openJournal<R extends JournalRecord>(options: JournalOptions<R>): Promise<Journal<R>> {
  if (options.path === "") return new MemoryJournal(options);
  const files = new JournalFiles(options.path);
  await makeDirectory(files.directory);
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
    const first_seq = reader.active_first_seq ?? last_seq + 1;
    return new FileJournal(options, {
      name: basename(files.active, ".jsonl"),
      files,
      active: new ActiveSegment(files, fd, fstatSync(fd).size, first_seq),
      lock,
      ids,
      last_seq,
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
