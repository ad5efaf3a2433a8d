/** The rows that a process has open, taken batch by batch and added to an index. */
import { reasonOf } from "../../shared/duckdb/process.ts";
import { LakeError } from "../../shared/errors.ts";
import type { BatchLimits } from "./batch.ts";
import type { Added, IndexSettings, VectorItems } from "./schema.ts";
import type { RowBatch, TableProcess } from "./tables_protocol.ts";

export interface ItemBatches {
  readonly child: TableProcess;
  readonly items: Pick<VectorItems, "add">;
  /** The index's name. */
  readonly name: string;
  readonly settings: IndexSettings;
  readonly limits: BatchLimits;
  /** The index's SQLite file, to leave out rows whose items are the same already; null to take all. */
  readonly items_path: string | null;
  readonly signal: AbortSignal;
}

export interface Totals {
  rows: number;
  added: number;
  replaced: number;
  unchanged: number;
  skipped: number;
  truncated: number;
}

const PAUSE_MS = 200;

/** @param report told after each batch @throws LakeError */
export async function readBatches(batches: ItemBatches, report: (totals: Totals) => void): Promise<Totals> {
  const { child, settings, limits, items_path, signal } = batches;
  const totals: Totals = { rows: 0, added: 0, replaced: 0, unchanged: 0, skipped: 0, truncated: 0 };
  const ask = () => child.ask("next", { settings, limits, items_path }, () => {}, signal);
  for (let next: Promise<RowBatch> | undefined = ask(); next; ) {
    const { path, rows, unchanged, skipped, is_last }: RowBatch = await next;
    const bytes = path === null ? undefined : await Bun.file(path).bytes();
    // The rows after these are read while these are added.
    next = is_last ? undefined : ask();
    // Where adding fails, what it comes to is of no interest.
    next?.catch(() => {});
    if (bytes !== undefined) {
      const { added, replaced, truncated = 0 } = await addPatiently(batches, bytes);
      totals.added += added;
      totals.replaced += replaced;
      totals.truncated += truncated;
    }
    totals.rows += rows;
    totals.unchanged += unchanged;
    totals.skipped += skipped;
    report(totals);
  }
  return totals;
}

/** A batch that finds the queue full waits, since nobody else would send it again. */
async function addPatiently({ items, name, signal }: ItemBatches, bytes: Uint8Array): Promise<Added> {
  for (;;) {
    if (signal.aborted) throw reasonOf(signal);
    try {
      // A copy, since the bytes are handed over to the Worker that judges them.
      return await items.add(name, { bytes: bytes.slice(), format: "ndjson" });
    } catch (error) {
      if (!(error instanceof LakeError) || error.code !== "queue_full") throw error;
      await Bun.sleep(PAUSE_MS);
    }
  }
}
