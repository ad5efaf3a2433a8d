/** The exact way: a whole file read here, its rows written as texts with their lines, its types known for sure. */
import { mkdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { LakeError } from "../../shared/errors.ts";
import type { IcebergType } from "../catalogd/schema.ts";
import { CsvReader, type CsvReaderOptions, type CsvRecord, columnNames, isBlank } from "./csv.ts";
import { type FileColumn, UNKNOWN } from "./decide.ts";
import type { CsvGuess } from "./guess.ts";
import { JsonReader, type JsonRecord, type JsonValue } from "./json.ts";
import { Kinds } from "./kinds.ts";
import type { ConvertRequest } from "./protocol.ts";
import type { Rejected } from "./schema.ts";
import { Shape, ShapeBudget, textOf } from "./shape.ts";
import { MAX_RECORD_CHARS, REPLACEMENT, textPieces } from "./text.ts";
import { TextTable } from "./text_table.ts";

const EXCERPT_CHARS = 200;

export interface ExactFile {
  /** The table of texts. */
  path: string;
  columns: FileColumn[];
  rejected: Rejected;
  row_bytes: number;
}

interface BadRow {
  line: number;
  column: string | null;
  message: string;
  excerpt: string;
}

/** Counts a bad row and keeps the first few, or refuses the file at once. */
class Rejections {
  readonly rejected: Rejected = { count: 0, samples: [] };

  constructor(readonly request: ConvertRequest) {}

  /** @throws LakeError invalid where one bad row refuses the file */
  add(bad: BadRow): void {
    if (this.request.read.on_error === "fail") {
      const column = bad.column === null ? "" : `, column "${bad.column}"`;
      throw new LakeError(
        "invalid",
        `Line ${bad.line}${column}: ${bad.message}. Nothing was committed; on_error=skip leaves such rows out.`,
        { line: bad.line, column: bad.column, excerpt: bad.excerpt },
      );
    }
    this.rejected.count++;
    if (this.rejected.samples.length < this.request.samples) this.rejected.samples.push(bad);
  }
}

function textsPath(request: ConvertRequest): string {
  mkdirSync(request.scratch_dir, { recursive: true });
  return join(request.scratch_dir, "texts.csv");
}

/** @throws LakeError invalid, naming line and column */
export async function csvToTexts(
  request: ConvertRequest,
  options: CsvReaderOptions,
  guess: CsvGuess,
): Promise<ExactFile> {
  const path = textsPath(request);
  const table = new TextTable(path);
  const reader = new CsvReader(options);
  const rejections = new Rejections(request);
  const names = guess.columns.map((it) => it.name);
  const kinds = names.map(() => new Kinds());
  let header_due = guess.header;
  let rows = 0;
  for await (const piece of textPieces(request.input)) {
    reader.push(piece.text, piece.last);
    for (let record = reader.next(); record !== undefined; record = reader.next()) {
      if (names.length > 1 && isBlank(record)) continue;
      if (header_due && record.fault === undefined) {
        header_due = false;
        continue;
      }
      const bad = faultOf(record, names, piece.broken);
      if (bad !== undefined) {
        rejections.add(bad);
        continue;
      }
      rows++;
      for (let index = 0; index < names.length; index++) {
        const value = record.fields[index];
        if (value) (kinds[index] as Kinds).add(value);
      }
      table.add(record.line, record.fields);
    }
  }
  table.close();
  const columns = names.map((name, index) => {
    const of_column = kinds[index] as Kinds;
    const type = of_column.empty ? UNKNOWN : of_column.type();
    return { name, type, text: true, digits: of_column.digits() };
  });
  return { path, columns, rejected: rejections.rejected, row_bytes: statSync(path).size / Math.max(1, rows) };
}

function faultOf(record: CsvRecord, names: readonly string[], broken: boolean): BadRow | undefined {
  const { fields, line, fault } = record;
  const excerpt = fields
    .map((it) => it ?? "")
    .join(",")
    .slice(0, EXCERPT_CHARS);
  if (fault)
    return { line, column: names[fault.field] ?? null, message: fault.message, excerpt: fault.excerpt };
  if (fields.length !== names.length) {
    const column = fields.length < names.length ? (names[fields.length] as string) : null;
    const message = `the row has ${fields.length} values where ${names.length} columns were expected`;
    return { line, column, message, excerpt };
  }
  const at = broken ? fields.findIndex((it) => it?.includes(REPLACEMENT)) : -1;
  if (at < 0) return undefined;
  return { line, column: names[at] as string, message: "bytes that are not UTF-8", excerpt };
}

/** @throws LakeError invalid, naming line and column */
export async function jsonToTexts(request: ConvertRequest, by_line: boolean): Promise<ExactFile> {
  const rejections = new Rejections(request);
  const budget = new ShapeBudget(request.max_columns);
  const shapes = new Map<string, Shape>();
  let rows = 0;
  await eachRecord(request.input, by_line, (record) => {
    if (record.value === undefined) {
      rejections.add({
        line: record.line,
        column: null,
        message: record.fault ?? "",
        excerpt: record.excerpt,
      });
      return;
    }
    rows++;
    for (const name in record.value) {
      let shape = shapes.get(name);
      if (shape === undefined) {
        shape = new Shape(budget);
        shapes.set(name, shape);
      }
      shape.add(record.value[name] as JsonValue);
    }
  });
  if (rows > 0 && shapes.size === 0)
    throw new LakeError("invalid", "Line 1: the records have no members, so there are no columns.");
  if (rows === 0)
    throw new LakeError("invalid", "The file has no record that could be read, so no columns are known.");
  const keys = [...shapes.keys()];
  const types = keys.map((it) => (shapes.get(it) as Shape).type());
  const path = textsPath(request);
  await writeRecords(request.input, path, by_line, keys, types);
  const names = columnNames(keys);
  const columns = names.map((name, index) => ({
    name,
    type: types[index] as IcebergType,
    text: true,
    digits: shapes.get(keys[index] as string)?.digits(),
  }));
  return { path, columns, rejected: rejections.rejected, row_bytes: statSync(path).size / Math.max(1, rows) };
}

/** The second reading: by now every column and its type is known. */
async function writeRecords(
  input: string,
  path: string,
  by_line: boolean,
  keys: string[],
  types: IcebergType[],
): Promise<void> {
  const table = new TextTable(path);
  await eachRecord(input, by_line, ({ value, line }) => {
    if (value === undefined) return;
    const texts = keys.map((key, index) =>
      Object.hasOwn(value, key) ? textOf(value[key] as JsonValue, types[index] as IcebergType) : null,
    );
    table.add(line, texts);
  });
  table.close();
}

async function eachRecord(
  input: string,
  by_line: boolean,
  take: (record: JsonRecord) => void,
): Promise<void> {
  const reader = new JsonReader({ by_line, max_record_chars: MAX_RECORD_CHARS });
  for await (const piece of textPieces(input)) {
    reader.push(piece);
    for (let record = reader.next(); record !== undefined; record = reader.next()) take(record);
  }
}
