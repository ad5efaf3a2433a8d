/**
 * Delimited text, read exactly (RFC 4180, any delimiter): for the sample that decides the dialect and, where
 * DuckDB's reader stops, for the whole file, so that a fault is named by its line and column.
 */

export interface Dialect {
  /** One to four characters. */
  delimiter: string;
  /** One character, or empty for none. */
  quote: string;
  /** One character; equal to the quote where quotes are doubled. */
  escape: string;
  /** Unquoted values that stand for null. */
  nulls: readonly string[];
}

/** One record; a field is null where nothing was written, and "" where an empty value was quoted. */
export interface CsvRecord {
  fields: (string | null)[];
  /** The line it begins on, from 1. */
  line: number;
  /** Why it can't be read, at which field (from 0). */
  fault?: { field: number; message: string; excerpt: string };
}

export interface CsvReaderOptions extends Dialect {
  max_record_chars: number;
}

const LF = 10;
const CR = 13;
const EXCERPT_CHARS = 200;
const CANDIDATES = [",", "\t", ";", "|"] as const;
const SNIFFED_RECORDS = 500;
/** The share of records that must agree on their number of fields for a delimiter to be believed. */
const AGREEMENT = 0.9;

/** Splits text that comes in pieces into records. */
export class CsvReader {
  readonly #options: CsvReaderOptions;
  readonly #nulls: ReadonlySet<string>;
  #text = "";
  #at = 0;
  #line = 1;
  #final = false;

  constructor(options: CsvReaderOptions) {
    this.#options = options;
    this.#nulls = new Set(["", ...options.nulls]);
  }

  /** Adds text; `final` says that none follows. */
  push(text: string, final: boolean): void {
    this.#text = this.#at === this.#text.length ? text : this.#text.slice(this.#at) + text;
    this.#at = 0;
    this.#final = final;
    if (this.#line === 1 && this.#text.charCodeAt(0) === 0xfeff) this.#at = 1;
  }

  /** The next whole record, or undefined where more text is needed or all was read. */
  next(): CsvRecord | undefined {
    if (this.#at >= this.#text.length) return undefined;
    const record = this.#record();
    if (record === undefined && this.#text.length - this.#at > this.#options.max_record_chars)
      return this.#broken(
        this.#at,
        0,
        `a record is longer than ${this.#options.max_record_chars} characters`,
      );
    return record;
  }

  #record(): CsvRecord | undefined {
    const { delimiter, quote } = this.#options;
    const text = this.#text;
    const fields: (string | null)[] = [];
    const quote_code = quote === "" ? -1 : quote.charCodeAt(0);
    const first = delimiter.charCodeAt(0);
    let at = this.#at;
    let newlines = 0;
    for (;;) {
      let end: number;
      if (text.charCodeAt(at) === quote_code) {
        const closed = this.#quoted(at + 1);
        if (closed === undefined)
          return this.#final ? this.#broken(at, fields.length, "a quoted value is never closed") : undefined;
        fields.push(closed.value);
        newlines += closed.newlines;
        end = closed.end;
        const code = text.charCodeAt(end);
        if (end < text.length && code !== LF && code !== CR && !text.startsWith(delimiter, end))
          return this.#broken(at, fields.length - 1, "text follows the closing quote");
      } else {
        end = at;
        for (; end < text.length; end++) {
          const code = text.charCodeAt(end);
          if (code === LF || code === CR) break;
          if (code === first && (delimiter.length === 1 || text.startsWith(delimiter, end))) break;
        }
        const value = text.slice(at, end);
        fields.push(this.#nulls.has(value) ? null : value);
      }
      // What stands at the very end may go on in the next piece.
      if (end >= text.length - 1 && !this.#final) return undefined;
      const code = text.charCodeAt(end);
      if (end >= text.length || code === LF || code === CR) {
        const record = { fields, line: this.#line };
        this.#line += newlines + 1;
        this.#at = end >= text.length ? end : end + (code === CR && text.charCodeAt(end + 1) === LF ? 2 : 1);
        return record;
      }
      at = end + delimiter.length;
    }
  }

  /** A quoted value from behind its opening quote; undefined where it isn't closed in this text. */
  #quoted(from: number): { value: string; end: number; newlines: number } | undefined {
    const { quote, escape: escaping } = this.#options;
    const text = this.#text;
    let value = "";
    let begin = from;
    for (let at = from; ; ) {
      const close = text.indexOf(quote, at);
      if (close < 0) return undefined;
      if (escaping !== quote) {
        const escaped = text.indexOf(escaping, at);
        if (escaped >= 0 && escaped < close) {
          const next = text[escaped + 1];
          if (next === undefined) return undefined;
          value += text.slice(begin, next === quote || next === escaping ? escaped : escaped + 1) + next;
          begin = at = escaped + 2;
          continue;
        }
      } else if (text.startsWith(quote, close + 1)) {
        value += text.slice(begin, close + 1);
        begin = at = close + 2;
        continue;
      } else if (close + 1 >= text.length && !this.#final) return undefined;
      value += text.slice(begin, close);
      return { value, end: close + 1, newlines: lineBreaks(value) };
    }
  }

  /** A record that can't be read; reading goes on at the next line. */
  #broken(at: number, field: number, message: string): CsvRecord {
    const text = this.#text;
    const newline = text.indexOf("\n", at);
    const end = newline < 0 ? text.length : newline;
    const excerpt = text.slice(this.#at, Math.min(end, this.#at + EXCERPT_CHARS));
    const record = { fields: [], line: this.#line, fault: { field, message, excerpt } };
    this.#line += lineBreaks(text.slice(this.#at, end)) + 1;
    this.#at = newline < 0 ? text.length : newline + 1;
    return record;
  }
}

function lineBreaks(text: string): number {
  let count = 0;
  for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) count++;
  if (count === 0) for (let at = text.indexOf("\r"); at >= 0; at = text.indexOf("\r", at + 1)) count++;
  return count;
}

/** Whether a record is a blank line, which counts only in a file of one column. */
export function isBlank(record: CsvRecord): boolean {
  return record.fault === undefined && record.fields.length === 1 && record.fields[0] === null;
}

/** The records of a sample; `whole` says that the sample is all there is. */
export function sampleRecords(
  text: string,
  whole: boolean,
  options: CsvReaderOptions,
  most: number,
): CsvRecord[] {
  const reader = new CsvReader(options);
  reader.push(text, whole);
  const records: CsvRecord[] = [];
  while (records.length < most) {
    const record = reader.next();
    if (record === undefined) break;
    if (!isBlank(record)) records.push(record);
  }
  return records;
}

/** The delimiter under which the sample's records agree best on having several fields; a comma otherwise. */
export function sniffDelimiter(
  text: string,
  whole: boolean,
  options: Omit<CsvReaderOptions, "delimiter">,
): string {
  let best = { delimiter: ",", agreement: 0, columns: 1 };
  for (const delimiter of CANDIDATES) {
    const records = sampleRecords(text, whole, { ...options, delimiter }, SNIFFED_RECORDS);
    const columns = records[0]?.fields.length ?? 0;
    if (columns < 2) continue;
    const agreeing = records.filter((it) => it.fault === undefined && it.fields.length === columns).length;
    const agreement = agreeing / records.length;
    const better = agreement > best.agreement || (agreement === best.agreement && columns > best.columns);
    if (agreement >= AGREEMENT && better) best = { delimiter, agreement, columns };
    else if (best.columns === 1 && best.agreement === 0) best = { delimiter, agreement, columns };
  }
  return best.delimiter;
}

/** Names of columns from a header: trimmed, made up where empty, numbered where they meet (without case). */
export function columnNames(header: readonly (string | null)[]): string[] {
  const taken = new Set<string>();
  return header.map((given, index) => {
    const base = (given ?? "").trim().replaceAll("\0", "").slice(0, 240) || `column_${index + 1}`;
    let name = base;
    for (let n = 1; taken.has(name.toLowerCase()); n++) name = `${base}_${n}`;
    taken.add(name.toLowerCase());
    return name;
  });
}
