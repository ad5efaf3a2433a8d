/** What queryd and its worker processes say to each other: one question at a time, one reply to each. */
import type { TableContent } from "../../shared/duckdb/content.ts";
import type { ErrorCode, ErrorDetails } from "../../shared/errors.ts";
import type { QueryFormat, SqlParams } from "./schema.ts";

/** A worker's settings, handed over as its one argument. */
export interface WorkerSettings {
  /** Absolute; with `indexes` the only directory beside `scratch` that DuckDB may read. */
  readonly warehouse: string;
  /** Absolute; where the files of indexes lie, to be read only. */
  readonly indexes: string;
  /** Absolute; the worker's own. */
  readonly scratch: string;
  readonly memory_limit_mib: number;
  readonly scratch_mib: number;
  readonly threads: number;
  readonly max_answer_bytes: number;
}

/** A table as the statement names it. */
export interface TableReference {
  /** As written; null where the statement gives no namespace. */
  namespace: string | null;
  /** As written. */
  name: string;
  /** Byte offset in the statement's UTF-8. */
  offset: number;
}

/** A name in the statement and what it stands for in this query. */
export interface Binding {
  /** DuckDB's schema and view, lower case. */
  schema: string;
  view: string;
  /** Names the content: bindings with the same identity have the same content. */
  identity: string;
  /** Left out where this worker already holds a view with this identity. */
  content?: TableContent;
}

/** An index of vectord as the statement names it: vectors('name'). */
export interface IndexReference {
  name: string;
  /** Byte offset in the statement's UTF-8. */
  offset: number;
  /** Whether the statement names the column `vector`, which takes far more than all others. */
  with_vector: boolean;
}

/** The file of an index for one query. */
export interface BoundIndex {
  name: string;
  path: string;
  with_vector: boolean;
}

/** What a statement reads, each once. */
export interface References {
  tables: TableReference[];
  indexes: IndexReference[];
}

export type Question =
  | { ask: "check"; sql: string }
  | {
      ask: "run";
      sql: string;
      params: SqlParams | null;
      format: QueryFormat;
      max_rows: number;
      bindings: Binding[];
      /** The files that vectors(…) reads in this query, by the index's name. */
      indexes: BoundIndex[];
      snapshot_ids: Record<string, string | null>;
      /** Spent before the worker was asked; the answer's elapsed_ms counts it. */
      elapsed_before_ms: number;
    };

export type Reply =
  | ({ reply: "checked" } & References)
  /** The whole JSON answer. */
  | { reply: "answer"; json: string }
  /** The answer lies in the worker's scratch file. */
  | { reply: "file" }
  /** Everything has been written to the FIFO. */
  | { reply: "streamed" }
  | {
      reply: "failed";
      code: ErrorCode;
      message: string;
      details: ErrorDetails;
      cause?: string;
      fatal?: boolean;
    };

/** What a worker says by itself, once: that it can be asked. */
export interface Ready {
  ready: true;
}

/** Names in a worker's scratch. */
export const FIFO_NAME = "out.fifo";
export const RESULT_NAME = "result";
/** Above this an answer goes through a file rather than a message, so that no one holds it whole twice. */
export const INLINE_ANSWER_CHARS = 262_144;
