/** Iceberg's types (table spec v2): reading the names people write, writing Iceberg's own, promotion. */
import { LakeError } from "../../shared/errors.ts";
import type { IcebergField, IcebergType } from "./schema.ts";

/** What other systems call Iceberg's primitive types. */
const SYNONYMS: Record<string, string> = {
  boolean: "boolean bool bit",
  int: "int integer int32 int4 int16 int8 smallint tinyint uint8 uint16 utinyint usmallint short byte",
  long: "long bigint int64 uint32 uinteger",
  float: "float float32 float4 real",
  double: "double float64 float8 double_precision",
  date: "date date32",
  time: "time time64 time_without_time_zone",
  timestamp: "timestamp datetime timestamp_us timestamp_ntz timestamp_without_time_zone",
  timestamptz: "timestamptz timestamp_tz timestamp_ltz timestamp_with_time_zone",
  string: "string text utf8 large_utf8 large_string varchar char character bpchar json str",
  uuid: "uuid",
  binary: "binary bytes bytea blob varbinary large_binary",
};
const BY_SYNONYM = new Map(
  Object.entries(SYNONYMS).flatMap(([name, words]) => words.split(" ").map((word) => [word, name] as const)),
);
const MAX_DEPTH = 32;

/** Hands out field ids, in order. */
export interface FieldIds {
  next(): number;
}

export function fieldIdsAfter(last: number): FieldIds {
  let id = last;
  return { next: () => ++id };
}

/**
 * Reads a type as people write it: `long`, `bigint`, `decimal(9,2)`, `list<string>`, `int[]`,
 * `struct<a: int, b: string>`, `map<string, long>`.
 * @throws LakeError invalid, naming the column
 */
export function parseType(text: string, column: string, ids: FieldIds): IcebergType {
  const reader = new TypeReader(text, column, ids);
  const type = reader.type(0);
  reader.end();
  return type;
}

class TypeReader {
  #at = 0;
  readonly #text: string;
  readonly #column: string;
  readonly #ids: FieldIds;

  constructor(text: string, column: string, ids: FieldIds) {
    this.#text = text;
    this.#column = column;
    this.#ids = ids;
  }

  type(depth: number): IcebergType {
    if (depth > MAX_DEPTH) throw this.#fault(`types nest deeper than ${MAX_DEPTH}`);
    let type = this.#base(depth);
    while (this.#take("[]")) type = this.#list(type);
    return type;
  }

  end(): void {
    this.#space();
    if (this.#at < this.#text.length) throw this.#fault(`"${this.#text.slice(this.#at)}" is left over`);
  }

  #base(depth: number): IcebergType {
    const word = this.#word();
    if (word === "list" || word === "array" || word === "large_list") return this.#nestedList(depth);
    if (word === "map") return this.#map(depth);
    if (word === "struct" || word === "row" || word === "record") return this.#struct(depth);
    if (word === "decimal" || word === "numeric" || word === "decimal128") return this.#decimal();
    if (word === "fixed") return `fixed[${this.#numbers("[", "]", 1)[0]}]`;
    const name = BY_SYNONYM.get(word);
    if (name === undefined) throw this.#fault(`"${word}" is not a type known here`);
    if (name === "string" && this.#peek("(")) this.#numbers("(", ")", 1);
    if (name === "timestamp" && this.#peek("[")) return this.#arrowTimestamp();
    if (name === "time" && this.#peek("[us]")) this.#take("[us]");
    return name;
  }

  /** Arrow writes `timestamp[us]` and `timestamp[us, tz=UTC]`. */
  #arrowTimestamp(): string {
    if (this.#peek("[]")) return "timestamp";
    const found = /^\[(s|ms|us)(?:\s*,\s*(?:tz=)?[^\]]+)?\]/.exec(this.#text.slice(this.#at));
    if (!found) throw this.#fault("a timestamp is in s, ms or us; Iceberg v2 keeps microseconds");
    this.#at += found[0].length;
    return found[0].includes(",") ? "timestamptz" : "timestamp";
  }

  #nestedList(depth: number): IcebergType {
    this.#expect("<");
    const type = this.#list(() => this.type(depth + 1));
    this.#expect(">");
    return type;
  }

  #list(element: IcebergType | (() => IcebergType)): IcebergType {
    const id = this.#ids.next();
    return {
      type: "list",
      "element-id": id,
      element: typeof element === "function" ? element() : element,
      "element-required": false,
    };
  }

  #map(depth: number): IcebergType {
    const close = this.#open();
    const key_id = this.#ids.next();
    const value_id = this.#ids.next();
    const key = this.type(depth + 1);
    this.#expect(",");
    const value = this.type(depth + 1);
    this.#expect(close);
    return { type: "map", "key-id": key_id, key, "value-id": value_id, value, "value-required": false };
  }

  #struct(depth: number): IcebergType {
    const close = this.#open();
    const fields: IcebergField[] = [];
    do {
      const name = this.#fieldName();
      this.#take(":");
      fields.push({ id: this.#ids.next(), name, required: false, type: this.type(depth + 1) });
    } while (this.#take(","));
    this.#expect(close);
    return { type: "struct", fields };
  }

  /** Opens a nested type as Iceberg or as SQL writes it; answers what closes it. */
  #open(): string {
    if (this.#take("(")) return ")";
    this.#expect("<");
    return ">";
  }

  #decimal(): string {
    const [precision = 18, scale = 0] = this.#peek("(") ? this.#numbers("(", ")", 2) : [18, 3];
    if (precision < 1 || precision > 38 || scale > precision)
      throw this.#fault("a decimal has 1 to 38 digits, and no more after the point than in all");
    return `decimal(${precision},${scale})`;
  }

  #numbers(open: string, close: string, most: number): number[] {
    this.#expect(open);
    const numbers: number[] = [];
    do {
      this.#space();
      const digits = /^\d{1,9}/.exec(this.#text.slice(this.#at))?.[0];
      if (digits === undefined || numbers.length === most) throw this.#fault("a number was expected");
      this.#at += digits.length;
      numbers.push(Number(digits));
    } while (this.#take(","));
    this.#expect(close);
    return numbers;
  }

  #fieldName(): string {
    this.#space();
    const rest = this.#text.slice(this.#at);
    const found = /^"((?:[^"]|"")+)"/.exec(rest) ?? /^([^\s:,<>()"]+)/.exec(rest);
    if (!found) throw this.#fault("a field's name was expected");
    this.#at += found[0].length;
    return (found[1] as string).replaceAll('""', '"');
  }

  /** A type's name, in lower case, `timestamp with time zone` as one word. */
  #word(): string {
    this.#space();
    const rest = this.#text.slice(this.#at);
    const found =
      /^(timestamp|time) +with(?:out)? +time +zone|^double +precision/i.exec(rest) ??
      /^[A-Za-z_]\w*/.exec(rest);
    if (!found) throw this.#fault("a type's name was expected");
    this.#at += found[0].length;
    return found[0].toLowerCase().replaceAll(/ +/g, "_");
  }

  #space(): void {
    while (this.#text[this.#at] === " ") this.#at++;
  }

  #peek(token: string): boolean {
    this.#space();
    return this.#text.startsWith(token, this.#at);
  }

  #take(token: string): boolean {
    if (!this.#peek(token)) return false;
    this.#at += token.length;
    return true;
  }

  #expect(token: string): void {
    if (!this.#take(token))
      throw this.#fault(`"${token}" was expected after "${this.#text.slice(0, this.#at)}"`);
  }

  #fault(why: string): LakeError {
    return new LakeError(
      "invalid",
      `Column "${this.#column}": the type "${this.#text.slice(0, 200)}" can't be read: ${why}. Known are ${Object.keys(SYNONYMS).join(", ")}, decimal(p,s), fixed[n], list<…>, struct<name: type, …> and map<…, …>.`,
    );
  }
}

/** A type as Iceberg names it, nested ones as `list<…>`, `struct<name: type>` and `map<…, …>`. */
export function formatType(type: IcebergType): string {
  if (typeof type === "string") return type.replaceAll(" ", "");
  if (type.type === "list") return `list<${formatType(type.element)}>`;
  if (type.type === "map") return `map<${formatType(type.key)}, ${formatType(type.value)}>`;
  return `struct<${type.fields.map((it) => `${quoteName(it.name)}: ${formatType(it.type)}`).join(", ")}>`;
}

function quoteName(name: string): string {
  return /^[^\s:,<>()"]+$/.test(name) ? name : `"${name.replaceAll('"', '""')}"`;
}

/** Precision and scale, where the type is a decimal. */
export function decimalOf(type: IcebergType): { precision: number; scale: number } | undefined {
  const found = typeof type === "string" ? /^decimal\((\d+), ?(\d+)\)$/.exec(type) : null;
  return found ? { precision: Number(found[1]), scale: Number(found[2]) } : undefined;
}

/** The length in bytes, where the type is fixed. */
export function fixedLengthOf(type: IcebergType): number | undefined {
  const found = typeof type === "string" ? /^fixed\[(\d+)\]$/.exec(type) : null;
  return found ? Number(found[1]) : undefined;
}

/** Whether values of one primitive type are read as another unchanged (spec v2, "Schema Evolution"). */
export function promotes(from: IcebergType, to: IcebergType): boolean {
  if (typeof from !== "string" || typeof to !== "string") return false;
  if (formatType(from) === formatType(to)) return true;
  if (from === "int") return to === "long";
  if (from === "float") return to === "double";
  const [narrow, wide] = [decimalOf(from), decimalOf(to)];
  return !!narrow && !!wide && narrow.scale === wide.scale && narrow.precision <= wide.precision;
}
