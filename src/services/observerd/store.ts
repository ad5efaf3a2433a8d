/** Where operations are kept: a journal on disk, and a ring of the newest in memory that it fills. */
import { type Appended, type JournalReport, openJournal } from "../../shared/journal.ts";
import type { Log } from "../../shared/log.ts";
import type { Metrics } from "../../shared/metrics.ts";
import { Ring } from "./ring.ts";
import type { StoredOp } from "./schema.ts";

export interface KeptOp {
  /** Its place in the order of arrival. */
  readonly seq: number;
  readonly op: StoredOp;
}

export interface OpStore {
  readonly ring: Pick<Ring<KeptOp>, "size" | "newest">;
  /** Durable and in the ring when it resolves. @throws LakeError too_large, queue_full, unavailable */
  append(op: StoredOp): Promise<Appended>;
  report(): JournalReport;
  close(): Promise<void>;
}

export interface OpStoreOptions {
  /** "" keeps nothing beyond the ring. */
  readonly path: string;
  readonly durability: "fsync" | "os";
  readonly ring_capacity: number;
  readonly dedupe_records: number;
  readonly segment_bytes: number;
  readonly keep_segments?: number;
  readonly queue_records: number;
  readonly queue_bytes: number;
  readonly max_record_bytes: number;
  readonly lock_wait_ms: number;
  readonly log: Log;
  readonly metrics: Metrics;
  /** The operation that a line of an older system stands for; undefined where it is none. */
  adopt(value: object, seq: number): StoredOp | undefined;
}

/** @throws LockHeldError where another process keeps the same file */
export async function openOpStore(options: OpStoreOptions): Promise<OpStore> {
  const ring = new Ring<KeptOp>(options.ring_capacity);
  const journal = await openJournal<StoredOp>({
    ...options,
    apply_last: options.ring_capacity,
    apply: (op, seq) => ring.push({ seq, op }),
  });
  return {
    ring,
    append: (op) => journal.append(op),
    report: () => journal.report(),
    close: () => journal.close(),
  };
}
