/** ingestd's interface and wire: files in, committed tables out. */
import { type Static, t } from "elysia";
import type { JobState } from "../../shared/jobs.ts";
import { TABLE_NAME } from "../../shared/wording.ts";

export const FORMATS = ["csv", "tsv", "json", "ndjson", "parquet"] as const;
export type FileFormat = (typeof FORMATS)[number];
export const MODES = ["create", "append", "overwrite", "upsert"] as const;
export type Mode = (typeof MODES)[number];

const literals = <T extends string>(values: readonly T[]) => t.Union(values.map((it) => t.Literal(it)));

export const IngestQuery = t.Object(
  {
    name: t.String({
      pattern: "^([A-Za-z_][A-Za-z0-9_]{0,127}\\.)?[A-Za-z_][A-Za-z0-9_]{0,127}$",
      error: TABLE_NAME,
      description: "the table, `[namespace.]table`",
      examples: ["sales"],
    }),
    mode: t.Optional(
      t.Union(
        MODES.map((it) => t.Literal(it)),
        {
          description:
            "`create` (the default): a new table; the same bytes again are answered as existing, others are 409. `append`, `overwrite` (all rows), `upsert` (by key): made if missing",
        },
      ),
    ),
    key: t.Optional(
      t.String({
        minLength: 1,
        maxLength: 2000,
        description: "for upsert: the columns that identify a row, by commas; by default the table's own",
        examples: ["id"],
      }),
    ),
    format: t.Optional(
      t.Union(
        FORMATS.map((it) => t.Literal(it)),
        { description: "by default from Content-Type, the file's name or its first bytes" },
      ),
    ),
    evolve: t.Optional(t.Boolean({ description: "let the table gain columns and widen them" })),
    on_error: t.Optional(
      t.Union([t.Literal("fail"), t.Literal("skip")], {
        description: "`fail` (the default): a bad row refuses the file; `skip`: it is left out and told",
      }),
    ),
    delimiter: t.Optional(
      t.String({
        minLength: 1,
        maxLength: 4,
        description: "between values; by default found out",
        examples: [";"],
      }),
    ),
    quote: t.Optional(
      t.String({ maxLength: 1, description: 'around values, `"` by default; empty for none' }),
    ),
    escape: t.Optional(
      t.String({
        minLength: 1,
        maxLength: 1,
        description: "before a quote within quotes; by default the quote",
      }),
    ),
    header: t.Optional(
      t.Boolean({ description: "whether the first row names the columns; by default found out" }),
    ),
    null: t.Optional(
      t.String({
        maxLength: 1000,
        description: "unquoted values that stand for null, by commas",
        examples: ["NA,NULL"],
      }),
    ),
    types: t.Optional(
      t.String({
        maxLength: 20_000,
        description: "types of a new table's columns, where what is found out is not what is meant",
        examples: ["zip:string,price:decimal(10,2)"],
      }),
    ),
  },
  { additionalProperties: false },
);
export type IngestOptions = Static<typeof IngestQuery>;

export const RejectedSchema = t.Object({
  count: t.Integer({ description: "rows left out" }),
  samples: t.Array(
    t.Object({
      line: t.Integer({ description: "from 1; for Parquet the row" }),
      column: t.Union([t.String(), t.Null()]),
      message: t.String(),
      excerpt: t.String({ description: "at most 200 characters of it" }),
    }),
  ),
});
export type Rejected = Static<typeof RejectedSchema>;

export const IngestedSchema = t.Object({
  dataset: t.String({ examples: ["sales"] }),
  snapshot_id: t.String({ description: "64 bits wide, hence a string" }),
  rows: t.Integer({ description: "rows read from the file and kept" }),
  bytes_in: t.Integer({ description: "bytes as sent" }),
  bytes_out: t.Integer({ description: "bytes of the Parquet files written" }),
  schema: t.Array(t.Object({ name: t.String(), type: t.String(), nullable: t.Boolean() })),
  rejected: RejectedSchema,
  existing: t.Boolean({ description: "the same ingest had been made before" }),
  elapsed_ms: t.Number(),
});
export type Ingested = Static<typeof IngestedSchema>;

export const JOB_PHASES = [
  "queued",
  "reading",
  "converting",
  "merging",
  "storing",
  "committing",
  "done",
  "failed",
] as const;

export const JobSchema = t.Object({
  job_id: t.String(),
  dataset: t.String(),
  status: literals(["queued", "running", "done", "failed"] as const),
  phase: literals(JOB_PHASES),
  percent: t.Number({ description: "of the present phase, 0 to 100" }),
  bytes: t.Integer({ description: "bytes received" }),
  rows: t.Integer({ description: "rows converted" }),
  created_at: t.String(),
  finished_at: t.Union([t.String(), t.Null()]),
  result: t.Union([IngestedSchema, t.Null()]),
  error: t.Union([
    t.Object({ code: t.String(), detail: t.String() }, { additionalProperties: true }),
    t.Null(),
  ]),
});

export interface Job extends JobState {
  dataset: string;
  phase: (typeof JOB_PHASES)[number];
  bytes: number;
  rows: number;
  result: Ingested | null;
}

/** A file as it arrives. */
export interface Upload {
  body: AsyncIterable<Uint8Array>;
  content_type: string | null;
  content_encoding: string | null;
  /** Of the repeat that must not be made twice. */
  idempotency_key: string | null;
  /** Aborted when the client is gone. */
  signal: AbortSignal;
}

export interface Ingestd {
  /**
   * Committed when it returns; `created` tells a new table.
   * @throws LakeError invalid, conflict, too_large, queue_full, deadline, resource_limit
   */
  ingest(options: IngestOptions, upload: Upload): Promise<Ingested & { created: boolean }>;
  /** Returns once the file is received; the rest goes on as a job. @throws LakeError as `ingest` */
  submit(options: IngestOptions, upload: Upload): Promise<Job>;
  /** @throws LakeError not_found */
  job(job_id: string): Promise<Job>;
  /** The job's state now, and again whenever it changes, to its end. @throws LakeError not_found */
  watch(job_id: string, signal: AbortSignal): AsyncIterable<Job>;
}
