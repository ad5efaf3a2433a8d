/**
 * Turns one file into Parquet files of a table. Delimited text is read by DuckDB on a guess of its types
 * made from a sample, every value checked; where one disagrees, or a row can't be read, the file is read
 * once more with exact types and line numbers. JSON goes the exact way at once, Parquet brings its types.
 */
import { mkdirSync, statSync } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { type Engine, isOutOfRoom, whyUnreadable } from "../../shared/duckdb/engine.ts";
import { LakeError, messageOf } from "../../shared/errors.ts";
import { runCopy } from "./copy.ts";
import { existingTable, type FileColumn, newTable, type Target } from "./decide.ts";
import { csvToTexts, type ExactFile, jsonToTexts } from "./exact.ts";
import { lookAt, sampleOf } from "./guess.ts";
import { isByLine } from "./json.ts";
import { checkKeys, keyBounds } from "./keys.ts";
import { refuseForeign } from "./magic.ts";
import type { Converted, ConvertRequest, LookRequest, OutFile } from "./protocol.ts";
import type { FileFormat, Rejected } from "./schema.ts";
import {
  type Conversion,
  conversions,
  csvSource,
  MISFIT,
  parquetSource,
  type Source,
  selectBadRows,
  selectRows,
  textTableSource,
} from "./sql.ts";
import { MAX_RECORD_CHARS, refuseOtherEncodings } from "./text.ts";
import { fromDuckDB, literal, parseTypes, typeText } from "./types.ts";

/** Told as a phase begins, with the bytes that it will read: what is read of them is its progress. */
export type EnterPhase = (name: "reading" | "converting", bytes: number) => void;

/** @throws LakeError invalid, conflict; DuckDB's own errors */
export async function convert(
  engine: Engine,
  request: ConvertRequest,
  phase: EnterPhase,
): Promise<Converted> {
  const head = await headOf(request.input);
  if (head.length === 0) throw new LakeError("invalid", "The file is empty.");
  refuseOtherEncodings(head);
  refuseForeign(head, request.read.format);
  const format = request.read.format ?? (await detectFormat(request.input, head));
  if (format === "parquet") return convertParquet(engine, request, phase);
  if (format === "csv" || format === "tsv") return convertCsv(engine, request, format, phase);
  // JSON is read twice: for its shape, then for its values.
  phase("reading", 2 * statSync(request.input).size);
  const by_line =
    format === "ndjson" || (request.read.format === undefined && (await firstLineIsObject(request.input)));
  return convertExact(engine, request, format, await jsonToTexts(request, by_line), phase);
}

/** Finds out what the file's first MiB says, for `convert` to follow. */
export async function look(request: LookRequest): Promise<null> {
  const format = request.read.format ?? (await detectFormat(request.input, await headOf(request.input)));
  if (format === "csv" || format === "tsv") await lookAt(request, format);
  return null;
}

async function headOf(path: string): Promise<Uint8Array> {
  const file = await open(path, "r");
  try {
    const { buffer, bytesRead } = await file.read(new Uint8Array(64), 0, 64);
    return buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}

async function detectFormat(path: string, head: Uint8Array): Promise<FileFormat> {
  if (Buffer.from(head.subarray(0, 4)).toString("latin1") === "PAR1") return "parquet";
  const { text } = await sampleOf(path);
  const first = text.replace(/^\ufeff/, "").trimStart();
  if (first.startsWith("{") || /^\[\s*[{\]]/.test(first)) return isByLine(first) ? "ndjson" : "json";
  return "csv";
}

async function firstLineIsObject(path: string): Promise<boolean> {
  return isByLine((await sampleOf(path)).text);
}

/** What every way of reading has in common from here: the target, the copy, the answer. */
interface Step {
  engine: Engine;
  request: ConvertRequest;
  format: FileFormat;
  source: Source;
  target: Target;
  rejected: Rejected;
}

function targetOf(request: ConvertRequest, columns: readonly FileColumn[]): Target {
  const types = request.read.types === undefined ? new Map<string, string>() : parseTypes(request.read.types);
  if (request.table === null) return newTable(columns, types, request.key);
  if (types.size > 0)
    throw new LakeError("invalid", `types is for new tables; ${request.table.name} has its columns already.`);
  return existingTable(columns, request.table, request.evolve);
}

async function convertParquet(
  engine: Engine,
  request: ConvertRequest,
  phase: EnterPhase,
): Promise<Converted> {
  try {
    const columns = await parquetColumns(engine, request.input);
    phase("converting", statSync(request.input).size);
    const source = parquetSource(request.input, columns);
    const target = targetOf(request, columns);
    const rejected = { count: 0, samples: [] };
    return await copyChecked({ engine, request, format: "parquet", source, target, rejected });
  } catch (error) {
    if (error instanceof LakeError || isOutOfRoom(error)) throw error;
    throw new LakeError(
      "invalid",
      `The file can't be read as Parquet: ${whyUnreadable(error, request.input)}`,
    );
  }
}

async function parquetColumns(engine: Engine, path: string): Promise<FileColumn[]> {
  const described = await engine.run(`SELECT * FROM read_parquet(${literal(path)}) LIMIT 0`);
  const types = described.columnTypes();
  return described.columnNames().map((name, index) => {
    const type = types[index];
    if (type === undefined) throw new Error("a column without a type");
    return { name, type: fromDuckDB(type, name), text: false, sql_type: type.toString() };
  });
}

async function convertCsv(
  engine: Engine,
  request: ConvertRequest,
  format: FileFormat,
  phase: EnterPhase,
): Promise<Converted> {
  const { dialect, guess } = await lookAt(request, format);
  phase("converting", statSync(request.input).size);
  const target = targetOf(request, guess.columns);
  const source = csvSource(request.input, dialect, guess.header, guess.columns);
  const step: Step = { engine, request, format, source, target, rejected: { count: 0, samples: [] } };
  try {
    return await finish(step, await copy(step, "stop", guess.row_bytes));
  } catch (error) {
    // A guess that failed, or a row that DuckDB can't read: the exact way knows which.
    if (error instanceof LakeError || !isReadError(error)) throw error;
  }
  phase("reading", statSync(request.input).size);
  const exact = await csvToTexts(request, { ...dialect, max_record_chars: MAX_RECORD_CHARS }, guess);
  return convertExact(engine, request, format, exact, phase);
}

/** Values that don't fit and rows that can't be read are "Invalid Input" or "Conversion" to DuckDB. */
function isReadError(error: unknown): boolean {
  return /^(Invalid Input|Conversion|Invalid) Error/.test(messageOf(error));
}

async function convertExact(
  engine: Engine,
  request: ConvertRequest,
  format: FileFormat,
  exact: ExactFile,
  phase: EnterPhase,
): Promise<Converted> {
  phase("converting", statSync(exact.path).size);
  const source = textTableSource(exact.path, exact.columns);
  const target = targetOf(request, exact.columns);
  return copyChecked({ engine, request, format, source, target, rejected: exact.rejected }, exact.row_bytes);
}

/** Copies all rows; where a value doesn't fit, names it, or leaves its row out if so asked. */
async function copyChecked(step: Step, row_bytes?: number): Promise<Converted> {
  try {
    return await finish(step, await copy(step, "stop", row_bytes));
  } catch (error) {
    if (error instanceof LakeError || !messageOf(error).includes(MISFIT)) throw error;
  }
  const { engine, request, source, target, rejected } = step;
  const made = conversions(source, target);
  const wanted =
    request.read.on_error === "fail" ? 1 : Math.max(1, request.samples - rejected.samples.length);
  const sql = selectBadRows(source, made, wanted);
  const rows = sql === null ? [] : (await engine.run(sql)).getRowObjectsJson();
  for (const row of rows) {
    const bad = made[Number(row.bad)] as Conversion;
    const value = row.value === null ? null : String(row.value);
    const line = Number(row.line);
    const message = misfit(bad, value);
    if (request.read.on_error === "fail") throw badRow(step, line, bad.field.name, message, value ?? "");
    if (rejected.samples.length < request.samples)
      rejected.samples.push({ line, column: bad.field.name, message, excerpt: value ?? "" });
  }
  rejected.count += Number(rows[0]?.bad_rows ?? 0);
  rejected.samples.sort((a, b) => a.line - b.line);
  return finish(step, await copy(step, "leave out", row_bytes));
}

function misfit({ field }: Conversion, value: string | null): string {
  if (value === null || value === "") return "a value is required here";
  return `${JSON.stringify(value.slice(0, 100))} is not a ${typeText(field.type)} that would keep all of it`;
}

function badRow(step: Step, line: number, column: string, message: string, excerpt: string): LakeError {
  const where = step.format === "parquet" ? "Row" : "Line";
  return new LakeError(
    "invalid",
    `${where} ${line}, column "${column}": ${message}. Nothing was committed; on_error=skip leaves such rows out.`,
    { line, column, excerpt },
  );
}

let copies = 0;

async function copy(step: Step, bad_rows: "stop" | "leave out", row_bytes?: number): Promise<OutFile[]> {
  const { engine, request, source, target } = step;
  const out_dir = join(request.out_dir, `copy${copies++}`);
  mkdirSync(out_dir, { recursive: true });
  const select = selectRows(source, conversions(source, target), bad_rows);
  return runCopy(engine, select, target.fields, { out_dir, file_bytes: request.file_bytes, row_bytes });
}

async function finish(step: Step, files: OutFile[]): Promise<Converted> {
  const { engine, request, target, format, rejected } = step;
  const staged = files.map((it) => it.path);
  const keyed = request.key.length > 0 && staged.length > 0;
  if (keyed) await checkKeys(engine, staged, request.key, target.fields);
  return {
    format,
    fields: target.fields,
    changes: target.changes,
    files,
    rows: files.reduce((sum, it) => sum + it.rows, 0),
    rejected,
    key_bounds: keyed ? await keyBounds(engine, staged, request.key, target.fields) : [],
  };
}
