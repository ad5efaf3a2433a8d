/** Which corpora are registered: a journal on the disk, and a map of it in memory. */
import { type JournalRecord, type JournalReport, openJournal } from "../../shared/journal.ts";
import type { Log } from "../../shared/log.ts";
import type { Metrics } from "../../shared/metrics.ts";
import type { CorpusDefinition } from "./schema.ts";

export type RegisteredCorpus = CorpusDefinition & { readonly weight: number; readonly created_at: string };

/** A line of the journal: a corpus as it is from now on, or that there is none of this name any more. */
type Line = JournalRecord & ({ readonly corpus: RegisteredCorpus } | { readonly removed: string });

export interface CorpusStore {
  readonly corpora: ReadonlyMap<string, RegisteredCorpus>;
  /** Durable and in the map when it resolves. @throws LakeError queue_full, unavailable */
  put(corpus: RegisteredCorpus): Promise<void>;
  /** @throws LakeError queue_full, unavailable */
  remove(name: string): Promise<void>;
  report(): JournalReport;
  close(): Promise<void>;
}

export interface CorpusStoreOptions {
  readonly path: string;
  readonly queue_records: number;
  readonly lock_wait_ms: number;
  readonly log: Log;
  readonly metrics: Metrics;
}

const SEGMENT_BYTES = 64 * 1024 * 1024;
const MAX_RECORD_BYTES = 64 * 1024;

/** @throws LockHeldError where another process keeps the same file */
export async function openCorpusStore(options: CorpusStoreOptions): Promise<CorpusStore> {
  const corpora = new Map<string, RegisteredCorpus>();
  const journal = await openJournal<Line>({
    ...options,
    durability: "fsync",
    segment_bytes: SEGMENT_BYTES,
    dedupe_records: 0,
    queue_bytes: options.queue_records * MAX_RECORD_BYTES,
    max_record_bytes: MAX_RECORD_BYTES,
    apply: (line) => {
      if ("corpus" in line) corpora.set(line.corpus.name, line.corpus);
      else corpora.delete(line.removed);
    },
    // No older system wrote this file.
    adopt: () => undefined,
  });
  return {
    corpora,
    put: async (corpus) => {
      await journal.append({ corpus });
    },
    remove: async (name) => {
      await journal.append({ removed: name });
    },
    report: () => journal.report(),
    close: () => journal.close(),
  };
}
