/**
 * Single values of Iceberg's primitive types: in binary, as bounds are kept (table spec, appendix D),
 * and from JSON, as filters give them. In between they are numbers, bigints or bytes that compare.
 */
import type { IcebergType } from "./schema.ts";
import { decimalOf, fixedLengthOf } from "./types.ts";

/**
 * A value that compares with others of its type: int, long and decimal (unscaled) as bigint, time and
 * timestamps as bigint microseconds, date as days, boolean as 0 or 1, strings and the rest as bytes.
 */
export type Comparable = number | bigint | Buffer;

/** Iceberg's default, `write.metadata.metrics.default = truncate(16)`. */
const TRUNCATED_LENGTH = 16;
const MICROS_PER_SECOND = 1_000_000n;

export function compareValues(a: Comparable, b: Comparable): number {
  if (typeof a === "object" && typeof b === "object") return Buffer.compare(a, b);
  return a < b ? -1 : a > b ? 1 : 0;
}

/** The smaller of two 64-bit numbers; Math.min takes none. */
export function smaller(a: bigint, b: bigint): bigint {
  return compareValues(a, b) <= 0 ? a : b;
}

/** A bound in binary. */
export function encodeBound(type: IcebergType, value: Comparable): Buffer {
  if (typeof value === "object") return value;
  if (type === "boolean") return Buffer.from([Number(value)]);
  if (decimalOf(type)) return twosComplement(BigInt(value));
  const bytes = Buffer.alloc(type === "int" || type === "date" || type === "float" ? 4 : 8);
  if (type === "int" || type === "date") bytes.writeInt32LE(Number(value));
  else if (type === "float") bytes.writeFloatLE(Number(value));
  else if (type === "double") bytes.writeDoubleLE(Number(value));
  else bytes.writeBigInt64LE(BigInt(value));
  return bytes;
}

/** The shortest big-endian two's complement form of a number. */
function twosComplement(value: bigint): Buffer {
  let length = 1;
  while (BigInt.asIntN(8 * length, value) !== value) length++;
  const hex = BigInt.asUintN(8 * length, value).toString(16);
  return Buffer.from(hex.padStart(2 * length, "0"), "hex");
}

/** A big-endian two's complement number. */
export function fromTwosComplement(bytes: Uint8Array): bigint {
  if (bytes.length === 0) return 0n;
  return BigInt.asIntN(8 * bytes.length, BigInt(`0x${Buffer.from(bytes).toString("hex")}`));
}

/** Reads a bound; one written before its column was widened is as long as the type was then. */
export function decodeBound(type: IcebergType, bytes: Buffer): Comparable | undefined {
  if (decimalOf(type)) return fromTwosComplement(bytes);
  switch (type) {
    case "boolean":
      return bytes[0];
    case "date":
      return bytes.length === 4 ? bytes.readInt32LE() : undefined;
    case "int":
    case "long":
      return bytes.length === 4 ? BigInt(bytes.readInt32LE()) : readLong(bytes);
    case "float":
    case "double":
      if (bytes.length === 4) return bytes.readFloatLE();
      return bytes.length === 8 ? bytes.readDoubleLE() : undefined;
    case "time":
    case "timestamp":
    case "timestamptz":
      return readLong(bytes);
    default:
      return bytes;
  }
}

function readLong(bytes: Buffer): bigint | undefined {
  return bytes.length === 8 ? bytes.readBigInt64LE() : undefined;
}

/** A lower bound of strings or bytes, no longer than Iceberg keeps. */
export function truncateLower(type: IcebergType, value: Buffer): Buffer {
  if (type === "string") return truncateString(value).bytes;
  return type === "binary" ? value.subarray(0, TRUNCATED_LENGTH) : value;
}

/** An upper bound of strings or bytes: cut, and then counted up; undefined where nothing is above. */
export function truncateUpper(type: IcebergType, value: Buffer): Buffer | undefined {
  if (type === "string") {
    const { bytes, cut } = truncateString(value);
    return cut ? nextString(bytes) : value;
  }
  if (type !== "binary" || value.length <= TRUNCATED_LENGTH) return value;
  const cut = Buffer.from(value.subarray(0, TRUNCATED_LENGTH));
  for (let at = cut.length - 1; at >= 0; at--)
    if ((cut[at] as number) < 0xff) {
      cut[at] = (cut[at] as number) + 1;
      return cut.subarray(0, at + 1);
    }
  return undefined;
}

/** The first 16 code points. */
function truncateString(value: Buffer): { bytes: Buffer; cut: boolean } {
  if (value.length <= TRUNCATED_LENGTH) return { bytes: value, cut: false };
  let points = 0;
  for (let at = 0; at < value.length; at++) {
    const begins = ((value[at] as number) & 0xc0) !== 0x80;
    if (begins && points++ === TRUNCATED_LENGTH) return { bytes: value.subarray(0, at), cut: true };
  }
  return { bytes: value, cut: false };
}

/** The least string above every one that begins with this: its last code point counted up. */
function nextString(bytes: Buffer): Buffer | undefined {
  const points = Array.from(bytes.toString("utf8"), (it) => it.codePointAt(0) as number);
  while (points.length > 0) {
    const last = points.pop() as number;
    if (last === 0x10ffff) continue;
    // The code points after U+D7FF are surrogates, which UTF-8 doesn't have.
    const next = last === 0xd7ff ? 0xe000 : last + 1;
    return Buffer.from(String.fromCodePoint(...points, next));
  }
  return undefined;
}

/**
 * A filter's value as the column's type compares it; more than one where engines differ in how they
 * round it, and none where the column can't be compared with it.
 */
export function parseValue(type: IcebergType, value: string | number | boolean): Comparable[] {
  const text = String(value);
  const decimal = decimalOf(type);
  if (decimal) return parseDecimal(text, decimal.scale);
  if (fixedLengthOf(type) !== undefined || type === "binary")
    return /^([0-9a-f]{2})*$/i.test(text) ? [Buffer.from(text, "hex")] : [];
  switch (type) {
    case "boolean":
      return value === true || text === "true" ? [1] : value === false || text === "false" ? [0] : [];
    case "int":
    case "long":
      if (/^[+-]?\d{1,40}$/.test(text)) return [BigInt(text)];
      return parseNumber(text);
    case "float":
      return parseNumber(text).flatMap((it) => [it, Math.fround(it as number)]);
    case "double":
      return parseNumber(text);
    case "date":
      return parseDate(text);
    case "time":
      return parseTime(text);
    case "timestamp":
    case "timestamptz":
      return parseTimestamp(text);
    case "string":
      return typeof value === "string" ? [Buffer.from(value)] : [];
    case "uuid":
      return /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text)
        ? [Buffer.from(text.replaceAll("-", ""), "hex")]
        : [];
    default:
      return [];
  }
}

function parseNumber(text: string): Comparable[] {
  const number = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text) ? Number(text) : Number.NaN;
  return Number.isFinite(number) ? [number] : [];
}

/** None where the value has more digits after the point than the column: it lies between two of its values. */
function parseDecimal(text: string, scale: number): Comparable[] {
  const found = /^([+-]?)(\d{0,60})(?:\.(\d{0,60}))?$/.exec(text);
  if (!found || (found[2] === "" && !found[3])) return [];
  const fraction = (found[3] ?? "").replace(/0+$/, "");
  if (fraction.length > scale) return [];
  const unscaled = BigInt(`${found[2]}${fraction.padEnd(scale, "0")}` || "0");
  return [found[1] === "-" ? -unscaled : unscaled];
}

function parseDate(text: string): Comparable[] {
  const ms = /^\d{4}-\d{2}-\d{2}$/.test(text) ? Date.parse(`${text}T00:00:00Z`) : Number.NaN;
  return Number.isNaN(ms) ? [] : [Math.round(ms / 86_400_000)];
}

function parseTime(text: string): Comparable[] {
  const found = /^(\d{2}):(\d{2})(?::(\d{2})(?:\.(\d{1,6}))?)?$/.exec(text);
  if (!found) return [];
  const [, hours, minutes, seconds = "0", fraction = ""] = found;
  const whole = BigInt(Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds));
  return [whole * MICROS_PER_SECOND + BigInt(fraction.padEnd(6, "0"))];
}

function parseTimestamp(text: string): Comparable[] {
  const found = /^(\d{4}-\d{2}-\d{2})[T ](\d{2}:\d{2}(?::\d{2})?)(?:\.(\d{1,6}))?(Z|[+-]\d{2}:\d{2})?$/.exec(
    text,
  );
  if (!found) return [];
  const ms = Date.parse(`${found[1]}T${found[2]}${found[4] ?? "Z"}`);
  if (Number.isNaN(ms)) return [];
  return [BigInt(ms) * 1000n + BigInt((found[3] ?? "").padEnd(6, "0"))];
}
