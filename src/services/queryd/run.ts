/** Runs one checked statement in a worker and writes its result in the format asked for. */
import { closeSync, openSync, writeSync } from "node:fs";
import type { DuckDBConnection, DuckDBPreparedStatement, DuckDBType } from "@duckdb/node-api";
import {
  encodeJsonText,
  encoderOf,
  jsonExpression,
  jsonRowExpression,
  typeName,
} from "../../shared/duckdb/json.ts";
import { quoteName, quoteText } from "../../shared/duckdb/quote.ts";
import type { Checker } from "./check.ts";
import { fromDuckdb, QueryFailure } from "./failure.ts";
import { bindParams, type ParamReader } from "./params.ts";
import {
  FIFO_NAME,
  INLINE_ANSWER_CHARS,
  type Question,
  RESULT_NAME,
  type Reply,
  type WorkerSettings,
} from "./protocol.ts";

export type Run = Extract<Question, { ask: "run" }>;

interface Column {
  name: string;
  type: DuckDBType;
}

/** DuckDB's StatementType.SELECT. */
const SELECT = 1;

/**
 * @param connection fresh, so that nothing of another query (random seeds, variables) is in it
 * @param body the statement without trailing semicolons, to stand in parentheses
 * @throws QueryFailure
 */
export async function runStatement(
  connection: DuckDBConnection,
  checker: Checker,
  settings: WorkerSettings,
  question: Run,
  body: string,
  started_ms: number,
): Promise<Reply> {
  const reader = { connection, checker };
  const statement = await prepareOne(reader, question);
  const columns = await columnsOf(reader, statement, question, body);
  if (question.format === "json")
    return answer(reader, settings, question, body, statement, columns, started_ms);
  const copy = copyOf(settings, question, body, columns);
  const writer = await guarded(() => connection.prepare(copy), question.sql, undefined);
  await bindParams(reader, writer, question.params);
  await guarded(() => writer.run(), question.sql, undefined);
  return question.format === "parquet" ? { reply: "file" } : { reply: "streamed" };
}

async function guarded<T>(work: () => Promise<T>, sql: string, prefix_bytes: number | undefined): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw fromDuckdb(error, sql, prefix_bytes);
  }
}

async function prepareOne(reader: ParamReader, { sql, params }: Run): Promise<DuckDBPreparedStatement> {
  return guarded(
    async () => {
      const extracted = await reader.connection.extractStatements(sql);
      if (extracted.count !== 1) throw new QueryFailure("sql_refused", "One statement at a time.");
      const statement = await extracted.prepare(0);
      if (statement.statementType !== SELECT)
        throw new QueryFailure("sql_refused", "Only a SELECT may run here.");
      await bindParams(reader, statement, params);
      return statement;
    },
    sql,
    0,
  );
}

/** The result's columns; where they hang on parameters, DuckDB only knows once those have values. */
async function columnsOf(
  reader: ParamReader,
  statement: DuckDBPreparedStatement,
  question: Run,
  body: string,
): Promise<Column[]> {
  const columns: Column[] = [];
  try {
    for (let i = 0; i < statement.columnCount; i++)
      columns.push({ name: statement.columnName(i), type: statement.columnType(i) });
    if (columns.length > 0 && columns.every((it) => it.name !== "" && it.name !== "unknown")) return columns;
  } catch (error) {
    if (statement.parameterCount === 0) throw error;
  }
  return guarded(
    async () => {
      const probe = await reader.connection.prepare(`SELECT * FROM (${body}\n) LIMIT 0`);
      await bindParams(reader, probe, question.params);
      const result = await probe.run();
      const names = statement.columnCount === result.columnCount ? statement : result;
      return result.columnTypes().map((type, i) => ({ name: names.columnName(i), type }));
    },
    question.sql,
    undefined,
  );
}

type Select = (value: string, column: Column, i: number) => string;

function wrapped(from: string, columns: readonly Column[], select: Select): string {
  const aliases = columns.map((_, i) => `c${i}`);
  return `SELECT ${columns.map((column, i) => select(`q.c${i}`, column, i)).join(", ")} FROM (${from}\n) AS q(${aliases.join(", ")})`;
}

/**
 * The same rows from a source that has no batches. A COPY of batches gathers them from all threads to write
 * them in order, which held 100 to 170 MiB of text; without them its last step alone runs on one thread
 * and holds 7 MiB, and was no slower.
 */
function unbatched(body: string, columns: readonly Column[]): string {
  return `SELECT * FROM (${body}\n) UNION ALL SELECT ${columns.map(() => "NULL").join(", ")} FROM range(0)`;
}

/** The COPY that writes a stream or a file of the result. */
function copyOf(settings: WorkerSettings, { format }: Run, body: string, columns: readonly Column[]): string {
  const names = distinctNames(columns).map(quoteName);
  const fifo = quoteText(`${settings.scratch}/${FIFO_NAME}`);
  const named: Select = (value, _, i) => `${value} AS ${names[i]}`;
  switch (format) {
    case "ndjson":
      // A CSV of one column that is never quoted: lines as they are, JSON having no control characters.
      return `COPY (${jsonLines(body, columns)}) TO ${fifo} (FORMAT csv, HEADER false, QUOTE '', ESCAPE '', DELIMITER e'\\x01')`;
    case "csv":
      return `COPY (${wrapped(unbatched(body, columns), columns, named)}) TO ${fifo} (FORMAT csv, HEADER true)`;
    default:
      return `COPY (${wrapped(body, columns, named)}) TO ${quoteText(`${settings.scratch}/${RESULT_NAME}`)} (FORMAT parquet, COMPRESSION zstd)`;
  }
}

function jsonLines(body: string, columns: readonly Column[]): string {
  const names = distinctNames(columns);
  const members = columns.map(({ type }, i) => ({ name: names[i] as string, value: `q.c${i}`, type }));
  const aliases = members.map((_, i) => `c${i}`).join(", ");
  return `SELECT ${jsonRowExpression(members)} FROM (${unbatched(body, columns)}) AS q(${aliases})`;
}

/** Names of an object's members: a repeated one gets _1, _2 … */
function distinctNames(columns: readonly Column[]): string[] {
  const taken = new Set(columns.map((it) => it.name.toLowerCase()));
  const seen = new Set<string>();
  return columns.map(({ name }) => {
    let free = name;
    for (let i = 1; seen.has(free.toLowerCase()) || (i > 1 && taken.has(free.toLowerCase())); i++)
      free = `${name}_${i}`;
    seen.add(free.toLowerCase());
    return free;
  });
}

async function answer(
  reader: ParamReader,
  settings: WorkerSettings,
  question: Run,
  body: string,
  statement: DuckDBPreparedStatement,
  columns: readonly Column[],
  started_ms: number,
): Promise<Reply> {
  const by_duckdb = columns.some((it) => !encoderOf(it.type));
  let source = statement;
  if (by_duckdb) {
    const sql = wrapped(body, columns, (value, { type }) =>
      encoderOf(type) ? value : `to_json(${jsonExpression(value, type)})::VARCHAR`,
    );
    source = await guarded(() => reader.connection.prepare(sql), question.sql, undefined);
    await bindParams(reader, source, question.params);
  }
  const encoders = columns.map((it) => encoderOf(it.type) ?? encodeJsonText);
  const out = new AnswerWriter(`${settings.scratch}/${RESULT_NAME}`, settings.max_answer_bytes);
  try {
    out.write(
      `{"columns":${JSON.stringify(columns.map((it) => ({ name: it.name, type: typeName(it.type) })))},"rows":[`,
    );
    const { row_count, truncated } = await guarded(
      () => writeRows(source, encoders, question.max_rows, out),
      question.sql,
      by_duckdb ? undefined : 0,
    );
    const elapsed_ms =
      Math.round((question.elapsed_before_ms + performance.now() - started_ms) * 1000) / 1000;
    out.write(
      `],"row_count":${row_count},"truncated":${truncated},"elapsed_ms":${elapsed_ms},"snapshot_ids":${JSON.stringify(question.snapshot_ids)}}`,
    );
    return out.finish();
  } finally {
    out.close();
  }
}

async function writeRows(
  source: DuckDBPreparedStatement,
  encoders: readonly ((value: NonNullable<never>) => string)[],
  max_rows: number,
  out: AnswerWriter,
): Promise<{ row_count: number; truncated: boolean }> {
  const result = await source.stream();
  let row_count = 0;
  for (;;) {
    const chunk = await result.fetchChunk();
    if (chunk === null || chunk.rowCount === 0) return { row_count, truncated: false };
    const values = encoders.map((_, i) => chunk.getColumnValues(i));
    for (let row = 0; row < chunk.rowCount; row++) {
      if (row_count === max_rows) return { row_count, truncated: true };
      let line = row_count++ === 0 ? "[" : ",[";
      for (let i = 0; i < encoders.length; i++) {
        const value = values[i]?.[row];
        if (i > 0) line += ",";
        line +=
          value === null || value === undefined ? "null" : (encoders[i] as (it: unknown) => string)(value);
      }
      out.write(`${line}]`);
    }
  }
}

/** Gathers an answer: short ones stay text, longer ones go to a file as they grow. */
class AnswerWriter {
  #text = "";
  #bytes = 0;
  #fd: number | undefined;

  constructor(
    readonly path: string,
    readonly max_bytes: number,
  ) {}

  write(text: string): void {
    this.#text += text;
    if (this.#text.length > INLINE_ANSWER_CHARS) this.#spill();
  }

  finish(): Reply {
    if (this.#fd === undefined) return { reply: "answer", json: this.#text };
    this.#spill();
    return { reply: "file" };
  }

  close(): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
  }

  #spill(): void {
    this.#fd ??= openSync(this.path, "w", 0o600);
    const bytes = Buffer.from(this.#text, "utf8");
    this.#bytes += bytes.byteLength;
    if (this.#bytes > this.max_bytes)
      throw new QueryFailure(
        "resource_limit",
        `The JSON answer would pass ${this.max_bytes} bytes; ask for fewer rows or columns, or for NDJSON, CSV or Parquet by the Accept header.`,
      );
    for (let sent = 0; sent < bytes.byteLength; ) sent += writeSync(this.#fd, bytes, sent);
    this.#text = "";
  }
}
