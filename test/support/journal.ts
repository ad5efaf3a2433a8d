/** Opens a journal as the tests need it, and tells what it applied. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { crc32 } from "node:zlib";
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

/** A line framed by the letter of the format, without the journal's own code. */
export function framed(record: object, seq: number): string {
  const body = JSON.stringify(record).slice(0, -1);
  const checked = `${body}${body === "{" ? "" : ","}"_seq":${seq}`;
  return `${checked},"_crc":"${crc32(checked).toString(16).padStart(8, "0")}"}\n`;
}

export function linesOf(path: string): string[] {
  return readFileSync(path, "utf8").split("\n").slice(0, -1);
}

export function recordsOf(applied: OpenedJournal["applied"]): Note[] {
  return applied.map(({ record }) => record);
}
