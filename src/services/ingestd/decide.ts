/**
 * Which columns a file's columns become: a new table's, or those of the table there is. Pure. With `evolve`
 * the table may gain columns and widen them; otherwise every difference is a conflict, told column by column.
 */
import { LakeError } from "../../shared/errors.ts";
import type { IcebergField, IcebergType, SchemaChange, TableState } from "../catalogd/schema.ts";
import type { Digits } from "./kinds.ts";
import { decimalOf, numberFields, numberType, typeText } from "./types.ts";

/** A column of a file, with the type that holds all its values. */
export interface FileColumn {
  name: string;
  type: IcebergType;
  /** Its values are text whose type was inferred: each is checked against the target as it is read. */
  text: boolean;
  /** Digits of text that is numbers, for a decimal to be widened to. */
  digits?: Digits | undefined;
  /** DuckDB's own name of a typed column's type. */
  sql_type?: string;
}

/** The type of what had no value at all: it becomes whatever the table has, and text in a new one. */
export const UNKNOWN = "unknown";

export interface Target {
  /** The columns files are written with, ids as in the table after the commit. */
  fields: IcebergField[];
  changes: SchemaChange[];
  /** For each of `fields`, the file's column it is read from (by index), or null where the file has none. */
  sources: (number | null)[];
}

export interface Difference {
  column: string;
  table: string | null;
  file: string | null;
  problem: string;
}

/** The columns of a new table. `key` columns identify rows, so they are required. */
export function newTable(
  columns: readonly FileColumn[],
  types: ReadonlyMap<string, string>,
  key: readonly string[],
): Target {
  const wanted = override(columns, types);
  const identifiers = new Set(key.map((name) => name.toLowerCase()));
  let id = 0;
  const fields = numberFields(
    wanted.map(({ name, type }) => ({
      id: 0,
      name,
      type: settle(type),
      required: identifiers.has(name.toLowerCase()),
    })),
    () => ++id,
  );
  return { fields, changes: [], sources: fields.map((_, index) => index) };
}

/** Applies the `types` option. @throws LakeError invalid for a column the file lacks, or a type it can't have */
export function override(columns: readonly FileColumn[], types: ReadonlyMap<string, string>): FileColumn[] {
  const known = new Map(columns.map((it) => [it.name.toLowerCase(), it]));
  for (const [name, type] of types) {
    const column = known.get(name);
    if (!column)
      throw new LakeError(
        "invalid",
        `types names a column "${name}" that the file lacks; it has ${columns
          .map((it) => it.name)
          .slice(0, 50)
          .join(", ")}.`,
      );
    const nested = typeof column.type !== "string" && type !== "string";
    if (nested || type === "binary" || !(column.text || fits(column.type, type) || type === "string"))
      throw new LakeError(
        "invalid",
        `types wants column "${column.name}" as ${type}, which ${typeText(column.type)} in this file can't become.`,
      );
  }
  return columns.map((it) => ({ ...it, type: types.get(it.name.toLowerCase()) ?? it.type }));
}

/** The columns of an existing table that a file is added to. @throws LakeError conflict with `difference` */
export function existingTable(
  columns: readonly FileColumn[],
  table: Pick<TableState, "name" | "fields" | "last_column_id">,
  evolve: boolean,
): Target {
  const differences: Difference[] = [];
  const plan: Plan = { evolve, next: counter(table.last_column_id), changes: [], differences };
  const by_name = new Map(columns.map((it, index) => [it.name.toLowerCase(), index]));
  const fields: IcebergField[] = [];
  const sources: (number | null)[] = [];
  for (const field of table.fields) {
    const index = by_name.get(field.name.toLowerCase());
    const column = index === undefined ? undefined : columns[index];
    by_name.delete(field.name.toLowerCase());
    if (column === undefined) absent(field, field.name, plan);
    fields.push(column === undefined ? field : matched(field, column, plan));
    sources.push(index ?? null);
  }
  for (const index of by_name.values()) {
    const { name, type } = columns[index] as FileColumn;
    const added = add({ name, type }, undefined, plan);
    if (!added) continue;
    fields.push(added);
    sources.push(index);
  }
  if (differences.length > 0) throw drift(table.name, differences, evolve);
  return { fields, changes: plan.changes, sources };
}

/** Text in place of what is unknown. */
export function settle(type: IcebergType): IcebergType {
  if (typeof type === "string") return type === UNKNOWN ? "string" : type;
  if (type.type === "list") return { ...type, element: settle(type.element) };
  if (type.type === "map") return { ...type, value: settle(type.value) };
  return { type: "struct", fields: type.fields.map((it) => ({ ...it, type: settle(it.type) })) };
}

interface Plan {
  readonly evolve: boolean;
  /** The file is JSON, where whole numbers among others with fractions are no other type. */
  readonly lenient?: boolean;
  readonly next: () => number;
  readonly changes: SchemaChange[];
  readonly differences: Difference[];
}

function counter(last: number): () => number {
  let id = last;
  return () => ++id;
}

function absent(field: IcebergField, path: string, plan: Plan): void {
  if (plan.evolve && !field.required) return;
  const problem = field.required ? "required by the table, missing in the file" : "missing in the file";
  plan.differences.push({ column: path, table: typeText(field.type), file: null, problem });
}

function add(
  column: { name: string; type: IcebergType },
  parent: string | undefined,
  plan: Plan,
): IcebergField | undefined {
  const path = parent === undefined ? column.name : `${parent}.${column.name}`;
  if (!plan.evolve) {
    plan.differences.push({
      column: path,
      table: null,
      file: typeText(column.type),
      problem: "not in the table",
    });
    return undefined;
  }
  const id = plan.next();
  const type = numberType(settle(column.type), plan.next);
  const field = { name: column.name, required: false as const, type };
  plan.changes.push({ change: "add", ...(parent === undefined ? {} : { parent }), field });
  return { id, ...field };
}

function matched(field: IcebergField, column: FileColumn, plan: Plan): IcebergField {
  if (!column.text || typeof field.type !== "string")
    return { ...field, type: merge(field.type, column.type, field.name, { ...plan, lenient: column.text }) };
  if (field.type === "binary" || field.type.startsWith("fixed")) {
    plan.differences.push({
      column: field.name,
      table: field.type,
      file: "text",
      problem: "bytes can't be read from text; send Parquet",
    });
    return field;
  }
  if (!plan.evolve) return field;
  return { ...field, type: widenTo(field.type, wider(field.type, column), field.name, plan) };
}

/** The type that a column of texts asks for: of a decimal column, more digits before the point. */
function wider(table: string, column: FileColumn): IcebergType {
  const decimal = decimalOf(table);
  if (!decimal || !column.digits) return column.type;
  return `decimal(${Math.min(38, column.digits.whole + decimal.scale)},${decimal.scale})`;
}

/** The table's type after taking the file's, values of which must all fit. */
function merge(table: IcebergType, file: IcebergType, path: string, plan: Plan): IcebergType {
  const differ = () => {
    const [of_table, of_file] = [typeText(table), typeText(file)];
    plan.differences.push({ column: path, table: of_table, file: of_file, problem: "other type" });
    return table;
  };
  if (typeof table === "string" || typeof file === "string") {
    if (fits(file, table) || (plan.lenient && file === "long" && table === "double")) return table;
    if (typeof table === "string" && plan.evolve && promotes(table, file))
      return widenTo(table, file, path, plan);
    return differ();
  }
  if (table.type === "list" && file.type === "list")
    return { ...table, element: merge(table.element, file.element, `${path}.element`, plan) };
  if (table.type === "map" && file.type === "map" && fits(file.key, table.key))
    return { ...table, value: merge(table.value, file.value, `${path}.value`, plan) };
  if (table.type === "struct" && file.type === "struct")
    return mergeStruct(table.fields, file.fields, path, plan);
  return differ();
}

function mergeStruct(table: IcebergField[], file: IcebergField[], path: string, plan: Plan): IcebergType {
  const rest = new Map(file.map((it) => [it.name.toLowerCase(), it]));
  const fields = table.map((field) => {
    const given = rest.get(field.name.toLowerCase());
    rest.delete(field.name.toLowerCase());
    if (given) return { ...field, type: merge(field.type, given.type, `${path}.${field.name}`, plan) };
    // A member that some records leave out is how JSON writes null.
    if (field.required) absent(field, `${path}.${field.name}`, plan);
    return field;
  });
  for (const given of rest.values()) {
    const added = add(given, path, plan);
    if (added) fields.push(added);
  }
  return { type: "struct", fields };
}

function widenTo(table: string, file: IcebergType, path: string, plan: Plan): string {
  const target = promotes(table, file) ? (file as string) : table;
  if (target !== table) plan.changes.push({ change: "widen", path, type: target });
  return target;
}

/** Whether a column may be widened so (Iceberg v2, "Schema Evolution"). */
function promotes(from: IcebergType, to: IcebergType): boolean {
  if (from === "int") return to === "long";
  if (from === "float") return to === "double";
  const [narrow, wide] = [decimalOf(from), decimalOf(to)];
  return !!narrow && !!wide && narrow.scale === wide.scale && narrow.precision < wide.precision;
}

/** Whether every value of one type is a value of the other. */
export function fits(from: IcebergType, to: IcebergType): boolean {
  if (from === UNKNOWN || typeText(from) === typeText(to) || promotes(from, to)) return true;
  if (from === "int") return to === "double" || (decimalOf(to) !== undefined && wholeDigits(to) >= 10);
  if (from === "long") return decimalOf(to) !== undefined && wholeDigits(to) >= 19;
  if (from === "date") return to === "timestamp";
  const [narrow, wide] = [decimalOf(from), decimalOf(to)];
  return !!narrow && !!wide && narrow.scale <= wide.scale && wholeDigits(from) <= wholeDigits(to);
}

function wholeDigits(type: IcebergType): number {
  const decimal = decimalOf(type);
  return decimal ? decimal.precision - decimal.scale : 0;
}

function drift(name: string, difference: Difference[], evolve: boolean): LakeError {
  const shown = difference
    .slice(0, 10)
    .map((it) => `${it.column} (table: ${it.table ?? "none"}, file: ${it.file ?? "none"}; ${it.problem})`);
  const more = difference.length > 10 ? ` and ${difference.length - 10} more` : "";
  const hint = evolve ? "" : " evolve=true lets the table gain columns and widen them.";
  return new LakeError(
    "conflict",
    `The file's columns differ from those of ${name}: ${shown.join("; ")}${more}.${hint}`,
    { difference },
  );
}
