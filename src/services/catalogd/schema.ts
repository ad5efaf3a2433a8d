/** catalogd's interface: Iceberg tables by name. Snapshot ids are strings, being 64 bits wide. */

import type { IcebergField, IcebergType } from "../../shared/iceberg.ts";

export type { IcebergField, IcebergType };

/** A column as people write it: `type` is Iceberg's name (`long`, `decimal(9,2)`, `list<string>` …). */
export interface Column {
  name: string;
  type: string;
  nullable: boolean;
}

/** A table as its writers need to see it. */
export interface TableState {
  /** `[namespace.]table` */
  name: string;
  uuid: string;
  /** `s3://lakehouse/warehouse/<namespace>/<table>-<short uuid>` */
  location: string;
  schema_id: number;
  fields: IcebergField[];
  /** Field ids that upserts match by. */
  identifier_field_ids: number[];
  last_column_id: number;
  snapshot_id: string | null;
  properties: Record<string, string>;
}

/** A data file that a commit adds; its footer is read by catalogd for bounds and null counts. */
export interface NewFile {
  /** The object's key in storaged, under `warehouse/`. */
  key: string;
}

/**
 * What a commit does to the schema, in order, before its files are added. An added field gets
 * `last_column_id + 1` and the fields nested in it the numbers after that, in Iceberg's order (a struct's
 * fields first, a map's key and value, then what is inside each): a writer knows its ids before it writes
 * the files, and names `base_schema_id` to be sure of them.
 */
export type SchemaChange =
  | {
      change: "add";
      parent?: string;
      field: { name: string; required: false; type: IcebergType; doc?: string };
    }
  | { change: "widen"; path: string; type: string }
  | { change: "rename"; path: string; to: string }
  | { change: "drop"; path: string }
  | { change: "make_optional"; path: string };

export interface Commit {
  operation: "append" | "overwrite" | "replace" | "delete";
  add: NewFile[];
  /** Keys of data files to remove; `"all"` for an overwrite of the whole table. */
  remove: string[] | "all";
  /** A commit planned on this snapshot fails with `conflict` once another came between (appends rebase). */
  base_snapshot_id?: string | null;
  schema_changes?: SchemaChange[];
  /** A commit whose files were written for this schema fails with `conflict` once it is another. */
  base_schema_id?: number;
  /**
   * The table is made by this commit, with its first files, in one step: there is never an empty table to
   * see. Its field ids are kept as they are given here (distinct, from 1), the files having been written
   * with them. `conflict` where the name is taken. Its data files lie under `location`, where given.
   */
  create?: CreateTable & {
    /** `s3://lakehouse/warehouse/<namespace>/<table>-<short uuid>`, chosen by who wrote the files. */
    location?: string;
    identifier_field_ids?: number[];
  };
  /** Further members of the snapshot's summary. */
  summary?: Record<string, string>;
  /** A commit already made with this key is answered again and not made twice. */
  idempotency_key?: string;
  /** Table properties set in the same commit. */
  properties?: Record<string, string>;
}

export interface CommitResult {
  name: string;
  snapshot_id: string;
  /** True where `idempotency_key` had been committed before. */
  repeated: boolean;
  table: TableState;
  /** The snapshot's summary, with the members its committer gave. */
  summary: Record<string, string>;
}

export interface CreateTable {
  /** Field ids may be any distinct numbers; catalogd assigns its own, in order, and answers them. */
  fields: IcebergField[];
  properties?: Record<string, string>;
}

/** One data file of a scan. */
export interface ScanFile {
  /** `s3://bucket/key`. */
  location: string;
  /** Where storage is local: the key under data_dir's storage, the same as in `location`. */
  key: string;
  size: number;
  rows: number;
  /** Delete files that apply to it. */
  position_deletes: { key: string }[];
}

/** What a reader needs to read one snapshot of a table. */
export interface ScanPlan {
  name: string;
  uuid: string;
  /** Null for a table without a snapshot: it has columns and no rows. */
  snapshot_id: string | null;
  /** The snapshot's schema (of the table now, unless time travel asked for an older one). */
  fields: IcebergField[];
  /** Names by field id for files written without field ids (`schema.name-mapping.default`). */
  name_mapping: unknown | null;
  files: ScanFile[];
  /** Files that pruning left out. */
  files_pruned: number;
}

/** A bound on a top-level column, for pruning: files that can't hold a match are left out. */
export interface ScanFilter {
  column: string;
  op: "=" | "<" | "<=" | ">" | ">=" | "in" | "is_null" | "not_null";
  /** As text in Iceberg's single-value JSON form. */
  values: (string | number | boolean)[];
}

export interface ScanRequest {
  name: string;
  snapshot_id?: string;
  /** RFC 3339; the snapshot that was current then. */
  as_of?: string;
  filters?: ScanFilter[];
}

/** An object to be registered: any Parquet object of storaged; it is copied into the table's folder. */
export interface RegisterObject {
  key: string;
  /** Checked against the object's footer. */
  rows?: number;
}

export interface Registration {
  name: string;
  schema: Column[];
  objects: RegisterObject[];
  /** SHA-256, in hex, of the schema: see `schemaFingerprint`. */
  schema_fingerprint?: string;
}

/** Which snapshot of a table is meant: by id, or the one that was current at a time (RFC 3339). */
export interface SnapshotChoice {
  snapshot_id?: string;
  as_of?: string;
}

export interface Page {
  limit?: number;
  cursor?: string;
}

/** A table in a list. */
export interface Dataset {
  name: string;
  uuid: string;
  snapshot_id: string | null;
  schema_fingerprint: string;
  columns: number;
  rows: number;
  files: number;
  bytes: number;
  updated_at: string;
}

export interface DatasetList {
  datasets: Dataset[];
  next_cursor: string | null;
}

/** A table at one snapshot, with the objects that hold its rows. */
export interface Manifest extends Dataset {
  location: string;
  metadata_location: string;
  format_version: 2;
  schema_id: number;
  schema: Column[];
  properties: Record<string, string>;
  summary: Record<string, string>;
  objects: { key: string; size: number; rows: number }[];
  next_cursor: string | null;
}

export interface Registered extends Manifest {
  /** True where the same had been registered before. */
  existing: boolean;
}

export interface HistoryEntry {
  snapshot_id: string;
  parent_snapshot_id: string | null;
  sequence_number: number;
  committed_at: string;
  operation: string;
  schema_id: number | null;
  /** Whether the table is at this snapshot now. */
  current: boolean;
  /** Whether the present snapshot came from this one; false for what a rollback left behind. */
  ancestor: boolean;
  summary: Record<string, string>;
}

export interface History {
  name: string;
  /** Newest first. */
  snapshots: HistoryEntry[];
  next_cursor: string | null;
}

export interface Evolution {
  changes: SchemaChange[];
  /** The changes fail with `conflict` once the schema is another. */
  base_schema_id?: number;
}

export interface Rollback extends SnapshotChoice {
  /** The rollback fails with `conflict` once the table is at another snapshot. */
  base_snapshot_id?: string;
}

export interface MaintainRequest {
  /** One table; all of them where left out, and the folders that no table has. */
  table?: string;
  /** Tell what would go, and remove nothing. */
  dry_run?: boolean;
  /** Instead of the configured ages and number. */
  snapshot_max_age_ms?: number;
  snapshots_kept?: number;
  orphan_min_age_ms?: number;
}

export interface MaintainReport {
  dry_run: boolean;
  tables: {
    name: string;
    expired_snapshots: string[];
    removed: RemovedFiles;
  }[];
  /** Folders that belong to no table: dropped ones, and ones never committed. */
  folders: { folder: string; removed: RemovedFiles }[];
  /** Tables and folders that could not be maintained, and why. */
  failures: { name: string; reason: string }[];
  elapsed_ms: number;
}

export interface RemovedFiles {
  files: number;
  bytes: number;
  /** Some of their keys. */
  samples: string[];
}

export interface Catalogd {
  /** The table's present state. @throws LakeError not_found (naming the nearest names) */
  describe(name: string): Promise<TableState>;
  /** Creates an empty table. @throws LakeError conflict where the name is taken */
  create(name: string, table: CreateTable): Promise<TableState>;
  /** @throws LakeError conflict, invalid, not_found */
  commit(name: string, commit: Commit): Promise<CommitResult>;
  /**
   * The commit once made with this idempotency key, or null: asked before the work that a repeat spares.
   * @throws LakeError not_found where there is no such table
   */
  committed(name: string, idempotency_key: string): Promise<CommitResult | null>;
  /** @throws LakeError not_found for a table, snapshot or time before the first snapshot */
  plan(request: ScanRequest): Promise<ScanPlan>;
  /** The names of all tables, `[namespace.]table`, sorted. */
  names(): Promise<string[]>;
  /**
   * A table from Parquet objects, or the one there is where it is the same.
   * @throws LakeError conflict for another schema (with its `difference`) or other objects; not_found, invalid
   */
  register(registration: Registration): Promise<Registered>;
  /** Tables by name. @throws LakeError invalid for a cursor that isn't one */
  list(page: Page): Promise<DatasetList>;
  /** @throws LakeError not_found */
  manifest(name: string, choice: SnapshotChoice & Page): Promise<Manifest>;
  /** @throws LakeError not_found */
  history(name: string, page: Page): Promise<History>;
  /** Makes an older snapshot the present one. @throws LakeError not_found, conflict, invalid */
  rollback(name: string, rollback: Rollback): Promise<TableState>;
  /** Changes the schema alone. @throws LakeError conflict, invalid, not_found */
  evolve(name: string, evolution: Evolution): Promise<TableState>;
  /** Takes a table out of the catalog, with `purge` its files too. @throws LakeError not_found */
  drop(name: string, options: { purge?: boolean }): Promise<void>;
  /** Expires snapshots and removes files that nothing refers to. */
  maintain(request: MaintainRequest): Promise<MaintainReport>;
}
