/** Opens a journal as the tests need it, and tells what it applied. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Journal, type JournalOptions, openJournal } from "../../src/shared/journal.ts";
import { createLog } from "../../src/shared/log.ts";
import { Metrics } from "../../src/shared/metrics.ts";

export interface Note {
  readonly id?: string;
  readonly [member: string]: unknown;
}

export interface OpenedJournal {
  readonly journal: Journal<Note>;
  /** Every record applied, in order, replay first. */
  readonly applied: { seq: number; record: Note }[];
}

/** The name of the active segment in a test's directory. */
export const ACTIVE = "notes.jsonl";

export async function openAt(
  directory: string,
  overrides: Partial<JournalOptions<Note>> = {},
): Promise<OpenedJournal> {
  const applied: OpenedJournal["applied"] = [];
  const journal = await openJournal<Note>({
    path: join(directory, ACTIVE),
    durability: "fsync",
    segment_bytes: 64 * 1024 * 1024,
    dedupe_records: 1000,
    queue_records: 10_000,
    queue_bytes: 64 * 1024 * 1024,
    max_record_bytes: 1024 * 1024,
    lock_wait_ms: 0,
    log: createLog("silent"),
    metrics: new Metrics(),
    apply: (record, seq) => applied.push({ seq, record }),
    adopt: (value) => ("note" in value ? (value as Note) : undefined),
    ...overrides,
  });
  return { journal, applied };
}

/** A directory for one test, gone after it. */
export async function inDirectory<T>(work: (directory: string) => Promise<T>, root = tmpdir()): Promise<T> {
  const directory = mkdtempSync(join(root, "lakehouse-journal-"));
  try {
    return await work(directory);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
