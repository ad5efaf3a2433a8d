/** A data file's entry in a manifest, made from its Parquet footer after checking it against the schema. */
import { LakeError } from "../../shared/errors.ts";
import type { MappedName } from "./fields.ts";
import type { ColumnChunk, FileColumn, Footer, Leaf } from "./footer.ts";
import { CONTENT, type DataFile } from "./manifest.ts";
import type { IcebergField, IcebergType } from "./schema.ts";
import { formatType, promotes } from "./types.ts";
import {
  type Comparable,
  compareValues,
  encodeBound,
  smaller,
  truncateLower,
  truncateUpper,
} from "./values.ts";

/** A Parquet object in storage, with its footer read. */
export interface ParquetObject {
  readonly key: string;
  readonly size: number;
  readonly footer: Footer;
}

/** What a file is checked against. */
export interface FileTarget {
  readonly fields: readonly IcebergField[];
  readonly mapping: readonly MappedName[] | null;
  /** The names each field id has ever borne, in any schema of the table. */
  readonly names_by_id: ReadonlyMap<number, ReadonlySet<string>>;
}

/** A leaf of a file under the field id it has in the table. */
interface BoundLeaf {
  readonly id: number;
  readonly type: IcebergType;
  readonly leaf: Leaf;
  readonly repeated: boolean;
}

/** @throws LakeError invalid where the file doesn't fit, naming column and difference; conflict where it was written for another schema */
export function toDataFile(object: ParquetObject, location: string, target: FileTarget): DataFile {
  const leaves: BoundLeaf[] = [];
  const matcher = new Matcher(object, target, leaves);
  matcher.match();
  const { row_groups, rows, created_by } = object.footer;
  const sizes = new Map<number, bigint>();
  const values = new Map<number, bigint>();
  const nulls = new Map<number, bigint>();
  const nans = new Map<number, bigint>();
  const lower = new Map<number, Buffer>();
  const upper = new Map<number, Buffer>();
  for (const { id, type, leaf, repeated } of leaves) {
    const chunks = row_groups.map((group) => group[leaf.index] as ColumnChunk);
    sizes.set(id, sum(chunks.map((it) => it.compressed_bytes)));
    values.set(id, sum(chunks.map((it) => it.values)));
    const null_counts = chunks.map((it) => it.null_count);
    if (null_counts.every((it) => it !== undefined)) nulls.set(id, sum(null_counts));
    const bounds = repeated ? undefined : boundsOf(chunks, leaf, type);
    if (!bounds) continue;
    lower.set(id, encodeBound(type, bounds.lower));
    if (bounds.upper !== undefined) upper.set(id, encodeBound(type, bounds.upper));
    // DuckDB writes no bounds for a chunk that holds a NaN, so that bounds tell there is none.
    if ((type === "float" || type === "double") && created_by.startsWith("DuckDB")) nans.set(id, 0n);
  }
  return {
    content: CONTENT.data,
    file_path: location,
    file_format: "PARQUET",
    partition: {},
    record_count: rows,
    file_size_in_bytes: BigInt(object.size),
    column_sizes: pairs(sizes),
    value_counts: pairs(values),
    null_value_counts: pairs(nulls),
    nan_value_counts: pairs(nans),
    lower_bounds: pairs(lower),
    upper_bounds: pairs(upper),
    key_metadata: null,
    split_offsets: splitOffsets(row_groups),
    equality_ids: null,
    sort_order_id: 0,
    referenced_data_file: null,
  };
}

function sum(numbers: readonly bigint[]): bigint {
  return numbers.reduce((total, it) => total + it, 0n);
}

function pairs<V>(map: ReadonlyMap<number, V>): { key: number; value: V }[] {
  return [...map].map(([key, value]) => ({ key, value })).sort((a, b) => a.key - b.key);
}

/** Where the row groups begin, ascending (spec, `split_offsets`). */
function splitOffsets(row_groups: Footer["row_groups"]): bigint[] {
  const starts = row_groups
    .filter((group) => group.length > 0)
    .map((group) => group.map((it) => it.offset).reduce(smaller));
  return starts.sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
}

/** The bounds over all row groups that hold a value; undefined where one of them doesn't tell its own. */
function boundsOf(
  chunks: readonly ColumnChunk[],
  leaf: Leaf,
  type: IcebergType,
): { lower: Comparable; upper: Comparable | undefined } | undefined {
  let lower: Comparable | undefined;
  let upper: Comparable | undefined;
  for (const { min, max, null_count, values } of chunks) {
    if (null_count === values) continue;
    const least = min && leaf.read(min);
    const most = max && leaf.read(max);
    if (least === undefined || most === undefined) return undefined;
    if (lower === undefined || compareValues(least, lower) < 0) lower = least;
    if (upper === undefined || compareValues(most, upper) > 0) upper = most;
  }
  if (lower === undefined || upper === undefined) return undefined;
  // Zeros have two signs and compare equal: the bounds take in both (Parquet, ColumnOrder).
  if (type === "float" || type === "double")
    return { lower: lower === 0 ? -0 : lower, upper: upper === 0 ? 0 : upper };
  if (typeof lower === "object" && typeof upper === "object")
    return { lower: truncateLower(type, lower), upper: truncateUpper(type, upper) };
  return { lower, upper };
}

/** Pairs a file's columns with the table's fields: by field id, or by name where the file has no ids. */
class Matcher {
  readonly #object: ParquetObject;
  readonly #target: FileTarget;
  readonly #leaves: BoundLeaf[];
  readonly #by_id: boolean;

  constructor(object: ParquetObject, target: FileTarget, leaves: BoundLeaf[]) {
    this.#object = object;
    this.#target = target;
    this.#leaves = leaves;
    this.#by_id = object.footer.columns.some((column) => column.field_id !== undefined);
    if (!this.#by_id && target.mapping === null)
      throw this.#fault("its columns have no field ids, and the table has no name mapping");
  }

  match(): void {
    this.#struct(this.#target.fields, this.#object.footer.columns, this.#target.mapping ?? [], "", false);
  }

  #struct(
    fields: readonly IcebergField[],
    columns: readonly FileColumn[],
    mapping: readonly MappedName[],
    prefix: string,
    repeated: boolean,
  ): void {
    const by_id = new Map<number, FileColumn>();
    for (const column of columns) {
      const id = this.#idOf(column, mapping, prefix);
      if (by_id.has(id)) throw this.#fault(`two of its columns are field ${id}`);
      by_id.set(id, column);
    }
    for (const field of fields) {
      const column = by_id.get(field.id);
      const path = prefix + field.name;
      const inner = mapping.find((it) => it["field-id"] === field.id)?.fields ?? [];
      if (column) this.#pair(field, column, inner, path, repeated);
      else if (field.required) throw this.#fault(`it lacks the required column "${path}"`);
    }
  }

  #idOf(column: FileColumn, mapping: readonly MappedName[], prefix: string): number {
    const path = prefix + column.name;
    if (!this.#by_id) {
      const mapped = mapping.find((it) => it.names.includes(column.name));
      if (!mapped) throw this.#fault(`its column "${path}" is not one of the table's`);
      return mapped["field-id"];
    }
    if (column.field_id === undefined)
      throw this.#fault(`its column "${path}" has no field id, while others have one`);
    const names = this.#target.names_by_id.get(column.field_id);
    if (!names?.has(column.name))
      throw new LakeError(
        "conflict",
        `Object "${this.#object.key}" was written for another schema: its column "${path}" has field id ${column.field_id}, which is ${names ? `"${[...names].join('" or "')}"` : "no column"} in the table. Describe the table again and write the file anew.`,
      );
    return column.field_id;
  }

  #pair(
    field: IcebergField,
    column: FileColumn,
    mapping: readonly MappedName[],
    path: string,
    repeated: boolean,
  ): void {
    const { id, type } = field;
    if (typeof type === "string") {
      this.#primitive(field, column, path, repeated);
      return;
    }
    if (typeof column.type === "string" || column.type.kind !== type.type)
      throw this.#fault(
        `its column "${path}" is ${nameOf(column.type)}, and the table's is ${formatType(type)}`,
      );
    const below = (name: string, id: number, type: IcebergType, required: boolean, column: FileColumn) => {
      const inner = `${path}.${name}`;
      if (this.#by_id && column.field_id !== id)
        throw this.#fault(
          `its column "${inner}" has field id ${column.field_id ?? "none"}, and the table's is ${id}`,
        );
      const mapped = mapping.find((it) => it["field-id"] === id)?.fields ?? [];
      this.#pair({ id, name, type, required }, column, mapped, inner, true);
    };
    if (type.type === "struct" && column.type.kind === "struct")
      this.#struct(type.fields, column.type.fields, mapping, `${path}.`, repeated);
    else if (type.type === "list" && column.type.kind === "list")
      below("element", type["element-id"], type.element, type["element-required"], column.type.element);
    else if (type.type === "map" && column.type.kind === "map") {
      below("key", type["key-id"], type.key, true, column.type.key);
      below("value", type["value-id"], type.value, type["value-required"], column.type.value);
    } else throw new LakeError("internal", `field ${id} is of no known kind`);
  }

  #primitive(field: IcebergField, column: FileColumn, path: string, repeated: boolean): void {
    const { id, type, required } = field;
    const { leaf } = column;
    const given = column.type;
    if (typeof given !== "string" || !leaf || !readsAs(given, type))
      throw this.#fault(`its column "${path}" is ${nameOf(given)}, and the table's is ${formatType(type)}`);
    const nulls = this.#object.footer.row_groups.reduce(
      (total, group) => total + (group[leaf.index]?.null_count ?? 0n),
      0n,
    );
    if (required && !repeated && nulls > 0n)
      throw this.#fault(`its column "${path}" has ${nulls} null values, and the table's is required`);
    this.#leaves.push({ id, type, leaf, repeated });
  }

  #fault(what: string): LakeError {
    return new LakeError("invalid", `Object "${this.#object.key}" doesn't fit the table: ${what}.`);
  }
}

/** Whether a file's primitive type is read as the table's. */
function readsAs(given: string, wanted: IcebergType): boolean {
  return promotes(given, wanted) || (given === "fixed[16]" && wanted === "uuid");
}

function nameOf(type: FileColumn["type"]): string {
  return typeof type === "string" ? type : `a ${type.kind}`;
}
