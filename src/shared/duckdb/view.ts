/**
 * A table as a view over its Parquet files: columns by field id (renamed, added and widened ones too, by
 * name mapping where a file has no ids), position deletes left out.
 */

import type { DuckDBConnection } from "@duckdb/node-api";
import { DUCKDB_NAMES } from "../duckdb_names.ts";
import { LakeError } from "../errors.ts";
import type { IcebergField, IcebergType } from "../iceberg.ts";
import type { BoundFile, TableContent } from "./content.ts";
import type { Footer, Footers, PhysicalColumn } from "./footers.ts";
import { quoteName, quotePath, quoteText } from "./quote.ts";

/** Makes, or makes anew, the view `schema.view` of this content. @throws LakeError, or what DuckDB throws */
export async function bindTable(
  connection: DuckDBConnection,
  footers: Footers,
  { schema, view }: { schema: string; view: string },
  content: TableContent,
): Promise<void> {
  const select = await selectOf(connection, footers, content);
  await connection.run(`CREATE SCHEMA IF NOT EXISTS ${quoteName(schema)}`);
  await connection.run(`CREATE OR REPLACE VIEW ${quoteName(schema)}.${quoteName(view)} AS ${select}`);
}

async function selectOf(
  connection: DuckDBConnection,
  footers: Footers,
  content: TableContent,
): Promise<string> {
  if (content.files.length === 0) return emptySelect(content.fields);
  if (!wantsFooters(content))
    return groupSelects(content, { files: content.files, reading: "by_id" }).join(" UNION ALL ");
  const groups = new Map<string, Group & { footer: Footer }>();
  const known = await footers.read(
    connection,
    content.files.map((file) => file.path),
  );
  for (const file of content.files) {
    const footer = known.get(file.path);
    if (!footer) throw new LakeError("unavailable", "A data file of the table could not be read.");
    const group = groups.get(footer.signature);
    if (group) group.files.push(file);
    else groups.set(footer.signature, { files: [file], footer, reading: "projected" });
  }
  const selects: string[] = [];
  for (const group of groups.values()) {
    if (content.fields.every((field) => isDirect(field, group.footer.columns)))
      group.reading = (await readsAlike(connection, content.fields, group)) ? "as_it_is" : "by_id";
    selects.push(...groupSelects(content, group));
  }
  return selects.join(" UNION ALL ");
}

/** Files with the same columns. */
interface Group {
  files: BoundFile[];
  footer?: Footer;
  /** As the files are (quickest to plan), by field ids, or column by column out of what lies there. */
  reading: "as_it_is" | "by_id" | "projected";
}

/**
 * Nested fields are matched by name inside DuckDB, and files without ids by a mapping: both need a look at
 * the footers first. Few files are looked at in any case, since those that lie as the table is are read quicker.
 */
function wantsFooters(content: TableContent): boolean {
  return (
    content.files.length <= LOOKED_AT ||
    content.name_mapping !== null ||
    content.fields.some((field) => hasStruct(field.type))
  );
}

const LOOKED_AT = 64;

/** Whether the files' own columns have the table's names and types, so that no mapping is needed. */
async function readsAlike(
  connection: DuckDBConnection,
  fields: readonly IcebergField[],
  { files, footer }: Group,
): Promise<boolean> {
  const same_names = fields.every((field) =>
    footer?.columns.some((column) => column.field_id === field.id && column.name === field.name),
  );
  const [first] = files;
  if (!same_names || !first) return false;
  const columns = fields.map((field) => quoteName(field.name)).join(", ");
  const there = await connection.prepare(
    `SELECT ${columns} FROM read_parquet([${quotePath(first.path)}], hive_partitioning = false)`,
  );
  const wanted = await connection.prepare(emptySelect(fields));
  return fields.every((_, i) => String(there.columnType(i)) === String(wanted.columnType(i)));
}

function hasStruct(type: IcebergType): boolean {
  if (typeof type === "string") return false;
  if (type.type === "struct") return true;
  if (type.type === "list") return hasStruct(type.element);
  return hasStruct(type.key) || hasStruct(type.value);
}

function groupSelects(content: TableContent, { files, footer, reading }: Group): string[] {
  const columns = content.fields.map((field) =>
    reading === "projected"
      ? `${projectField(field, footer?.columns ?? [], "f.", content.name_mapping)} AS ${quoteName(field.name)}`
      : `f.${quoteName(field.name)}`,
  );
  const by_id = reading === "by_id" ? `, schema = ${schemaMap(content.fields)}` : "";
  const read = (some: BoundFile[]) =>
    `read_parquet([${some.map((file) => quotePath(file.path)).join(", ")}], hive_partitioning = false${by_id}) AS f`;
  const whole = files.filter((file) => file.position_deletes.length === 0);
  const thinned = files.filter((file) => file.position_deletes.length > 0);
  const selects: string[] = [];
  if (whole.length > 0) selects.push(`SELECT ${columns.join(", ")} FROM ${read(whole)}`);
  if (thinned.length > 0) {
    if (content.fields.some((field) => ["filename", "file_row_number"].includes(field.name.toLowerCase())))
      throw new LakeError(
        "invalid",
        "A table with position deletes can't be read while a column is named filename or file_row_number; rename the column.",
      );
    selects.push(
      `SELECT ${columns.join(", ")} FROM ${read(thinned)} ANTI JOIN (${deletedRows(thinned)}) AS x ON f.filename = x.path AND f.file_row_number = x.pos`,
    );
  }
  return selects;
}

/** The rows that position delete files name (Iceberg spec, "Position Delete Files"), by our own paths. */
function deletedRows(files: BoundFile[]): string {
  const deletes = [...new Set(files.flatMap((file) => file.position_deletes))];
  const names = files.map((file) => `(${quoteText(file.location)}, ${quoteText(file.path)})`);
  return `SELECT m.path, d.pos FROM read_parquet([${deletes.map(quotePath).join(", ")}], hive_partitioning = false) AS d JOIN (VALUES ${names.join(", ")}) AS m(location, path) ON d.file_path = m.location`;
}

function schemaMap(fields: readonly IcebergField[]): string {
  const entries = fields.map(
    (field) =>
      `${field.id}: {name: ${quoteText(field.name)}, type: ${quoteText(duckdbType(field.type))}, default_value: NULL}`,
  );
  return `MAP {${entries.join(", ")}}`;
}

function emptySelect(fields: readonly IcebergField[]): string {
  const columns = fields.map(
    (field) => `CAST(NULL AS ${duckdbType(field.type)}) AS ${quoteName(field.name)}`,
  );
  return `SELECT ${columns.join(", ")} WHERE false`;
}

/** Whether DuckDB's own reading by field id finds this field and, by the same names, everything inside it. */
function isDirect(field: IcebergField, columns: readonly PhysicalColumn[]): boolean {
  if (columns.some((column) => column.field_id === null)) return false;
  const found = columns.find((column) => column.field_id === field.id);
  return found === undefined || sameNames(field.type, found);
}

function sameNames(type: IcebergType, column: PhysicalColumn): boolean {
  if (typeof type === "string") return column.kind === "primitive";
  if (type.type !== column.kind) return false;
  const [first, second] = column.children as [PhysicalColumn, PhysicalColumn?];
  if (type.type === "list") return sameNames(type.element, first);
  if (type.type === "map")
    return second !== undefined && sameNames(type.key, first) && sameNames(type.value, second);
  return type.fields.every((field) => {
    const by_id = column.children.find((child) => child.field_id === field.id);
    const by_name = column.children.find((child) => child.name.toLowerCase() === field.name.toLowerCase());
    return by_id === by_name && (by_id === undefined || sameNames(field.type, by_id));
  });
}

interface MappedField {
  "field-id"?: number;
  names: string[];
  fields?: MappedField[];
}

/** A logical field out of the columns of one file, built from what lies there. */
function projectField(
  field: IcebergField,
  columns: readonly PhysicalColumn[],
  prefix: string,
  mapping: unknown,
): string {
  const mapped = (Array.isArray(mapping) ? (mapping as MappedField[]) : []).find(
    (it) => it["field-id"] === field.id,
  );
  const column =
    columns.find((it) => it.field_id === field.id) ??
    columns.find((it) => it.field_id === null && (mapped?.names ?? [field.name]).includes(it.name));
  if (!column) return `CAST(NULL AS ${duckdbType(field.type)})`;
  return project(`${prefix}${quoteName(column.name)}`, field.type, column, mapped?.fields, 0);
}

function project(
  value: string,
  type: IcebergType,
  column: PhysicalColumn,
  mapping: unknown,
  depth: number,
): string {
  if (typeof type === "string" || column.kind !== type.type) return `CAST(${value} AS ${duckdbType(type)})`;
  const item = `x${depth}`;
  const inner = (name: string) =>
    Array.isArray(mapping)
      ? (mapping as MappedField[]).find((it) => it.names.includes(name))?.fields
      : undefined;
  const [first, second] = column.children as [PhysicalColumn, PhysicalColumn];
  if (type.type === "list")
    return `list_transform(${value}, lambda ${item}: ${project(item, type.element, first, inner("element"), depth + 1)})`;
  if (type.type === "map")
    return `map_from_entries(list_transform(map_entries(${value}), lambda ${item}: {k: ${project(`${item}.key`, type.key, first, inner("key"), depth + 1)}, v: ${project(`${item}.value`, type.value, second, inner("value"), depth + 1)}}))`;
  const members = type.fields.map(
    (field) => `${quoteName(field.name)} := ${projectField(field, column.children, `(${value}).`, mapping)}`,
  );
  return `CASE WHEN ${value} IS NULL THEN NULL ELSE struct_pack(${members.join(", ")}) END`;
}

/** DuckDB's name of an Iceberg type (spec, "Schemas and Data Types"). @throws LakeError for a type of v3 */
export function duckdbType(type: IcebergType): string {
  if (typeof type !== "string") {
    if (type.type === "list") return `${duckdbType(type.element)}[]`;
    if (type.type === "map") return `MAP(${duckdbType(type.key)}, ${duckdbType(type.value)})`;
    return `STRUCT(${type.fields.map((field) => `${quoteName(field.name)} ${duckdbType(field.type)}`).join(", ")})`;
  }
  const known = DUCKDB_NAMES[type];
  if (known) return known;
  const decimal = /^decimal\((\d+), ?(\d+)\)$/.exec(type);
  if (decimal) return `DECIMAL(${decimal[1]}, ${decimal[2]})`;
  if (/^fixed\[\d+\]$/.test(type)) return "BLOB";
  throw new LakeError("invalid", `A column has the type ${type}, which can't be read here.`);
}
