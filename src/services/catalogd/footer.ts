/**
 * Parquet footers, read for what Iceberg keeps of a file. hyparquet decodes the Thrift; its own reading
 * of statistics rounds decimals and times, so that the raw bytes are taken here (Parquet, parquet.thrift).
 */
import { deserializeTCompactProtocol } from "hyparquet/src/thrift.js";
import { LakeError, messageOf } from "../../shared/errors.ts";
import { readPrimitive, type Thrift } from "./parquet.ts";
import { type Comparable, smaller } from "./values.ts";

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
  const groups = meta.field_4 as Thrift[];
  const row_groups = groups.map((group) => (group.field_1 as Thrift[]).map((chunk) => readChunk(chunk)));
  for (const chunks of row_groups)
    if (chunks.length !== reader.leaves) throw new LakeError("invalid", "a row group lacks columns");
  const rows = count(meta.field_3);
  if (groups.reduce((sum, group) => sum + count(group.field_3), 0n) !== rows)
    throw new LakeError("invalid", "its row groups don't have as many rows as the file");
  return { rows, created_by: textOf(meta.field_6), columns, row_groups };
}

function count(value: unknown): bigint {
  if (typeof value === "bigint" && value >= 0n) return value;
  throw new LakeError("invalid", "a count in its footer is missing or negative");
}

function readChunk(chunk: Thrift): ColumnChunk {
  const meta = chunk.field_3 as Thrift | undefined;
  if (!meta) throw new LakeError("invalid", "it has encrypted columns, which are not supported");
  const statistics = (meta.field_12 ?? {}) as Thrift;
  const offsets = [meta.field_9, meta.field_11].filter((it) => typeof it === "bigint" && it > 0n) as bigint[];
  return {
    values: count(meta.field_5),
    compressed_bytes: count(meta.field_7),
    offset: offsets.reduce(smaller),
    null_count: statistics.field_3 === undefined ? undefined : count(statistics.field_3),
    // The older members, min and max, were compared as signed bytes by some writers: not used.
    max: bytesOf(statistics.field_5),
    min: bytesOf(statistics.field_6),
  };
}

function bytesOf(value: unknown): Uint8Array | undefined {
  return value instanceof Uint8Array ? value : undefined;
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
      field_id: typeof element.field_9 === "number" ? element.field_9 : undefined,
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
