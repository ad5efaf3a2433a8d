/**
 * JSON records, exactly: an array, a stream of objects, or one object a line. Numbers keep the digits they
 * were written with where a double would drop some, and a fault is named by its line.
 */
import type { TextPiece } from "./text.ts";
import { REPLACEMENT } from "./text.ts";

/** A number as it was written, where JavaScript's own would not print the same. */
export class RawNumber {
  constructor(readonly raw: string) {}
}

export type JsonValue = null | boolean | number | string | RawNumber | JsonValue[] | JsonObject;
export interface JsonObject {
  [name: string]: JsonValue;
}

export interface JsonRecord {
  /** Undefined where it can't be read. */
  value?: JsonObject;
  /** The line it begins on, from 1. */
  line: number;
  fault?: string;
  excerpt: string;
}

export interface JsonOptions {
  /** One record a line, so that reading can go on after a broken one. */
  by_line: boolean;
  max_record_chars: number;
}

const EXCERPT_CHARS = 200;
/** What may hold a number that `JSON.parse` would change: long ones, exponents, `1.0`. */
const SUSPECT_NUMBER = /[0-9][0-9.]{15}|[0-9][eE][-+0-9]|\.[0-9]*0(?![0-9])/;

/** Whether the text is one object a line: its first line is a whole object. */
export function isByLine(sample: string): boolean {
  const line = sample.trimStart().split("\n", 1)[0] ?? "";
  if (!line.startsWith("{")) return false;
  try {
    JSON.parse(line);
    return true;
  } catch {
    return false;
  }
}

/** @throws SyntaxError of `JSON.parse` */
export function parseExact(text: string): JsonValue {
  if (!SUSPECT_NUMBER.test(text)) return JSON.parse(text) as JsonValue;
  return JSON.parse(text, keepDigits as (this: unknown, key: string, value: unknown) => unknown) as JsonValue;
}

function keepDigits(this: unknown, _key: string, value: unknown, context?: { source?: string }): unknown {
  if (typeof value !== "number" || context?.source === undefined) return value;
  return context.source === String(value) ? value : new RawNumber(context.source);
}

/** Splits text that comes in pieces into records. */
export class JsonReader {
  readonly #options: JsonOptions;
  #text = "";
  #at = 0;
  #line = 1;
  #final = false;
  #broken = false;
  #in_array = false;
  #stopped = false;

  constructor(options: JsonOptions) {
    this.#options = options;
  }

  push(piece: TextPiece): void {
    this.#text = this.#text.slice(this.#at) + piece.text;
    this.#at = 0;
    this.#final = piece.last;
    this.#broken = piece.broken;
    if (this.#line === 1 && this.#text.charCodeAt(0) === 0xfeff) this.#at = 1;
  }

  /** The next record, or undefined where more text is needed or all was read. */
  next(): JsonRecord | undefined {
    if (this.#stopped) return undefined;
    return this.#options.by_line ? this.#nextLine() : this.#nextValue();
  }

  #nextLine(): JsonRecord | undefined {
    for (;;) {
      if (this.#at >= this.#text.length) return undefined;
      const newline = this.#text.indexOf("\n", this.#at);
      if (newline < 0 && !this.#final) return this.#tooLong();
      const end = newline < 0 ? this.#text.length : newline;
      const text = this.#text.slice(this.#at, end);
      const line = this.#line;
      this.#at = newline < 0 ? end : end + 1;
      this.#line++;
      if (text.trim() !== "") return this.#read(text, line);
    }
  }

  #nextValue(): JsonRecord | undefined {
    this.#skip();
    if (this.#at >= this.#text.length) {
      if (this.#final && this.#in_array) return this.#stop("the array is never closed");
      return undefined;
    }
    if (this.#text[this.#at] !== "{") return this.#stop("an object was expected here");
    const end = objectEnd(this.#text, this.#at);
    if (end === undefined) {
      if (!this.#final) return this.#tooLong();
      // `JSON.parse` says what is wrong better than "never closed".
      const record = this.#read(this.#text.slice(this.#at), this.#line);
      this.#stopped = true;
      return record;
    }
    const text = this.#text.slice(this.#at, end);
    const record = this.#read(text, this.#line);
    this.#line += newlinesIn(text);
    this.#at = end;
    // Past a fault it can't be known where the next record begins.
    if (record.value === undefined) this.#stopped = true;
    return record;
  }

  /** Passes blanks, commas between records and the outer array's brackets. */
  #skip(): void {
    for (; this.#at < this.#text.length; this.#at++) {
      const char = this.#text[this.#at];
      if (char === "\n") this.#line++;
      else if (char === "[" && !this.#in_array) this.#in_array = true;
      else if (char === "]" && this.#in_array) this.#in_array = false;
      else if (char !== " " && char !== "\t" && char !== "\r" && char !== ",") return;
    }
  }

  #read(text: string, line: number): JsonRecord {
    const excerpt = text.slice(0, EXCERPT_CHARS);
    if (this.#broken && text.includes(REPLACEMENT))
      return { line, fault: "bytes that are not UTF-8", excerpt };
    try {
      const value = parseExact(text);
      if (typeof value !== "object" || value === null || Array.isArray(value) || value instanceof RawNumber)
        return { line, fault: "a record must be an object", excerpt };
      return { value, line, excerpt: "" };
    } catch (error) {
      return { line, fault: `not valid JSON (${(error as Error).message})`, excerpt };
    }
  }

  #stop(fault: string): JsonRecord {
    this.#stopped = true;
    return { line: this.#line, fault, excerpt: this.#text.slice(this.#at, this.#at + EXCERPT_CHARS) };
  }

  #tooLong(): JsonRecord | undefined {
    const { max_record_chars } = this.#options;
    if (this.#text.length - this.#at <= max_record_chars) return undefined;
    return this.#stop(`a record is longer than ${max_record_chars} characters`);
  }
}

/** The place behind the object that begins at `from`; undefined where it doesn't end in this text. */
function objectEnd(text: string, from: number): number | undefined {
  let depth = 0;
  for (let at = from; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === 34) {
      at = stringEnd(text, at);
      if (at < 0) return undefined;
    } else if (code === 123 || code === 91) depth++;
    else if ((code === 125 || code === 93) && --depth === 0) return at + 1;
  }
  return undefined;
}

/** The place of the quote that closes the string beginning at `from`, or -1. */
function stringEnd(text: string, from: number): number {
  for (let close = text.indexOf('"', from + 1); close >= 0; close = text.indexOf('"', close + 1)) {
    let slashes = 0;
    while (text.charCodeAt(close - 1 - slashes) === 92) slashes++;
    if (slashes % 2 === 0) return close;
  }
  return -1;
}

function newlinesIn(text: string): number {
  let count = 0;
  for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) count++;
  return count;
}
