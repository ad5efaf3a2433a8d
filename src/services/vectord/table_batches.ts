/** The rows that a process has open, taken batch by batch and added to an index. */
import { reasonOf } from "../../shared/duckdb/process.ts";
import { LakeError } from "../../shared/errors.ts";
import type { BatchLimits } from "./batch.ts";
import type { Added, IndexSettings, VectorItems } from "./schema.ts";
import type { TableProcess } from "./tables_protocol.ts";

export interface ItemBatches {
  readonly child: TableProcess;
  readonly items: VectorItems;
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
  for (let is_last = false; !is_last; ) {
    const batch = await child.ask("next", { settings, limits, items_path }, () => {}, signal);
    is_last = batch.is_last;
    totals.rows += batch.rows;
    totals.unchanged += batch.unchanged;
    totals.skipped += batch.skipped;
    if (batch.path !== null) {
      const { added, replaced, truncated = 0 } = await addPatiently(batches, batch.path);
      totals.added += added;
      totals.replaced += replaced;
      totals.truncated += truncated;
    }
    report(totals);
  }
  return totals;
}

/** A batch that finds the queue full waits, since nobody else would send it again. */
async function addPatiently({ items, name, signal }: ItemBatches, path: string): Promise<Added> {
  for (;;) {
    if (signal.aborted) throw reasonOf(signal);
    try {
      return await items.add(name, { bytes: await Bun.file(path).bytes(), format: "ndjson" });
    } catch (error) {
      if (!(error instanceof LakeError) || error.code !== "queue_full") throw error;
      await Bun.sleep(PAUSE_MS);
    }
  }
}
