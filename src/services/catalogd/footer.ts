/**
 * Parquet footers, read for what Iceberg keeps of a file. hyparquet decodes the Thrift; its own reading
 * of statistics rounds decimals and times, so that the raw bytes are taken here (Parquet, parquet.thrift).
 */
import { deserializeTCompactProtocol } from "hyparquet/src/thrift.js";
import { LakeError, messageOf } from "../../shared/errors.ts";
import type { IcebergType } from "./schema.ts";
import { type Comparable, fromTwosComplement, smaller } from "./values.ts";

/** A column of a Parquet file, in Iceberg's terms; leaves carry where their chunks stand. */
export interface FileColumn {
  readonly name: string;
  readonly field_id: number | undefined;
  readonly required: boolean;
  /** A primitive type's name, or what it nests. */
  readonly type:
    | string
    | { readonly kind: "struct"; readonly fields: readonly FileColumn[] }
    | { readonly kind: "list"; readonly element: FileColumn }
    | { readonly kind: "map"; readonly key: FileColumn; readonly value: FileColumn };
  readonly leaf?: Leaf;
}

/** A leaf's place in the row groups, and how its statistics are read. */
export interface Leaf {
  readonly index: number;
  read(bytes: Uint8Array): Comparable | undefined;
}

export interface ColumnChunk {
  readonly values: bigint;
  readonly compressed_bytes: bigint;
  readonly offset: bigint;
  readonly null_count: bigint | undefined;
  readonly min: Uint8Array | undefined;
  readonly max: Uint8Array | undefined;
}

export interface Footer {
  readonly rows: bigint;
  readonly created_by: string;
  readonly columns: readonly FileColumn[];
  /** For each row group its chunks, by leaf. */
  readonly row_groups: readonly (readonly ColumnChunk[])[];
}

type Thrift = { readonly [member: `field_${number}`]: unknown };

/** The last 8 bytes of a Parquet file: the footer's length, and PAR1. */
export const TAIL_BYTES = 8;

/** The footer's length, from a file's last bytes. @throws LakeError invalid */
export function footerLength(tail: Uint8Array, size: number, key: string): number {
  const bytes = Buffer.from(tail.buffer, tail.byteOffset, tail.byteLength);
  const magic = bytes.toString("latin1", Math.max(0, bytes.length - 4));
  if (bytes.length < TAIL_BYTES || magic !== "PAR1")
    throw new LakeError("invalid", `Object "${key}" is not a Parquet file: it does not end in PAR1.`);
  const length = bytes.readUInt32LE(bytes.length - TAIL_BYTES);
  if (length + TAIL_BYTES + 4 > size)
    throw new LakeError(
      "invalid",
      `Object "${key}" is a damaged Parquet file: its footer is longer than it.`,
    );
  return length;
}

/** @param bytes the footer alone @throws LakeError invalid */
export function readFooter(bytes: Uint8Array, key: string): Footer {
  try {
    return decode(bytes);
  } catch (error) {
    if (error instanceof LakeError) throw new LakeError("invalid", `Object "${key}": ${error.message}`);
    throw new LakeError(
      "invalid",
      `Object "${key}" has a Parquet footer that can't be read: ${messageOf(error)}`,
    );
  }
}

function decode(bytes: Uint8Array): Footer {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const meta = deserializeTCompactProtocol({ view, offset: 0 }) as Thrift;
  const reader = new SchemaReader(meta.field_2 as Thrift[]);
  const columns = reader.root();
  const row_groups = (meta.field_4 as Thrift[]).map((group) =>
    (group.field_1 as Thrift[]).map((chunk) => readChunk(chunk)),
  );
  for (const chunks of row_groups)
    if (chunks.length !== reader.leaves) throw new LakeError("invalid", "a row group lacks columns");
  return { rows: meta.field_3 as bigint, created_by: textOf(meta.field_6), columns, row_groups };
}

function readChunk(chunk: Thrift): ColumnChunk {
  const meta = chunk.field_3 as Thrift | undefined;
  if (!meta) throw new LakeError("invalid", "it has encrypted columns, which are not supported");
  const statistics = (meta.field_12 ?? {}) as Thrift;
  const offsets = [meta.field_9, meta.field_11].filter((it) => typeof it === "bigint" && it > 0n) as bigint[];
  return {
    values: meta.field_5 as bigint,
    compressed_bytes: meta.field_7 as bigint,
    offset: offsets.reduce(smaller),
    null_count: statistics.field_3 as bigint | undefined,
    // The older members, min and max, were compared as signed bytes by some writers: not used.
    max: statistics.field_5 as Uint8Array | undefined,
    min: statistics.field_6 as Uint8Array | undefined,
  };
}

function textOf(value: unknown): string {
  return value instanceof Uint8Array ? Buffer.from(value).toString("utf8") : "";
}

const REPEATED = 2;
const CONVERTED = { map: 1, map_key_value: 2, list: 3 } as const;
const MAX_DEPTH = 64;

/** Reads the flat list of schema elements as the tree it stands for. */
class SchemaReader {
  leaves = 0;
  #at = 0;
  readonly #elements: readonly Thrift[];

  constructor(elements: readonly Thrift[]) {
    this.#elements = elements;
  }

  root(): FileColumn[] {
    return this.#children(this.#take(), 0);
  }

  #take(): Thrift {
    const element = this.#elements[this.#at++];
    if (!element) throw new LakeError("invalid", "its schema is cut off");
    return element;
  }

  #children(parent: Thrift, depth: number): FileColumn[] {
    if (depth > MAX_DEPTH) throw new LakeError("invalid", `its columns nest deeper than ${MAX_DEPTH}`);
    const count = (parent.field_5 as number | undefined) ?? 0;
    return Array.from({ length: count }, () => this.#column(depth + 1));
  }

  #column(depth: number): FileColumn {
    const element = this.#take();
    const name = textOf(element.field_4);
    const base = {
      name,
      field_id: element.field_9 as number | undefined,
      required: element.field_3 !== 1,
    };
    if (element.field_1 !== undefined) {
      const { type, read } = readPrimitive(element, name);
      const column = { ...base, type, leaf: { index: this.leaves++, read } };
      // A bare repeated column is a list of what it holds, as old writers wrote it.
      return element.field_3 === REPEATED ? bareList(column) : column;
    }
    const children = this.#children(element, depth);
    const logical = (element.field_10 ?? {}) as Thrift;
    const first = children[0];
    if (first && (logical.field_3 || element.field_6 === CONVERTED.list))
      return { ...base, type: { kind: "list", element: listElement(first, name) } };
    const is_map =
      logical.field_2 || element.field_6 === CONVERTED.map || element.field_6 === CONVERTED.map_key_value;
    if (first && is_map) return { ...base, type: mapOf(first, name) };
    const struct: FileColumn = { ...base, type: { kind: "struct", fields: children } };
    return element.field_3 === REPEATED ? bareList(struct) : struct;
  }
}

function bareList(element: FileColumn): FileColumn {
  return {
    ...element,
    required: true,
    type: { kind: "list", element: { ...element, required: true } },
    leaf: undefined,
  };
}

/** What a LIST group holds (parquet-format, LogicalTypes, "Lists", with its backward compatibility). */
function listElement(repeated: FileColumn, list_name: string): FileColumn {
  if (typeof repeated.type === "string" || repeated.type.kind !== "list") return repeated;
  const inner = repeated.type.element;
  if (typeof inner.type === "string" || inner.type.kind !== "struct") return inner;
  const [only, ...others] = inner.type.fields;
  const wraps = only && others.length === 0 && inner.name !== "array" && inner.name !== `${list_name}_tuple`;
  return wraps ? only : inner;
}

function mapOf(repeated: FileColumn, name: string): FileColumn["type"] {
  const entry =
    typeof repeated.type === "object" && repeated.type.kind === "list" ? repeated.type.element : repeated;
  const [key, value] =
    typeof entry.type === "object" && entry.type.kind === "struct" ? entry.type.fields : [];
  if (!key || !value) throw new LakeError("invalid", `its map column "${name}" has no key and value`);
  return { kind: "map", key, value };
}

interface Primitive {
  type: Extract<IcebergType, string>;
  read: Leaf["read"];
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
const unread = () => undefined;

function readPrimitive(element: Thrift, name: string): Primitive {
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
      return { type: "timestamptz", read: unread };
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
  const read: Leaf["read"] =
    physical === "INT32"
      ? (bytes) => BigInt(viewOf(bytes).getInt32(0, true))
      : physical === "INT64"
        ? (bytes) => viewOf(bytes).getBigInt64(0, true)
        : fromTwosComplement;
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
