/** The SQL that makes items of rows: which column becomes which part of an item, and as what. */
import { type DuckDBConnection, type DuckDBType, DuckDBTypeId } from "@duckdb/node-api";
import { jsonExpression, jsonRowExpression, typeName } from "../../shared/duckdb/json.ts";
import { quoteName } from "../../shared/duckdb/quote.ts";
import { LakeError } from "../../shared/errors.ts";
import { found, isNamed, listed } from "./column_names.ts";
import type { Columns } from "./tables_protocol.ts";

export interface Selection {
  /** A row each: id, vector, text, metadata, members, expiry, as `Row` has them. */
  readonly items: string;
  readonly has_vector: boolean;
  /** The column `id`, of every row. */
  readonly ids: string;
  /** The same, of the rows that are not blank. */
  readonly kept_ids: string;
  /** The length of one vector; no row where there is none. */
  readonly first_dimension: string;
}

interface Column {
  readonly name: string;
  readonly type: DuckDBType;
}

/** Columns of a file whose names say what they are; any other becomes a member of the metadata. */
const PARTS = ["id", "vector", "text", "metadata", "expires_at"];

const IDS = new Set([
  DuckDBTypeId.VARCHAR,
  DuckDBTypeId.ENUM,
  DuckDBTypeId.UUID,
  DuckDBTypeId.TINYINT,
  DuckDBTypeId.SMALLINT,
  DuckDBTypeId.INTEGER,
  DuckDBTypeId.BIGINT,
  DuckDBTypeId.HUGEINT,
  DuckDBTypeId.UTINYINT,
  DuckDBTypeId.USMALLINT,
  DuckDBTypeId.UINTEGER,
  DuckDBTypeId.UBIGINT,
  DuckDBTypeId.UHUGEINT,
  DuckDBTypeId.DATE,
]);
const NUMBERS = new Set([...IDS, DuckDBTypeId.FLOAT, DuckDBTypeId.DOUBLE, DuckDBTypeId.DECIMAL]);
for (const id of [DuckDBTypeId.VARCHAR, DuckDBTypeId.ENUM, DuckDBTypeId.UUID, DuckDBTypeId.DATE])
  NUMBERS.delete(id);
const TEXTS = new Set([DuckDBTypeId.VARCHAR, DuckDBTypeId.ENUM, DuckDBTypeId.UUID]);
const TIMES = new Set([
  DuckDBTypeId.DATE,
  DuckDBTypeId.TIMESTAMP,
  DuckDBTypeId.TIMESTAMP_S,
  DuckDBTypeId.TIMESTAMP_MS,
  DuckDBTypeId.TIMESTAMP_NS,
  DuckDBTypeId.TIMESTAMP_TZ,
]);

/**
 * @param named the parts' columns; null where the columns' own names say so
 * @throws LakeError invalid: a column that there isn't, or of a type that can't be that part
 */
export async function selectItems(
  connection: DuckDBConnection,
  from: string,
  named: Columns | null,
): Promise<Selection> {
  const columns = await columnsOf(connection, from);
  const parts: Columns = named ?? partsOf(columns);
  const find = (name: string | null) => (name === null ? undefined : found(columns, name));
  const id = idOf(found(columns, parts.id));
  const vector = vectorOf(find(parts.vector));
  const text = textOf(find(parts.text));
  const metadata = metadataOf(named === null ? columns.find((it) => isNamed(it, "metadata")) : undefined);
  const expires = expiryOf(named === null ? columns.find((it) => isNamed(it, "expires_at")) : undefined);
  const members = membersOf(parts.metadata.map((name) => found(columns, name)));
  const kept =
    vector === null ? `NOT regexp_full_match(${text}, '[\\s\\p{Z}\\x{FEFF}]*')` : `${vector} IS NOT NULL`;
  return {
    has_vector: vector !== null,
    items: `SELECT ${id}, ${vector}, ${text}, ${metadata}, ${members}, ${expires} FROM ${from}`,
    ids: `SELECT ${id} AS id FROM ${from}`,
    kept_ids: `SELECT ${id} AS id FROM ${from} WHERE ${kept}`,
    first_dimension: `SELECT len(${vector ?? "NULL::DOUBLE[]"}) FROM ${from} WHERE ${vector} IS NOT NULL LIMIT 1`,
  };
}

async function columnsOf(connection: DuckDBConnection, from: string): Promise<Column[]> {
  const statement = await connection.prepare(`SELECT * FROM ${from}`);
  const columns = Array.from({ length: statement.columnCount }, (_, at) => ({
    name: statement.columnName(at),
    type: statement.columnType(at),
  }));
  statement.destroySync();
  return columns;
}

function partsOf(columns: readonly Column[]): Columns {
  const part = (name: string) => columns.find((it) => isNamed(it, name))?.name ?? null;
  if (part("vector") === null && part("text") === null)
    throw new LakeError(
      "invalid",
      `The file needs a column vector, or a column text to make vectors of; it has ${listed(columns)}.`,
    );
  const others = columns.filter((it) => !PARTS.some((name) => isNamed(it, name)));
  return { id: "id", vector: part("vector"), text: part("text"), metadata: others.map((it) => it.name) };
}

function refused({ name, type }: Column, part: string, wanted: string): LakeError {
  return new LakeError(
    "invalid",
    `Column ${JSON.stringify(name)} can't be the ${part}: it must be ${wanted} (it is ${typeName(type)}).`,
  );
}

function idOf(column: Column): string {
  if (!IDS.has(column.type.typeId)) throw refused(column, "id", "text, a whole number, a UUID or a date");
  return `${quoteName(column.name)}::VARCHAR`;
}

function vectorOf(column: Column | undefined): string | null {
  if (column === undefined) return null;
  const { type } = column;
  const is_list = type.typeId === DuckDBTypeId.LIST || type.typeId === DuckDBTypeId.ARRAY;
  const inner = is_list ? (type as DuckDBType & { valueType: DuckDBType }).valueType : undefined;
  if (inner === undefined || !NUMBERS.has(inner.typeId)) throw refused(column, "vector", "a list of numbers");
  return `${quoteName(column.name)}::${inner.typeId === DuckDBTypeId.FLOAT ? "FLOAT" : "DOUBLE"}[]`;
}

function textOf(column: Column | undefined): string {
  if (column === undefined) return "NULL::VARCHAR";
  if (!TEXTS.has(column.type.typeId)) throw refused(column, "text", "text");
  return `${quoteName(column.name)}::VARCHAR`;
}

/** JSON in text as it is; a struct or a map as JSON. */
function metadataOf(column: Column | undefined): string {
  if (column === undefined) return "NULL::VARCHAR";
  const { typeId } = column.type;
  const name = quoteName(column.name);
  if (typeId === DuckDBTypeId.VARCHAR) return `${name}::VARCHAR`;
  if (typeId !== DuckDBTypeId.STRUCT && typeId !== DuckDBTypeId.MAP)
    throw refused(column, "metadata", "JSON in text, a struct or a map");
  return `to_json(${jsonExpression(name, column.type)})::VARCHAR`;
}

/** Milliseconds since 1970, or the text of a time; infinity is never. */
function expiryOf(column: Column | undefined): string {
  if (column === undefined) return "NULL::VARCHAR";
  const name = quoteName(column.name);
  if (column.type.typeId === DuckDBTypeId.VARCHAR) return name;
  if (!TIMES.has(column.type.typeId)) throw refused(column, "expires_at", "a time");
  const time = `${name}::TIMESTAMPTZ`;
  return `CASE WHEN isfinite(${time}) THEN epoch_ms(${time})::DOUBLE END`;
}

/** The members of the metadata that columns become, as answers of SQL tell their values. */
function membersOf(columns: readonly Column[]): string {
  if (columns.length === 0) return "NULL::VARCHAR";
  const members = columns.map(({ name, type }) => ({ name, value: quoteName(name), type }));
  return `${jsonRowExpression(members)}::VARCHAR`;
}
