/** Where traces are kept: a journal on disk, and what its records amount to in memory. */
import { dirname, join } from "node:path";
import { type JournalReport, openJournal } from "../../shared/journal.ts";
import type { Log } from "../../shared/log.ts";
import type { Metrics } from "../../shared/metrics.ts";
import { type PathRecord, redacted } from "./records.ts";
import { Traces } from "./traces.ts";
import { Watermark } from "./watermark.ts";

/** A record as it is made; its id tells it from a repeat. */
type Draft<R> = R extends PathRecord ? Omit<R, "id"> : never;
export type NewRecord = Draft<PathRecord>;

export interface TraceStore {
  readonly traces: Traces;
  readonly watermark: Watermark;
  /** The newest record that is applied. */
  readonly applied_seq: number;
  /** Durable and in memory when it resolves. @throws LakeError too_large, queue_full, unavailable */
  append(record: NewRecord): Promise<void>;
  /**
   * Takes forgotten traces out of every file of the journal.
   * @param texts of theirs, by which damaged lines are known beside the uids
   * @throws LakeError unavailable, or a system error
   */
  redact(uids: readonly string[], texts: readonly string[]): Promise<void>;
  report(): JournalReport;
  close(): Promise<void>;
}

export interface TraceStoreOptions {
  /** The journal's active segment; "" keeps nothing. */
  readonly path: string;
  readonly durability: "fsync" | "os";
  readonly segment_bytes: number;
  readonly dedupe_records: number;
  readonly queue_records: number;
  readonly queue_bytes: number;
  readonly max_record_bytes: number;
  readonly lock_wait_ms: number;
  readonly log: Log;
  readonly metrics: Metrics;
  newId(): string;
  /** Told of each version that the index may not hold as it is. */
  touched(uid: string, version: number, seq: number, is_new: boolean): void;
}

/** @throws LockHeldError where another process keeps the same file */
export async function openTraceStore(options: TraceStoreOptions): Promise<TraceStore> {
  const { path, touched, newId } = options;
  const watermark = new Watermark(path === "" ? undefined : join(dirname(path), "indexed.json"));
  const covered_seq = watermark.mark?.seq ?? 0;
  let applied_seq = 0;
  const traces = new Traces({
    touched: (uid, version, seq, is_new) => {
      if (seq > covered_seq) touched(uid, version, seq, is_new);
    },
  });
  const journal = await openJournal<PathRecord>({
    ...options,
    apply: (record, seq) => {
      applied_seq = seq;
      traces.apply(record, seq);
    },
    adopt: () => undefined,
  });
  return {
    traces,
    watermark,
    get applied_seq() {
      return applied_seq;
    },
    append: async (record) => {
      await journal.append({ id: newId(), ...record } as PathRecord);
    },
    redact: (uids, texts) => {
      const gone = new Set(uids);
      const known_by = [...uids, ...texts];
      return journal.rewrite({
        seqs: new Set(uids.flatMap((uid) => traces.erasing.get(uid) ?? [])),
        replace: (record) => redacted(record, gone),
        isConcerned: (line) => known_by.some((it) => line.includes(it)),
      });
    },
    report: () => journal.report(),
    close: () => journal.close(),
  };
}
