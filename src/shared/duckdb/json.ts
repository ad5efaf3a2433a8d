/**
 * How values leave as JSON, told in docs/sql.md. Common types are written here; the rest are turned into JSON
 * by DuckDB itself (`jsonExpression`), which NDJSON uses for every column, so the two formats agree.
 */
import {
  type DuckDBArrayType,
  type DuckDBDateValue,
  type DuckDBListType,
  type DuckDBMapType,
  type DuckDBStructType,
  type DuckDBTimestampTZValue,
  DuckDBTimestampValue,
  type DuckDBType,
  DuckDBTypeId,
  type DuckDBUnionType,
  type DuckDBValue,
} from "@duckdb/node-api";
import { quoteName, quoteText } from "./quote.ts";

const MAX_SAFE = BigInt(Number.MAX_SAFE_INTEGER);

type Encoder = (value: NonNullable<DuckDBValue>) => string;

const plain: Encoder = (value) => JSON.stringify(value);
const asText: Encoder = (value) => JSON.stringify(String(value));
const asTime: Encoder = (value) => JSON.stringify(String(value).replaceAll(" ", "T"));

const whole: Encoder = (value) => {
  const it = value as bigint;
  return it > MAX_SAFE || it < -MAX_SAFE ? `"${it}"` : String(it);
};

function float(value: number): string {
  if (Number.isFinite(value)) return Object.is(value, -0) ? "-0.0" : String(value);
  return Number.isNaN(value) ? '"NaN"' : value > 0 ? '"Infinity"' : '"-Infinity"';
}

/** The shortest decimal that reads back as the same 32-bit float. */
function float32(value: number): string {
  if (!Number.isFinite(value) || value === 0) return float(value);
  for (let digits = 6; digits < 9; digits++) {
    const short = Number(value.toPrecision(digits));
    if (Math.fround(short) === value) return String(short);
  }
  return String(Number(value.toPrecision(9)));
}

const date: Encoder = (value) => {
  const it = value as DuckDBDateValue;
  return it.isFinite ? asText(it) : it.days > 0 ? '"infinity"' : '"-infinity"';
};

const instant: Encoder = (value) => {
  const it = value as DuckDBTimestampTZValue;
  const text = new DuckDBTimestampValue(it.micros).toString();
  return JSON.stringify(it.isFinite ? `${text.replaceAll(" ", "T")}Z` : text);
};

const ENCODERS: Partial<Record<DuckDBTypeId, Encoder>> = {
  [DuckDBTypeId.BOOLEAN]: plain,
  [DuckDBTypeId.TINYINT]: plain,
  [DuckDBTypeId.SMALLINT]: plain,
  [DuckDBTypeId.INTEGER]: plain,
  [DuckDBTypeId.UTINYINT]: plain,
  [DuckDBTypeId.USMALLINT]: plain,
  [DuckDBTypeId.UINTEGER]: plain,
  [DuckDBTypeId.BIGINT]: whole,
  [DuckDBTypeId.UBIGINT]: whole,
  [DuckDBTypeId.HUGEINT]: whole,
  [DuckDBTypeId.UHUGEINT]: whole,
  [DuckDBTypeId.FLOAT]: (value) => float32(value as number),
  [DuckDBTypeId.DOUBLE]: (value) => float(value as number),
  [DuckDBTypeId.DECIMAL]: asText,
  [DuckDBTypeId.VARCHAR]: plain,
  [DuckDBTypeId.ENUM]: plain,
  [DuckDBTypeId.UUID]: asText,
  [DuckDBTypeId.DATE]: date,
  [DuckDBTypeId.TIME]: asText,
  [DuckDBTypeId.TIMESTAMP]: asTime,
  [DuckDBTypeId.TIMESTAMP_MS]: asTime,
  [DuckDBTypeId.TIMESTAMP_S]: asTime,
  [DuckDBTypeId.TIMESTAMP_TZ]: instant,
  [DuckDBTypeId.SQLNULL]: plain,
};

/** The writer of a column's values, or undefined where DuckDB is to make the JSON. */
export function encoderOf(type: DuckDBType): Encoder | undefined {
  return type.alias === undefined ? ENCODERS[type.typeId] : undefined;
}

/** A value that `jsonExpression` made: JSON already. */
export const encodeJsonText: Encoder = (value) => String(value);

/** The type as answers name it. */
export function typeName(type: DuckDBType): string {
  return type.alias ?? String(type);
}

const AS_IT_IS = new Set([
  DuckDBTypeId.BOOLEAN,
  DuckDBTypeId.TINYINT,
  DuckDBTypeId.SMALLINT,
  DuckDBTypeId.INTEGER,
  DuckDBTypeId.UTINYINT,
  DuckDBTypeId.USMALLINT,
  DuckDBTypeId.UINTEGER,
  DuckDBTypeId.VARCHAR,
  DuckDBTypeId.ENUM,
  DuckDBTypeId.UUID,
  DuckDBTypeId.DATE,
  DuckDBTypeId.TIME,
  DuckDBTypeId.SQLNULL,
]);
const WHOLE = new Set([
  DuckDBTypeId.BIGINT,
  DuckDBTypeId.UBIGINT,
  DuckDBTypeId.HUGEINT,
  DuckDBTypeId.UHUGEINT,
]);

/** SQL that makes, of a row's values, the JSON text that NDJSON has for it. */
export function jsonRowExpression(
  members: readonly { name: string; value: string; type: DuckDBType }[],
): string {
  const pack = (of: (value: string, type: DuckDBType) => string) =>
    `to_json(struct_pack(${members.map(({ name, value, type }) => `${quoteName(name)} := ${of(value, type)}`).join(", ")}))`;
  const plain = members.flatMap(({ value, type }) => plainNumber(value, type) ?? []);
  if (plain.length === 0) return pack(jsonExpression);
  // Nearly every row's numbers are plain; DuckDB writes those a third faster without a look at each.
  const quick = pack((value, type) =>
    plainNumber(value, type) === undefined ? jsonExpression(value, type) : value,
  );
  return `CASE WHEN ${plain.join(" AND ")} THEN ${quick} ELSE ${pack(jsonExpression)} END`;
}

/** SQL that tells whether a number goes as JSON's number as it is; undefined for a type that never has to be asked. */
function plainNumber(value: string, type: DuckDBType): string | undefined {
  if (type.alias !== undefined) return undefined;
  if (WHOLE.has(type.typeId)) return `coalesce(${isSafe(value, type)}, true)`;
  return type.typeId === DuckDBTypeId.DOUBLE ? `coalesce(isfinite(${value}), true)` : undefined;
}

function isSafe(value: string, { typeId }: DuckDBType): string {
  const unsigned = typeId === DuckDBTypeId.UBIGINT || typeId === DuckDBTypeId.UHUGEINT;
  return `${value} BETWEEN ${unsigned ? 0 : -MAX_SAFE} AND ${MAX_SAFE}`;
}

/** Whole seconds within four-digit years are written the quickest way; the rest as DuckDB writes them. */
function timestampText(value: string): string {
  const simple = `epoch_us(${value}) % 1000000 = 0 AND ${value} BETWEEN TIMESTAMP '0001-01-01' AND TIMESTAMP '9999-12-31'`;
  return `CASE WHEN ${simple} THEN strftime(${value}, '%Y-%m-%dT%H:%M:%S') ELSE replace(${value}::VARCHAR, ' ', 'T') END`;
}

/** SQL that makes, of a value of this type, something whose to_json() is what this value is answered as. */
export function jsonExpression(value: string, type: DuckDBType, depth = 0): string {
  const item = `x${depth}`;
  if (type.alias === "JSON")
    return `CASE WHEN ${looseJson(value)} THEN to_json(${value}::VARCHAR) ELSE ${value} END`;
  if (AS_IT_IS.has(type.typeId) && type.alias === undefined) return value;
  if (WHOLE.has(type.typeId))
    return `CASE WHEN ${isSafe(value, type)} THEN to_json(${value}) ELSE to_json(${value}::VARCHAR) END`;
  switch (type.typeId) {
    case DuckDBTypeId.FLOAT:
    case DuckDBTypeId.DOUBLE:
      // A FLOAT by its own shortest text, since to_json would widen 0.1 to 0.10000000149011612.
      return `CASE WHEN isfinite(${value}) THEN ${type.typeId === DuckDBTypeId.FLOAT ? `${value}::VARCHAR::JSON` : `to_json(${value})`} WHEN isnan(${value}) THEN '"NaN"'::JSON WHEN ${value} > 0 THEN '"Infinity"'::JSON WHEN ${value} < 0 THEN '"-Infinity"'::JSON END`;
    case DuckDBTypeId.TIMESTAMP:
      return timestampText(value);
    case DuckDBTypeId.TIMESTAMP_MS:
    case DuckDBTypeId.TIMESTAMP_S:
    case DuckDBTypeId.TIMESTAMP_NS:
      return `replace(${value}::VARCHAR, ' ', 'T')`;
    case DuckDBTypeId.TIMESTAMP_TZ:
      return `CASE WHEN isfinite(${value}) THEN replace(timezone('UTC', ${value})::VARCHAR, ' ', 'T') || 'Z' ELSE ${value}::VARCHAR END`;
    case DuckDBTypeId.BLOB:
      return `to_base64(${value})`;
    case DuckDBTypeId.LIST:
      return listExpression(value, (type as DuckDBListType).valueType, depth);
    case DuckDBTypeId.ARRAY: {
      const inner = (type as DuckDBArrayType).valueType;
      return listExpression(`(${value})::${String(inner)}[]`, inner, depth);
    }
    case DuckDBTypeId.STRUCT:
      return structExpression(value, type as DuckDBStructType, depth);
    case DuckDBTypeId.MAP:
      return `map_from_entries(list_transform(map_entries(${value}), lambda ${item}: {k: ${item}.key::VARCHAR, v: ${jsonExpression(`${item}.value`, (type as DuckDBMapType).valueType, depth + 1)}}))`;
    case DuckDBTypeId.UNION:
      return unionExpression(value, type as DuckDBUnionType, depth);
    case DuckDBTypeId.VARIANT:
      return `${value}::JSON`;
    default:
      return `${value}::VARCHAR`;
  }
}

/** DuckDB's JSON admits NaN and Infinity outside of strings, which are no JSON: such a value goes as text. */
function looseJson(value: string): string {
  const word = quoteText("[Nn][Aa][Nn]|[Ii][Nn][Ff]");
  const strings = quoteText('"(\\\\.|[^"\\\\])*"');
  return `regexp_matches(${value}::VARCHAR, ${word}) AND regexp_matches(regexp_replace(${value}::VARCHAR, ${strings}, '', 'g'), ${word})`;
}

function listExpression(value: string, inner: DuckDBType, depth: number): string {
  if (AS_IT_IS.has(inner.typeId) && inner.alias === undefined) return value;
  return `list_transform(${value}, lambda x${depth}: ${jsonExpression(`x${depth}`, inner, depth + 1)})`;
}

/** A struct as an object; a row without names as an array. */
function structExpression(value: string, type: DuckDBStructType, depth: number): string {
  const named = type.entryNames.every((name) => name !== "");
  const members = type.entryNames.map((name, i) => {
    const member = named ? `(${value}).${quoteName(name)}` : `struct_extract_at(${value}, ${i + 1})`;
    const inner = jsonExpression(member, type.entryTypes[i] as DuckDBType, depth);
    return named ? `${quoteText(name)}, ${inner}` : inner;
  });
  const make = named ? `json_object(${members.join(", ")})` : `json_array(${members.join(", ")})`;
  return `CASE WHEN ${value} IS NOT NULL THEN ${make} END`;
}

/** A union as an object with its tag as the one member. */
function unionExpression(value: string, type: DuckDBUnionType, depth: number): string {
  const cases = type.memberTags.map(
    (tag, i) =>
      `WHEN ${quoteText(tag)} THEN json_object(${quoteText(tag)}, ${jsonExpression(`union_extract(${value}, ${quoteText(tag)})`, type.memberTypes[i] as DuckDBType, depth)})`,
  );
  return `CASE union_tag(${value})::VARCHAR ${cases.join(" ")} END`;
}
