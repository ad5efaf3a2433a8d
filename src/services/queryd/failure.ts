/** Failures inside a worker, as codes and sentences; DuckDB's own errors arrive as JSON (errors_as_json). */
import { type ErrorCode, type ErrorDetails, LakeError } from "../../shared/errors.ts";
import type { Reply } from "./protocol.ts";

/** A statement that won't be run, or that failed, with where in the SQL where that is known. */
export class QueryFailure extends Error {
  constructor(
    readonly code: ErrorCode,
    message: string,
    readonly details: ErrorDetails = {},
    options?: { cause?: unknown; fatal?: boolean },
  ) {
    super(message, options?.cause === undefined ? undefined : { cause: options.cause });
    this.fatal = options?.fatal === true;
  }
  /** Whether the engine can't be trusted after it. */
  readonly fatal: boolean;
}

export interface Position {
  /** From 1. */
  line: number;
  /** From 1, in characters (code points). */
  column: number;
  /** From 0, in characters (code points). */
  offset: number;
}

/** Where a byte offset of the statement's UTF-8 lies, as people count. Undefined where it lies outside. */
export function positionAt(sql: string, byte_offset: number): Position | undefined {
  const bytes = new TextEncoder().encode(sql);
  if (!Number.isInteger(byte_offset) || byte_offset < 0 || byte_offset > bytes.length) return undefined;
  const before = [...new TextDecoder().decode(bytes.subarray(0, byte_offset))];
  const last_newline = before.lastIndexOf("\n");
  return {
    line: before.filter((it) => it === "\n").length + 1,
    column: before.length - last_newline,
    offset: before.length,
  };
}

/** `details` with a position, where the offset is one. */
export function at(sql: string, byte_offset: number | undefined): ErrorDetails {
  const position = byte_offset === undefined ? undefined : positionAt(sql, byte_offset);
  return position ? { position } : {};
}

interface DuckdbError {
  exception_type?: string;
  exception_message?: string;
  position?: string;
  candidates?: string;
  error_subtype?: string;
  name?: string;
}

const INVALID = new Set([
  "Parser",
  "Syntax",
  "Binder",
  "Catalog",
  "Conversion",
  "Invalid Input",
  "Out of Range",
  "Invalid type",
  "Mismatch Type",
  "Divide by Zero",
  "Not implemented",
  "Parameter Not Resolved",
  "Parameter Not Allowed",
  "Expression",
  "Invalid",
  "Constraint",
  "Decimal",
  "Sequence",
]);

/**
 * What DuckDB threw, in our words.
 * @param prefix_bytes what was put before the caller's statement, which positions must not count;
 *   undefined where the statement was rewritten and positions mean nothing
 */
export function fromDuckdb(error: unknown, sql: string, prefix_bytes: number | undefined = 0): QueryFailure {
  if (error instanceof QueryFailure) return error;
  if (error instanceof LakeError) return new QueryFailure(error.code, error.message, error.details);
  const raw = error instanceof Error ? error.message : String(error);
  const it = parse(raw);
  const type = it.exception_type ?? "";
  const message = (it.exception_message ?? raw).trim();
  if (type === "Out of Memory" || /out of memory|bad_alloc|could not allocate/i.test(message))
    return new QueryFailure(
      "resource_limit",
      /temp|disk|offload/i.test(message)
        ? "The query needed more memory and scratch disk than one query may have; read fewer rows or columns, or group earlier."
        : "The query needed more memory than one query may have; read fewer rows or columns, or group earlier.",
      {},
      { cause: message },
    );
  if (type === "Permission")
    return new QueryFailure(
      "sql_refused",
      "The statement reaches for what no query may touch (files, settings or the network).",
      {},
      { cause: message },
    );
  if (
    type === "INTERNAL" ||
    type === "FATAL" ||
    /internal error|fatal error|invalidated/i.test(raw.slice(0, 200))
  )
    return new QueryFailure("internal", "The query engine failed.", {}, { cause: raw, fatal: true });
  if (type === "IO" || type === "HTTP" || type === "Serialization")
    return new QueryFailure(
      "unavailable",
      "A data file of the table could not be read; if it stays so, the table may have been expired or damaged.",
      {},
      { cause: message },
    );
  if (!INVALID.has(type) && type !== "")
    return new QueryFailure("invalid", sentence(type, message), {}, { cause: raw });
  const position =
    it.position === undefined || prefix_bytes === undefined ? undefined : Number(it.position) - prefix_bytes;
  return new QueryFailure("invalid", sentence(type, message), {
    ...at(sql, position),
    ...(it.candidates ? { candidates: it.candidates.split(",").slice(0, 20) } : {}),
  });
}

function parse(raw: string): DuckdbError {
  const start = raw.indexOf('{"exception_type"');
  if (start === -1) return {};
  try {
    return JSON.parse(raw.slice(start)) as DuckdbError;
  } catch {
    return {};
  }
}

function sentence(type: string, message: string): string {
  const what = type === "" || type === "Invalid Input" ? "" : `${type} error: `;
  const text = `${what}${message}`.slice(0, 4000);
  return text === "" ? "The query failed." : text;
}

/** The reply that tells a failure; paths of the machine are cut out of whatever DuckDB said. */
export function toReply(error: unknown, private_paths: readonly string[]): Reply {
  const failure = error instanceof QueryFailure ? error : undefined;
  const cause = failure ? failure.cause : error;
  const clean = (text: string) => private_paths.reduce((out, path) => out.replaceAll(path, "…"), text);
  return {
    reply: "failed",
    code: failure?.code ?? "internal",
    message: clean(failure?.message ?? "The query engine failed."),
    details: failure ? (JSON.parse(clean(JSON.stringify(failure.details))) as ErrorDetails) : {},
    ...(cause === undefined
      ? {}
      : { cause: cause instanceof Error ? (cause.stack ?? cause.message) : String(cause) }),
    ...(failure === undefined || failure.fatal ? { fatal: true } : {}),
  };
}
