/** Parquet's primitive types as Iceberg's, and their statistics as values (Parquet, LogicalTypes; parquet.thrift). */
import { LakeError } from "../../shared/errors.ts";
import { type Comparable, fromTwosComplement } from "./values.ts";

/** A Thrift struct, its members by their ids. */
export type Thrift = { readonly [member: `field_${number}`]: unknown };

export interface Primitive {
  readonly type: string;
  /** Reads a bound from a chunk's statistics; undefined where it can't be one. */
  read(bytes: Uint8Array): Comparable | undefined;
}

const PHYSICAL = [
  "BOOLEAN",
  "INT32",
  "INT64",
  "INT96",
  "FLOAT",
  "DOUBLE",
  "BYTE_ARRAY",
  "FIXED_LEN_BYTE_ARRAY",
];
/** The bytes of a fixed-width bound; one of another length is damaged, and no bound. */
const WIDTHS: Record<string, number> = { BOOLEAN: 1, INT32: 4, INT64: 8, FLOAT: 4, DOUBLE: 8 };
/** The bytes of the widest decimal, and some to spare. */
const MAX_DECIMAL_BYTES = 32;

/** @throws LakeError invalid for a type that Iceberg v2 lacks */
export function readPrimitive(element: Thrift, name: string): Primitive {
  const { type, read } = primitive(element, name);
  const width = WIDTHS[PHYSICAL[element.field_1 as number] ?? ""];
  return {
    type,
    read(bytes) {
      if (width !== undefined && bytes.length !== width) return undefined;
      const value = read(bytes);
      return typeof value === "bigint" && !type.startsWith("decimal") && BigInt.asIntN(64, value) !== value
        ? undefined
        : value;
    },
  };
}

function primitive(element: Thrift, name: string): Primitive {
  const physical = PHYSICAL[element.field_1 as number];
  const logical = (element.field_10 ?? {}) as Thrift;
  const converted = element.field_6 as number | undefined;
  if (logical.field_5 || converted === 5) return readDecimal(element, logical, physical);
  switch (physical) {
    case "BOOLEAN":
      return { type: "boolean", read: (bytes) => bytes[0] };
    case "INT32":
      return readInt32(logical, converted, name);
    case "INT64":
      return readInt64(logical, converted, name);
    case "INT96":
      return { type: "timestamptz", read: () => undefined };
    case "FLOAT":
      return { type: "float", read: (bytes) => floating(viewOf(bytes).getFloat32(0, true)) };
    case "DOUBLE":
      return { type: "double", read: (bytes) => floating(viewOf(bytes).getFloat64(0, true)) };
    case "BYTE_ARRAY": {
      const is_text =
        [0, 4, 19].includes(converted ?? -1) || logical.field_1 || logical.field_4 || logical.field_12;
      return { type: is_text ? "string" : "binary", read: (bytes) => Buffer.from(bytes) };
    }
    default:
      if (logical.field_14) return { type: "uuid", read: (bytes) => Buffer.from(bytes) };
      if (converted === 21 || logical.field_15)
        throw unsupported(name, "an interval or half-precision float");
      return { type: `fixed[${element.field_2}]`, read: (bytes) => Buffer.from(bytes) };
  }
}

function readDecimal(element: Thrift, logical: Thrift, physical: string | undefined): Primitive {
  const own = logical.field_5 as Thrift | undefined;
  const scale = (own?.field_1 ?? element.field_7 ?? 0) as number;
  const precision = (own?.field_2 ?? element.field_8) as number;
  const read: Primitive["read"] =
    physical === "INT32"
      ? (bytes) => BigInt(viewOf(bytes).getInt32(0, true))
      : physical === "INT64"
        ? (bytes) => viewOf(bytes).getBigInt64(0, true)
        : (bytes) => (bytes.length <= MAX_DECIMAL_BYTES ? fromTwosComplement(bytes) : undefined);
  return { type: `decimal(${precision},${scale})`, read };
}

function readInt32(logical: Thrift, converted: number | undefined, name: string): Primitive {
  const signed = (bytes: Uint8Array) => viewOf(bytes).getInt32(0, true);
  const integer = logical.field_10 as Thrift | undefined;
  if (logical.field_6 || converted === 6) return { type: "date", read: signed };
  if (logical.field_7 || converted === 7)
    return { type: "time", read: (bytes) => BigInt(signed(bytes)) * 1000n };
  if (converted === 13 || (integer?.field_1 === 32 && integer.field_2 === false))
    return { type: "long", read: (bytes) => BigInt(viewOf(bytes).getUint32(0, true)) };
  if (logical.field_11) throw unsupported(name, "of no type (all null)");
  return { type: "int", read: (bytes) => BigInt(signed(bytes)) };
}

function readInt64(logical: Thrift, converted: number | undefined, name: string): Primitive {
  const raw = (bytes: Uint8Array) => viewOf(bytes).getBigInt64(0, true);
  const scaled = (unit: Thrift, type: string): Primitive => {
    if (unit.field_3) throw unsupported(name, "in nanoseconds, which Iceberg v2 lacks; write microseconds");
    return { type, read: unit.field_1 ? (bytes) => raw(bytes) * 1000n : raw };
  };
  const [time, timestamp, integer] = [logical.field_7, logical.field_8, logical.field_10] as (
    | Thrift
    | undefined
  )[];
  if (timestamp) return scaled(timestamp.field_2 as Thrift, timestamp.field_1 ? "timestamptz" : "timestamp");
  if (time) return scaled(time.field_2 as Thrift, "time");
  if (converted === 9 || converted === 10)
    return scaled(converted === 9 ? { field_1: {} } : {}, "timestamptz");
  if (converted === 8) return { type: "time", read: raw };
  if (converted === 14 || integer?.field_2 === false)
    throw unsupported(name, "an unsigned 64-bit integer, which Iceberg lacks; write it as decimal(20,0)");
  return { type: "long", read: raw };
}

function floating(value: number): number | undefined {
  return Number.isNaN(value) ? undefined : value;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function unsupported(name: string, what: string): LakeError {
  return new LakeError("invalid", `its column "${name}" is ${what}`);
}
