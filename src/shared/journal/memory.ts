/** A journal that keeps nothing: for `persist_path = ""`. */
import type { Appended, Journal, JournalRecord, JournalReport } from "../journal.ts";
import { toText } from "./frame.ts";
import { RecentIds } from "./recent_ids.ts";

const APPENDED: Promise<Appended> = Promise.resolve("appended");
const DUPLICATE: Promise<Appended> = Promise.resolve("duplicate");

export class MemoryJournal<R extends JournalRecord> implements Journal<R> {
  readonly #ids: RecentIds;
  readonly #apply: (record: R, seq: number) => void;
  readonly #max_record_bytes: number;
  #seq = 0;

  constructor(options: {
    dedupe_records: number;
    max_record_bytes: number;
    apply(record: R, seq: number): void;
  }) {
    this.#ids = new RecentIds(options.dedupe_records);
    this.#apply = options.apply;
    this.#max_record_bytes = options.max_record_bytes;
  }

  append(record: R): Promise<Appended> {
    toText(record, this.#max_record_bytes);
    if (record.id !== undefined && !this.#ids.add(record.id)) return DUPLICATE;
    this.#apply(record, ++this.#seq);
    return APPENDED;
  }

  /** There is no file to hold anything. */
  async rewrite(): Promise<void> {}

  report(): JournalReport {
    return { records: this.#seq, segments: 0, corrupt: 0, torn: 0, gaps: 0 };
  }

  async close(): Promise<void> {}
}
