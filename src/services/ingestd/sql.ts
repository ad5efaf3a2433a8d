/** The SQL that reads a file's columns as a table's: each value checked, so that none changes on the way. */
import type { IcebergField, IcebergType } from "../catalogd/schema.ts";
import type { Dialect } from "./csv.ts";
import { type FileColumn, settle, type Target } from "./decide.ts";
import { textCast, textFits } from "./text_sql.ts";
import { fieldIds, literal, quote, sqlType } from "./types.ts";

/** What error() says when a value doesn't fit; the slower reading then finds which. */
export const MISFIT = "lakehouse: a value does not fit its column";
const STOP = `error(${literal(MISFIT)})`;

const MAX_LINE_BYTES = 32 * 1024 * 1024;

/** A file as DuckDB reads it: its relation, and the expression of each column. */
export interface Source {
  relation: string;
  columns: readonly FileColumn[];
  expressions: readonly string[];
  /** The line (or row) each row comes from, where known. */
  line: string | null;
  /** Types were inferred from a sample: a double that would drop digits is then a wrong guess. */
  guessed: boolean;
}

/** Delimited text read directly; every column as text. */
export function csvSource(
  path: string,
  dialect: Dialect,
  header: boolean,
  columns: readonly FileColumn[],
): Source {
  const names = columns.map((_, index) => `c${index}`);
  const nulls = ["", ...dialect.nulls].map(literal).join(", ");
  return {
    relation: readCsv(path, names, [
      `header=${header}`,
      `delim=${literal(dialect.delimiter)}`,
      `quote=${literal(dialect.quote)}`,
      `escape=${literal(dialect.escape)}`,
      `nullstr=[${nulls}]`,
    ]),
    columns,
    expressions: names,
    line: null,
    guessed: true,
  };
}

/** A table of texts that this service wrote itself, with each row's line. */
export function textTableSource(path: string, columns: readonly FileColumn[]): Source {
  const names = columns.map((_, index) => `c${index}`);
  const options = [
    "header=false",
    "delim=','",
    `quote='"'`,
    `escape='"'`,
    `max_line_size=${MAX_LINE_BYTES}`,
    `buffer_size=${2 * MAX_LINE_BYTES}`,
  ];
  const relation = readCsv(path, ["line", ...names], options);
  return { relation, columns, expressions: names, line: "line::BIGINT", guessed: false };
}

function readCsv(path: string, names: readonly string[], options: readonly string[]): string {
  const columns = names.map((it) => `${it}: 'VARCHAR'`).join(", ");
  const all = ["auto_detect=false", "allow_quoted_nulls=false", `columns={${columns}}`, ...options];
  return `read_csv(${literal(path)}, ${all.join(", ")})`;
}

export function parquetSource(path: string, columns: readonly FileColumn[]): Source {
  return {
    relation: `read_parquet(${literal(path)}, file_row_number=true)`,
    columns,
    expressions: columns.map((it) => quote(it.name)),
    line: "file_row_number + 1",
    guessed: false,
  };
}

/** One target column: the value, and what must hold of the source for it to be right (null: nothing). */
export interface Conversion {
  field: IcebergField;
  source: string | null;
  /** A text's cast, made once and looked at several times. */
  cast?: string;
  value: string;
  check: string | null;
  /** The value where the check holds, and a misfit otherwise: cheaper than one after the other. */
  guarded: string;
}

export function conversions(source: Source, target: Target): Conversion[] {
  return target.fields.map((field, index) => {
    const from = target.sources[index] ?? null;
    if (from === null) return plain(field, null, `CAST(NULL AS ${sqlType(field.type)})`);
    const column = source.columns[from] as FileColumn;
    const expression = source.expressions[from] as string;
    if (!column.text) return fromTyped(expression, field, column);
    return fromText(expression, field, column.type, source.guessed && column.type === "double");
  });
}

function plain(field: IcebergField, source: string | null, value: string): Conversion {
  if (!field.required || source === null) return { field, source, value, check: null, guarded: value };
  return checked(field, source, value, `${source} IS NOT NULL`);
}

function checked(field: IcebergField, source: string, value: string, check: string): Conversion {
  return { field, source, value, check, guarded: `CASE WHEN ${check} THEN ${value} ELSE ${STOP} END` };
}

function fromTyped(x: string, field: IcebergField, column: FileColumn): Conversion {
  const to = sqlType(field.type);
  const from = column.sql_type as string;
  if (from === to) return plain(field, x, x);
  const value = `CAST(${x} AS ${to})`;
  // A struct that gains members can't be cast back; its parts were compared type by type.
  if (/STRUCT|MAP/.test(from)) return plain(field, x, value);
  // There and back again: nothing that a narrower type would drop passes.
  const same = `CAST(TRY_CAST(${x} AS ${to}) AS ${from}) IS NOT DISTINCT FROM ${x}`;
  return checked(
    field,
    x,
    value,
    field.required ? `${x} IS NOT NULL AND ${same}` : `(${x} IS NULL OR ${same})`,
  );
}

function fromText(c: string, field: IcebergField, inferred: IcebergType, exact: boolean): Conversion {
  const { type } = field;
  if (type === "string") return plain(field, c, c);
  const to = sqlType(type);
  if (typeof type !== "string") {
    // By way of the file's own shape, since JSON casts to a struct only with exactly its members.
    const own = sqlType(settle(inferred));
    return plain(field, c, `CAST(CAST(CAST(nullif(${c}, '') AS JSON) AS ${own}) AS ${to})`);
  }
  const v = `${c}_cast`;
  const fits = textFits(c, v, type, exact);
  const empty = `${c} IS NULL OR ${c} = ''`;
  const branches = fits.map((it) => `WHEN ${it} THEN ${v}`).join(" ");
  const null_or = field.required ? "" : `WHEN ${empty} THEN NULL `;
  const tests = fits.map((it) => `WHEN ${it} THEN true`).join(" ");
  return {
    field,
    source: c,
    cast: `${textCast(c, type, to)} AS ${v}`,
    value: v,
    check: `CASE WHEN ${empty} THEN ${!field.required} ${tests} ELSE false END`,
    guarded: `CASE ${branches} ${null_or}ELSE ${STOP} END`,
  };
}

export type BadRows = "stop" | "leave out";

/** The SELECT of all rows as the target's columns; a bad value stops it, or its row is left out. */
export function selectRows(source: Source, made: readonly Conversion[], bad_rows: BadRows): string {
  const columns = made.map(
    ({ field, value, guarded }) => `${bad_rows === "stop" ? guarded : value} AS ${quote(field.name)}`,
  );
  const where = bad_rows === "leave out" ? allChecks(made) : "";
  return `SELECT ${columns.join(", ")} FROM ${withCasts(source, made)}${where === "" ? "" : ` WHERE ${where}`}`;
}

function withCasts(source: Source, made: readonly Conversion[]): string {
  const casts = made.map((it) => it.cast).filter((it) => it !== undefined);
  return casts.length === 0 ? source.relation : `(SELECT *, ${casts.join(", ")} FROM ${source.relation})`;
}

function allChecks(made: readonly Conversion[]): string {
  return made
    .map((it) => it.check)
    .filter((it) => it !== null)
    .join(" AND ");
}

/** The first rows with a bad value: line, index of the first bad column, and its text. Null where none can be. */
export function selectBadRows(source: Source, made: readonly Conversion[], most: number): string | null {
  const checked = made.map((it, index) => ({ ...it, index })).filter((it) => it.check !== null);
  if (checked.length === 0 || source.line === null) return null;
  const which = checked.map((it) => `WHEN NOT ${it.check} THEN ${it.index}`).join(" ");
  const text = checked
    .map((it) => `WHEN NOT ${it.check} THEN substr(CAST(${it.source} AS VARCHAR), 1, 200)`)
    .join(" ");
  return `SELECT ${source.line} AS line, CASE ${which} END AS bad, CASE ${text} END AS value, count(*) OVER () AS bad_rows FROM ${withCasts(source, made)} WHERE NOT (${allChecks(made)}) ORDER BY line LIMIT ${most}`;
}

export interface CopyOptions {
  out_dir: string;
  file_bytes: number;
  row_group_rows: number;
}

/** Writes rows as Parquet files of the table: zstd, field ids, a new file at `file_bytes`. */
export function copyRows(select: string, fields: readonly IcebergField[], options: CopyOptions): string {
  const { out_dir, file_bytes, row_group_rows } = options;
  // Level 1 takes half of level 3's time here and 2% more bytes.
  const settings = [
    "FORMAT parquet",
    "COMPRESSION zstd",
    "COMPRESSION_LEVEL 1",
    `ROW_GROUP_SIZE ${row_group_rows}`,
    `FILE_SIZE_BYTES ${file_bytes}`,
    `FIELD_IDS ${fieldIds(fields)}`,
    "RETURN_STATS",
  ];
  return `COPY (${select}) TO ${literal(out_dir)} (${settings.join(", ")})`;
}
