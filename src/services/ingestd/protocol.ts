/** What a conversion's process is asked and what it answers, as messages between the two. */
import type { EngineProcess } from "../../shared/duckdb/process.ts";
import type { IcebergField, SchemaChange, TableState } from "../catalogd/schema.ts";
import type { FileFormat, Rejected } from "./schema.ts";

/** How the file is to be read; what is undefined is found out. */
export interface ReadOptions {
  format?: FileFormat;
  delimiter?: string;
  quote?: string;
  escape?: string;
  header?: boolean;
  nulls: readonly string[];
  /** `name:type,…` for columns of a new table. */
  types?: string;
  on_error: "fail" | "skip";
}

export interface ConvertRequest {
  /** The file, decompressed. */
  input: string;
  out_dir: string;
  /** Where an intermediate table of texts may be written. */
  scratch_dir: string;
  read: ReadOptions;
  /** The table the rows are for; null for a new one. */
  table: Pick<TableState, "name" | "fields" | "last_column_id"> | null;
  evolve: boolean;
  /** Names of the columns that identify rows (upsert): checked to be there, not null and not twice. */
  key: readonly string[];
  file_bytes: number;
  samples: number;
  max_columns: number;
}

/** A file of which more is to come: what its first MiB says is found out meanwhile, for the conversion to follow. */
export type LookRequest = Pick<ConvertRequest, "input" | "read">;

/** A finished Parquet file. */
export interface OutFile {
  path: string;
  rows: number;
  bytes: number;
}

export interface KeyBound {
  column: string;
  min: string | number;
  max: string | number;
}

export interface Converted {
  format: FileFormat;
  fields: IcebergField[];
  changes: SchemaChange[];
  files: OutFile[];
  rows: number;
  rejected: Rejected;
  /** Bounds of the key columns, for those types that files can be pruned by. */
  key_bounds: KeyBound[];
}

/** One of the table's files that may hold rows with the new rows' keys. */
export interface OldFile {
  path: string;
  /** Its object's key in storaged. */
  key: string;
  /** Position delete files that apply to it. */
  deletes: readonly string[];
}

export interface MergeRequest {
  staged: readonly string[];
  old_files: readonly OldFile[];
  fields: IcebergField[];
  key: readonly string[];
  out_dir: string;
  file_bytes: number;
}

export interface Merged {
  /** Keys of the old files that the new ones stand for. */
  replaced: string[];
  files: OutFile[];
}

export interface Progress {
  phase: "reading" | "converting" | "merging";
  percent: number;
}

/** What a conversion's process does. */
export type Conversions = {
  look(request: LookRequest): null;
  convert(request: ConvertRequest): Converted;
  merge(request: MergeRequest): Merged;
};
export type ConversionProcess = EngineProcess<Conversions, Progress>;
