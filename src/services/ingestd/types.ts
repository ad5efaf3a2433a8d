/** Iceberg's types and DuckDB's: names both ways, and field ids as Parquet wants them. */
import { type DuckDBType, DuckDBTypeId } from "@duckdb/node-api";
import { DUCKDB_NAMES } from "../../shared/duckdb_names.ts";
import { LakeError } from "../../shared/errors.ts";
import type { IcebergField, IcebergType } from "../catalogd/schema.ts";

/** What people also call the types, for the `types` option. */
const SYNONYMS: Record<string, string> = {
  bool: "boolean",
  integer: "int",
  bigint: "long",
  real: "float",
  text: "string",
  varchar: "string",
  datetime: "timestamp",
};

export interface Decimal {
  precision: number;
  scale: number;
}

/** Precision and scale, where the type is a decimal. */
export function decimalOf(type: IcebergType): Decimal | undefined {
  const found = typeof type === "string" ? /^decimal\((\d+), ?(\d+)\)$/.exec(type) : null;
  return found ? { precision: Number(found[1]), scale: Number(found[2]) } : undefined;
}

export function quote(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

export function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

/** DuckDB's name of a type. @throws LakeError invalid for what ingestd can't write */
export function sqlType(type: IcebergType): string {
  if (typeof type !== "string") {
    if (type.type === "list") return `${sqlType(type.element)}[]`;
    if (type.type === "map") return `MAP(${sqlType(type.key)}, ${sqlType(type.value)})`;
    return `STRUCT(${type.fields.map((it) => `${quote(it.name)} ${sqlType(it.type)}`).join(", ")})`;
  }
  const decimal = decimalOf(type);
  if (decimal) return `DECIMAL(${decimal.precision},${decimal.scale})`;
  const name = DUCKDB_NAMES[type];
  if (name === undefined)
    throw new LakeError("invalid", `Columns of type ${type} can't be written by ingest.`);
  return name;
}

/** A type as people read it: `long`, `list<string>`, `struct<a: int>`. */
export function typeText(type: IcebergType): string {
  if (typeof type === "string") return type.replaceAll(" ", "");
  if (type.type === "list") return `list<${typeText(type.element)}>`;
  if (type.type === "map") return `map<${typeText(type.key)}, ${typeText(type.value)}>`;
  return `struct<${type.fields.map((it) => `${it.name}: ${typeText(it.type)}`).join(", ")}>`;
}

/** Reads `name:type,name:type` of the `types` option. @throws LakeError invalid */
export function parseTypes(text: string): Map<string, string> {
  const types = new Map<string, string>();
  for (const part of text.split(/,(?![^(]*\))/)) {
    const colon = part.lastIndexOf(":");
    const name = part.slice(0, colon).trim();
    const given = part
      .slice(colon + 1)
      .trim()
      .toLowerCase();
    const type = SYNONYMS[given] ?? given.replace(/^numeric\(/, "decimal(").replaceAll(" ", "");
    const decimal = decimalOf(type);
    const known =
      Object.hasOwn(DUCKDB_NAMES, type) || (decimal && decimal.precision <= 38 && decimal.precision >= 1);
    if (colon <= 0 || name === "" || !known || (decimal && decimal.scale > decimal.precision))
      throw new LakeError(
        "invalid",
        `types: "${part.slice(0, 200)}" is not name:type; known types are ${Object.keys(DUCKDB_NAMES).join(", ")} and decimal(p,s), as in types=id:string,price:decimal(10,2).`,
      );
    types.set(name.toLowerCase(), type);
  }
  return types;
}

const FROM_DUCKDB: Partial<Record<DuckDBTypeId, string>> = {
  [DuckDBTypeId.BOOLEAN]: "boolean",
  [DuckDBTypeId.TINYINT]: "int",
  [DuckDBTypeId.SMALLINT]: "int",
  [DuckDBTypeId.INTEGER]: "int",
  [DuckDBTypeId.BIGINT]: "long",
  [DuckDBTypeId.UTINYINT]: "int",
  [DuckDBTypeId.USMALLINT]: "int",
  [DuckDBTypeId.UINTEGER]: "long",
  [DuckDBTypeId.UBIGINT]: "decimal(20,0)",
  [DuckDBTypeId.HUGEINT]: "decimal(38,0)",
  [DuckDBTypeId.UHUGEINT]: "decimal(38,0)",
  [DuckDBTypeId.FLOAT]: "float",
  [DuckDBTypeId.DOUBLE]: "double",
  [DuckDBTypeId.DATE]: "date",
  [DuckDBTypeId.TIME]: "time",
  [DuckDBTypeId.TIMESTAMP]: "timestamp",
  [DuckDBTypeId.TIMESTAMP_S]: "timestamp",
  [DuckDBTypeId.TIMESTAMP_MS]: "timestamp",
  [DuckDBTypeId.TIMESTAMP_NS]: "timestamp",
  [DuckDBTypeId.TIMESTAMP_TZ]: "timestamptz",
  [DuckDBTypeId.VARCHAR]: "string",
  [DuckDBTypeId.ENUM]: "string",
  [DuckDBTypeId.SQLNULL]: "unknown",
  [DuckDBTypeId.BLOB]: "binary",
  [DuckDBTypeId.UUID]: "uuid",
};

/** The Iceberg type that holds a Parquet column whole. @throws LakeError invalid, naming the column */
export function fromDuckDB(type: DuckDBType, column: string): IcebergType {
  if (type.typeId === DuckDBTypeId.DECIMAL) return `decimal(${type.width},${type.scale})`;
  if (type.typeId === DuckDBTypeId.LIST || type.typeId === DuckDBTypeId.ARRAY) {
    const element = fromDuckDB(type.valueType, `${column}.element`);
    return { type: "list", "element-id": 0, element, "element-required": false };
  }
  if (type.typeId === DuckDBTypeId.STRUCT) {
    const fields = type.entryNames.map((name, index) => ({
      id: 0,
      name,
      required: false,
      type: fromDuckDB(type.entryTypes[index] as DuckDBType, `${column}.${name}`),
    }));
    return { type: "struct", fields };
  }
  if (type.typeId === DuckDBTypeId.MAP)
    return {
      type: "map",
      "key-id": 0,
      key: fromDuckDB(type.keyType, `${column}.key`),
      "value-id": 0,
      value: fromDuckDB(type.valueType, `${column}.value`),
      "value-required": false,
    };
  const name = FROM_DUCKDB[type.typeId];
  if (name === undefined)
    throw new LakeError(
      "invalid",
      `Column "${column}" is ${type.toString()}, which an Iceberg v2 table can't hold; cast it before sending, to text for instance.`,
    );
  return name;
}

/** Numbers fields in Iceberg's order: a struct's fields first, then what is inside each. */
export function numberFields(fields: readonly IcebergField[], next: () => number): IcebergField[] {
  const numbered = fields.map((field) => ({ ...field, id: next() }));
  return numbered.map((field) => ({ ...field, type: numberType(field.type, next) }));
}

export function numberType(type: IcebergType, next: () => number): IcebergType {
  if (typeof type === "string") return type;
  if (type.type === "struct") return { type: "struct", fields: numberFields(type.fields, next) };
  if (type.type === "list") {
    const id = next();
    return { ...type, "element-id": id, element: numberType(type.element, next) };
  }
  const [key_id, value_id] = [next(), next()];
  const key = numberType(type.key, next);
  return { ...type, "key-id": key_id, key, "value-id": value_id, value: numberType(type.value, next) };
}

/** COPY's FIELD_IDS: what stands in the Parquet schema, by which every reader finds the columns. */
export function fieldIds(fields: readonly IcebergField[]): string {
  return `{${fields.map((it) => `${quote(it.name)}: ${fieldId(it.id, it.type)}`).join(", ")}}`;
}

function fieldId(id: number, type: IcebergType): string {
  if (typeof type === "string") return String(id);
  const own = `{__duckdb_field_id: ${id}, `;
  if (type.type === "list") return `${own}element: ${fieldId(type["element-id"], type.element)}}`;
  if (type.type === "map")
    return `${own}key: ${fieldId(type["key-id"], type.key)}, value: ${fieldId(type["value-id"], type.value)}}`;
  return `${own}${fieldIds(type.fields).slice(1)}`;
}
