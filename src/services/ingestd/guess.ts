/** A file's first MiB: what it says of a delimited file's dialect, header and types. */
import { type CsvReaderOptions, columnNames, type Dialect, sampleRecords, sniffDelimiter } from "./csv.ts";
import type { FileColumn } from "./decide.ts";
import { Kinds } from "./kinds.ts";
import type { LookRequest } from "./protocol.ts";
import type { FileFormat } from "./schema.ts";
import { MAX_RECORD_CHARS, PIECE_BYTES, textPieces } from "./text.ts";

const SAMPLE_BYTES = PIECE_BYTES;
const SAMPLE_RECORDS = 50_000;

export interface Sample {
  text: string;
  /** It is all there is. */
  whole: boolean;
}

export async function sampleOf(path: string): Promise<Sample> {
  for await (const piece of textPieces(path, SAMPLE_BYTES)) return { text: piece.text, whole: piece.last };
  return { text: "", whole: true };
}

/** What the first MiB says of a delimited file. */
export interface Look {
  dialect: Dialect;
  guess: CsvGuess;
}

let last: { what: string; look: Look } | undefined;

/** Looks at a delimited file; a second look at the same one, to be read the same way, is remembered. */
export async function lookAt(request: LookRequest, format: FileFormat): Promise<Look> {
  const what = JSON.stringify([request.input, request.read, format]);
  if (last?.what === what) return last.look;
  const sample = await sampleOf(request.input);
  const dialect = dialectOf(request, format, sample);
  const look = { dialect, guess: guessColumns(request, dialect, sample) };
  last = { what, look };
  return look;
}

function dialectOf(request: LookRequest, format: FileFormat, sample: Sample): Dialect {
  const { read } = request;
  const quote = read.quote ?? '"';
  const fixed = {
    quote,
    escape: read.escape ?? quote,
    nulls: read.nulls,
    max_record_chars: MAX_RECORD_CHARS,
  };
  const delimiter =
    read.delimiter ?? (format === "tsv" ? "\t" : sniffDelimiter(sample.text, sample.whole, fixed));
  return { delimiter, quote, escape: fixed.escape, nulls: read.nulls };
}

export interface CsvGuess {
  header: boolean;
  columns: FileColumn[];
  row_bytes: number;
}

function guessColumns(request: LookRequest, dialect: Dialect, sample: Sample): CsvGuess {
  const options: CsvReaderOptions = { ...dialect, max_record_chars: MAX_RECORD_CHARS };
  const records = sampleRecords(sample.text, sample.whole, options, SAMPLE_RECORDS).filter((it) => !it.fault);
  const first = records[0]?.fields ?? [null];
  const rest = records.slice(1);
  const kinds = first.map((_, index) => {
    const of_column = new Kinds();
    for (const { fields } of rest) if (fields[index]) of_column.add(fields[index]);
    return of_column;
  });
  const header = request.read.header ?? (areYears(first, rest[0]?.fields) || !looksLikeData(first, kinds));
  if (!header) for (const [index, value] of first.entries()) if (value) kinds[index]?.add(value);
  const names = header ? columnNames(first) : columnNames(first.map(() => null));
  const columns = names.map((name, index) => {
    const of_column = kinds[index] as Kinds;
    return { name, type: of_column.type(), text: true, digits: of_column.digits() };
  });
  return { header, columns, row_bytes: sample.text.length / Math.max(1, records.length) };
}

/** A header of a pivoted table, whose only numbers are the years above its columns. */
function areYears(first: readonly (string | null)[], second: readonly (string | null)[] = []): boolean {
  const year = /^(19|20)[0-9]{2}$/;
  const numbers = first.filter((it) => it !== null && /^-?[0-9.]+$/.test(it));
  const distinct = new Set(numbers).size === numbers.length;
  return (
    numbers.length > 1 &&
    distinct &&
    numbers.every((it) => year.test(it as string)) &&
    !second.every((it, at) => !year.test(first[at] ?? "") || year.test(it ?? ""))
  );
}

/** The first row is data where each value fits what stands below it, and some of that is no text. */
function looksLikeData(first: readonly (string | null)[], below: readonly Kinds[]): boolean {
  let typed = false;
  for (const [index, value] of first.entries()) {
    const type = below[index]?.type() ?? "string";
    if (type === "string" || value === null || value === "") continue;
    const own = new Kinds();
    own.add(value);
    if (own.type() === "string") return false;
    typed = true;
  }
  return typed;
}
