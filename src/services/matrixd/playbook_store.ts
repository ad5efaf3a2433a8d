/** What answered which query: a journal on the disk, and the playbooks that it adds up to in memory. */
import { LakeError } from "../../shared/errors.ts";
import { type Appended, type JournalRecord, type JournalReport, openJournal } from "../../shared/journal.ts";
import type { Log } from "../../shared/log.ts";
import type { Metrics } from "../../shared/metrics.ts";
import type { Playbook, PlaybookRecord, RetireRequest } from "./judgement_schema.ts";

/** A line of the journal: a record as it was sent, or that a playbook is retired. */
type Line = JournalRecord & { readonly at: string } & (
    | { readonly playbook: Omit<PlaybookRecord, "id"> }
    | { readonly retired: string; readonly reason?: string }
  );

export type Known = Omit<Playbook, "strength"> & {
  /** Its place among all, from 1. */
  readonly place: number;
};

export interface PlaybookStore {
  /** In the order in which they were first recorded. */
  readonly playbooks: ReadonlyMap<string, Known>;
  /** Durable and in the map when it resolves. @throws LakeError queue_full, unavailable, resource_limit */
  record(records: readonly PlaybookRecord[], at: string): Promise<Appended[]>;
  /** @throws LakeError queue_full, unavailable */
  retire(request: RetireRequest, at: string): Promise<void>;
  report(): JournalReport;
  close(): Promise<void>;
}

export interface PlaybookStoreOptions {
  readonly path: string;
  readonly max_playbooks: number;
  readonly dedupe_records: number;
  readonly queue_records: number;
  readonly lock_wait_ms: number;
  readonly log: Log;
  readonly metrics: Metrics;
}

const SEGMENT_BYTES = 64 * 1024 * 1024;
const MAX_RECORD_BYTES = 128 * 1024;
const MAX_TAGS = 64;
const ID_HEX_DIGITS = 32;

/** @throws LockHeldError where another process keeps the same file */
export async function openPlaybookStore(options: PlaybookStoreOptions): Promise<PlaybookStore> {
  const { max_playbooks } = options;
  const playbooks = new Map<string, Known>();
  /** Those on their way to the disk count, too. */
  const arriving = new Map<string, number>();
  const journal = await openJournal<Line>({
    ...options,
    durability: "fsync",
    segment_bytes: SEGMENT_BYTES,
    queue_bytes: options.queue_records * MAX_RECORD_BYTES,
    max_record_bytes: MAX_RECORD_BYTES,
    apply: (line) => apply(playbooks, line),
    // No older system wrote this file.
    adopt: () => undefined,
  });
  return {
    playbooks,
    record: async (records, at) => {
      const ids = records.map(idOf);
      const fresh = new Set(ids.filter((id) => !playbooks.has(id) && !arriving.has(id)));
      if (playbooks.size + arriving.size + fresh.size > max_playbooks)
        throw new LakeError(
          "resource_limit",
          `There may be at most ${max_playbooks} playbooks, those retired included (matrixd.max_playbooks).`,
        );
      for (const id of ids) if (!playbooks.has(id)) arriving.set(id, (arriving.get(id) ?? 0) + 1);
      try {
        const appends = records.map(async ({ id, ...playbook }) =>
          journal.append({ ...(id === undefined ? {} : { id }), at, playbook }),
        );
        return await whole(appends);
      } finally {
        for (const id of ids) leave(arriving, id);
      }
    },
    retire: async ({ id, reason }, at) => {
      await journal.append({ at, retired: id, ...(reason === undefined ? {} : { reason }) });
    },
    report: () => journal.report(),
    close: () => journal.close(),
  };
}

/** The same query, however spaced and cased, and the same answer are one playbook. */
export function idOf({ query, answer }: Pick<PlaybookRecord, "query" | "answer">): string {
  const key = JSON.stringify([wording(query), answer.corpus, answer.id]);
  return new Bun.CryptoHasher("sha256").update(key).digest("hex").slice(0, ID_HEX_DIGITS);
}

const wording = (query: string) => query.normalize("NFKC").toLowerCase().trim().replace(/\s+/g, " ");

function apply(playbooks: Map<string, Known>, line: Line): void {
  if ("retired" in line) {
    const known = playbooks.get(line.retired);
    // A line whose playbook a damaged line stood for has nothing to retire.
    if (!known) return;
    const retired_reason = line.reason === undefined ? {} : { retired_reason: line.reason };
    playbooks.set(line.retired, { ...known, updated_at: line.at, retired_at: line.at, ...retired_reason });
    return;
  }
  const { query, answer, score = 1, outcome = "success", tags = [] } = line.playbook;
  const id = idOf(line.playbook);
  const before = playbooks.get(id) ?? {
    id,
    query,
    answer,
    tags: [],
    successes: 0,
    failures: 0,
    created_at: line.at,
    retired_at: null,
    place: playbooks.size + 1,
  };
  playbooks.set(id, {
    ...before,
    tags: [...new Set([...before.tags, ...tags])].slice(0, MAX_TAGS),
    successes: before.successes + (outcome === "success" ? score : 0),
    failures: before.failures + (outcome === "failure" ? 1 : 0),
    updated_at: line.at,
  });
}

function leave(arriving: Map<string, number>, id: string): void {
  const left = (arriving.get(id) ?? 0) - 1;
  if (left > 0) arriving.set(id, left);
  else arriving.delete(id);
}

/** Waits for all, so that nothing is under way when the first failure is told. */
async function whole<T>(appends: readonly Promise<T>[]): Promise<T[]> {
  const settled = await Promise.allSettled(appends);
  return settled.map((it) => {
    if (it.status === "rejected") throw it.reason;
    return it.value;
  });
}
