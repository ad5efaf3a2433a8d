/** What vectord asks of its processes with DuckDB: an index into Parquet, and rows into batches. */
import type { TableContent } from "../../shared/duckdb/content.ts";
import type { EngineProcess } from "../../shared/duckdb/process.ts";
import type { BatchLimits } from "./batch.ts";
import type { IndexSettings } from "./schema.ts";

export interface WriteParquet {
  /** The index's SQLite file. */
  items_path: string;
  out: string;
  with_vectors: boolean;
  now_ms: number;
}

/** Columns of a table by the part of an item that they become. */
export interface Columns {
  id: string;
  text: string | null;
  vector: string | null;
  metadata: readonly string[];
}

export interface OpenTable {
  table: TableContent;
  columns: Columns;
  /** A condition of SQL on its rows, made by ourselves; null to take all. */
  where: string | null;
}

/** A Parquet file, whose columns say by their names what they are, or a table. */
export type OpenRows = { parquet: string } | OpenTable;

export interface Opened {
  rows: number;
  /** Of the first row that has a vector; null where there is none. */
  dimension: number | null;
}

export interface ReadRows {
  settings: IndexSettings;
  limits: BatchLimits;
  /** The index's SQLite file, to leave out rows whose items are the same already; null to take all. */
  items_path: string | null;
}

/** The next rows, judged, as a batch of NDJSON. */
export interface RowBatch {
  /** Where the batch lies; null where no row of these goes in. */
  path: string | null;
  /** Rows read for it. */
  rows: number;
  unchanged: number;
  skipped: number;
  /** Whether there are no rows after these. */
  is_last: boolean;
}

export type TableWork = {
  write(request: WriteParquet): { rows: number };
  open(request: OpenRows): Opened;
  /** Reads all rows and refuses the first that can't be an item. */
  judge(request: ReadRows): { rows: number };
  next(request: ReadRows): RowBatch;
  /** The next ids of the index that the rows lack; none where there are no more. */
  missing(request: { items_path: string; limit: number }): { ids: string[] };
};
export type TableProcess = EngineProcess<TableWork>;
