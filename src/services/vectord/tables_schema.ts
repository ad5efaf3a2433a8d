/** Indexes as tables: Parquet out and in, and the columns of a lake table in, as jobs. */
import { type Static, t } from "elysia";
import { type Filter, FilterSchema } from "../../shared/filter_schema.ts";
import type { JobState } from "../../shared/jobs.ts";
import { SNAPSHOT_ID, TABLE_NAME } from "../../shared/wording.ts";

export const PARQUET = "application/vnd.apache.parquet";
const MAX_METADATA_COLUMNS = 256;
const COLUMN_CHARS = 1000;

export const ExportQuery = t.Object(
  {
    vectors: t.Optional(
      t.Boolean({ description: "whether the column `vector` is written; true by default" }),
    ),
  },
  { additionalProperties: false },
);
export type ExportOptions = Static<typeof ExportQuery> & {
  /** Answered with no bytes where the index still has this version. */
  readonly unless_version?: string;
};

/** An index as one Parquet file. */
export interface Exported {
  /** Names the content: the same version, the same items. */
  readonly version: string;
  /** Undefined where the version is the one already held. */
  readonly body?: ReadableStream<Uint8Array>;
}

const Column = (description: string) => t.String({ minLength: 1, maxLength: COLUMN_CHARS, description });

/** The table, its columns, and the snapshot of it; what `index` holds is for an index that is not there yet. */
export const fromTableBody = <Settings extends ReturnType<typeof t.Object>>(settings: Settings) =>
  t.Object(
    {
      table: t.String({
        pattern: "^([A-Za-z_][A-Za-z0-9_]{0,127}\\.)?[A-Za-z_][A-Za-z0-9_]{0,127}$",
        error: TABLE_NAME,
        description: "the table, `[namespace.]table`",
      }),
      id: Column("the column whose value, as text, is the item's id: a key of the table"),
      text: t.Optional(Column("the column of texts; vectors are made of them where `vector` is not given")),
      vector: t.Optional(Column("the column of vectors: lists of numbers")),
      metadata: t.Optional(
        t.Array(Column("a column that becomes a member of the items' metadata"), {
          maxItems: MAX_METADATA_COLUMNS,
          uniqueItems: true,
        }),
      ),
      where: t.Optional(
        t.Object(FilterSchema.properties, {
          additionalProperties: false,
          description:
            "which rows are taken, all by default: a filter as of metadata, whose keys are the table's columns (docs/vectors.md)",
          examples: [{ must: [{ key: "city", match: "Oslo" }] }],
        }),
      ),
      snapshot_id: t.Optional(
        t.String({ pattern: "^-?\\d{1,19}$", error: SNAPSHOT_ID, description: "the newest by default" }),
      ),
      as_of: t.Optional(t.String({ maxLength: 64, description: "the snapshot of this time (RFC 3339)" })),
      remove_missing: t.Optional(
        t.Boolean({
          description: "remove the items whose id the rows taken don't have; false by default",
        }),
      ),
      index: t.Optional(settings),
    },
    { additionalProperties: false },
  );

export const LOAD_PHASES = ["queued", "reading", "loading", "removing", "done", "failed"] as const;

export const SourceSchema = t.Object(
  {
    table: t.String(),
    snapshot_id: t.Nullable(t.String({ description: "64 bits wide, hence a string" })),
    at: t.String({ description: "when the last row was in" }),
  },
  { description: "the table, and the snapshot of it, that from_table read last; null where it never did" },
);
export type Source = Static<typeof SourceSchema>;

/** What the items were made of: with the same, of the same snapshot, they would be the same. */
export interface Origin {
  readonly table_uuid: string;
  /** The load's columns, as JSON. */
  readonly columns: string;
}

export const LoadedSchema = t.Object({
  table: t.String(),
  snapshot_id: t.Nullable(t.String()),
  existing: t.Boolean({ description: "the index held this snapshot's rows already; nothing was read" }),
  rows: t.Integer({ description: "rows taken of the table" }),
  added: t.Integer(),
  replaced: t.Integer({ description: "items that had another text, vector or metadata" }),
  unchanged: t.Integer({ description: "rows whose item was the same already" }),
  skipped: t.Integer({ description: "rows whose text (or vector) is null or blank" }),
  removed: t.Integer({ description: "items whose id the rows taken don't have" }),
  truncated: t.Integer({ description: "texts of which the model read only the beginning" }),
});
export type Loaded = Static<typeof LoadedSchema>;

export const LoadJobSchema = t.Object({
  job_id: t.String(),
  index: t.String(),
  table: t.String(),
  status: t.Union((["queued", "running", "done", "failed"] as const).map((it) => t.Literal(it))),
  phase: t.Union(LOAD_PHASES.map((it) => t.Literal(it))),
  percent: t.Number({ description: "of the present phase, 0 to 100" }),
  rows: t.Integer({ description: "rows to take of the table; 0 until they are counted" }),
  rows_done: t.Integer({ description: "rows read, and in the index where they belong there" }),
  created_at: t.String(),
  finished_at: t.Union([t.String(), t.Null()]),
  result: t.Union([LoadedSchema, t.Null()]),
  error: t.Union([
    t.Object({ code: t.String(), detail: t.String() }, { additionalProperties: true }),
    t.Null(),
  ]),
});
export interface LoadJob extends JobState {
  index: string;
  table: string;
  phase: (typeof LOAD_PHASES)[number];
  rows: number;
  rows_done: number;
  result: Loaded | null;
}

/** A Parquet file as it arrives. */
export interface ParquetUpload {
  readonly body: AsyncIterable<Uint8Array>;
  /** Aborted when the client is gone. */
  readonly signal: AbortSignal;
}

/** What of a load the index needs to know. @typeParam Settings of an index that is not there yet */
export interface FromTable<Settings> {
  table: string;
  id: string;
  text?: string;
  vector?: string;
  metadata?: string[];
  where?: Filter;
  snapshot_id?: string;
  as_of?: string;
  remove_missing?: boolean;
  index?: Settings;
}

/** @typeParam Settings of an index that is not there yet */
export interface VectorTables<Settings, Added> {
  /** The items as Parquet: id, vector, text, metadata (JSON), expires_at. @throws LakeError not_found, queue_full */
  parquet(name: string, options: ExportOptions): Promise<Exported>;
  /**
   * Upserts a Parquet file's rows. Every row is judged before the first is written; they are then written in
   * batches, each whole or not at all.
   * @throws LakeError invalid (naming row and column), not_found, too_large, queue_full, deadline
   */
  add(name: string, upload: ParquetUpload): Promise<Added>;
  /** Begins to read a table into an index. @throws LakeError invalid, not_found, conflict, queue_full */
  load(name: string, request: FromTable<Settings>): Promise<LoadJob>;
  /** @throws LakeError not_found */
  job(job_id: string): Promise<LoadJob>;
  /** The job's state now, and again whenever it changes, to its end. @throws LakeError not_found */
  watch(job_id: string, signal: AbortSignal): AsyncIterable<LoadJob>;
}
