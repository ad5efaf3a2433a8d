/** queryd's interface and wire shapes: one SELECT over the catalog's tables. */
import { type Static, t } from "elysia";

export const FORMATS = {
  json: "application/json",
  ndjson: "application/x-ndjson",
  csv: "text/csv; charset=utf-8",
  parquet: "application/vnd.apache.parquet",
} as const;

export type QueryFormat = keyof typeof FORMATS;

const Plain = t.Union([t.Null(), t.Boolean(), t.Number(), t.String()]);
const Param = t.Union([
  Plain,
  t.Array(Plain, { description: "A list: all numbers, all booleans or all strings, with nulls." }),
  t.Object(
    {
      type: t.String({
        minLength: 1,
        maxLength: 1000,
        description: "A DuckDB type: DECIMAL(9,2), DATE, BIGINT[] …",
      }),
      value: t.Unknown({ description: "Its text, or JSON of the type's shape." }),
    },
    { additionalProperties: false },
  ),
]);

export const SqlBody = t.Object(
  {
    sql: t.String({
      minLength: 1,
      description:
        "One SELECT (or VALUES, FROM, WITH, PIVOT … IN, DESCRIBE, SUMMARIZE), in DuckDB's dialect.",
      examples: ["SELECT city, count(*) AS trips FROM trips GROUP BY ALL ORDER BY trips DESC"],
    }),
    params: t.Optional(
      t.Union([t.Array(Param), t.Record(t.String(), Param)], {
        description: "Values for ? and $1 as an array, for $name as an object.",
        examples: [[42], { city: "Oslo" }],
      }),
    ),
    as_of: t.Optional(
      t.Union([t.String({ minLength: 1 }), t.Record(t.String(), t.String({ minLength: 1 }))], {
        description:
          "An RFC 3339 time for every table, {table: snapshot id or time}, or one snapshot id where one table is named.",
        examples: ["2026-01-31T00:00:00Z", { trips: "3776207205136740581" }],
      }),
    ),
    max_rows: t.Optional(
      t.Integer({ minimum: 1, description: "Rows of a JSON answer; the other formats are unlimited." }),
    ),
    timeout_ms: t.Optional(
      t.Integer({
        minimum: 1,
        description: "The query's deadline, waiting included; at most the service's own.",
      }),
    ),
  },
  { additionalProperties: false },
);

export const SqlAnswer = t.Object({
  columns: t.Array(
    t.Object({ name: t.String(), type: t.String({ description: "DuckDB's name of the type" }) }),
  ),
  rows: t.Array(t.Array(t.Unknown())),
  row_count: t.Integer({ description: "Rows in this answer" }),
  truncated: t.Boolean({ description: "Whether there were more than max_rows" }),
  elapsed_ms: t.Number(),
  snapshot_ids: t.Record(t.String(), t.Union([t.String(), t.Null()]), {
    description: "The snapshot read of each table; null for a table without one.",
  }),
});

export type SqlBody = Static<typeof SqlBody>;
export type SqlAnswer = Static<typeof SqlAnswer>;
export type SqlParam = Static<typeof Param>;
export type SqlParams = SqlParam[] | Record<string, SqlParam>;

export interface QueryRequest extends SqlBody {
  /** `json` unless told otherwise. */
  format?: QueryFormat;
  /** Aborted when whoever asked has gone: the query ends. */
  signal?: AbortSignal;
  /** Whether whoever asks may read vectord's indexes; true unless told otherwise. */
  may_read_indexes?: boolean;
}

/** A header by which a service that asks for someone else gives up a right that it has itself. */
export const WITHOUT_SCOPE = "x-lakehouse-without-scope";
export const INDEX_SCOPE = "vectord:read";

/** A small answer as its JSON text (of `SqlAnswer`), anything else as a stream of the format's bytes. */
export type QueryResult =
  | { kind: "text"; format: "json"; json: string }
  | {
      kind: "stream";
      format: QueryFormat;
      /** Errors, and so never ends cleanly, where the query fails midway; cancelling it ends the query. */
      body: ReadableStream<Uint8Array>;
    };

export interface Queryd {
  /**
   * Runs one SELECT.
   * @throws LakeError sql_refused, invalid, not_found (a table, a snapshot), resource_limit, deadline, queue_full
   */
  query(request: QueryRequest): Promise<QueryResult>;
}
