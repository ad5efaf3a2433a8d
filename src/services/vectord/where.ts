/**
 * Which rows of a table are taken: a filter, as of metadata, over the table's columns, made into SQL here. Nothing of
 * what was sent reaches the SQL but as a quoted literal, and columns by the names that the table gives them.
 */
import { quoteName, quoteText } from "../../shared/duckdb/quote.ts";
import { LakeError } from "../../shared/errors.ts";
import { type FilterTree, type Question, readFilter, type Test } from "../../shared/filter.ts";
import type { Filter, Scalar } from "../../shared/filter_schema.ts";
import type { IcebergField, IcebergType } from "../../shared/iceberg.ts";
import { readTime } from "../../shared/time.ts";
import { found } from "./column_names.ts";

const INTEGERS = ["int", "long"];
const TIMES = ["date", "timestamp", "timestamptz"];
const COMPARISONS = { gt: ">", gte: ">=", lt: "<", lte: "<=" } as const;
const TOLD_CHARS = 100;

/** A value of a row, as SQL, and its type. */
interface Operand {
  readonly sql: string;
  readonly type: IcebergType;
}

/**
 * @returns a condition on the table's rows, true or false and never null
 * @throws LakeError invalid: no filter, no such column, or a value that its type can't have
 */
export function whereOf(filter: Filter, fields: readonly IcebergField[]): string {
  return ofTree(readFilter(filter, "where"), fields);
}

function ofTree({ must, should, must_not }: FilterTree, fields: readonly IcebergField[]): string {
  const one = (clause: FilterTree | Question) =>
    "must" in clause ? ofTree(clause, fields) : ofQuestion(clause, fields);
  const parts = [
    ...must.map(one),
    ...(should.length === 0 ? [] : [should.map(one).join(" OR ")]),
    ...must_not.map((it) => `NOT (${one(it)})`),
  ];
  return parts.length === 0 ? "true" : parts.map((it) => `(${it})`).join(" AND ");
}

function ofQuestion({ key, test }: Question, fields: readonly IcebergField[]): string {
  const { sql, type } = operandOf(key, fields);
  if ("wanted" in test) return `${test.wanted ? "" : "NOT "}(${ofExistence({ sql, type }, test.kind)})`;
  if (typeof type === "object" && type.type === "list") {
    const holds = ofTest({ sql: "x", type: type.element }, test, key);
    return `coalesce(len(list_filter(${sql}, lambda x: ${holds})) > 0, false)`;
  }
  return ofTest({ sql, type }, test, key);
}

/** A list is its elements here, too: one of nulls alone holds null, an empty one neither null nor anything else. */
function ofExistence({ sql, type }: Operand, kind: "exists" | "is_null"): string {
  if (typeof type !== "object" || type.type !== "list")
    return `${sql} IS ${kind === "exists" ? "NOT NULL" : "NULL"}`;
  const exists = `coalesce(len(list_filter(${sql}, lambda x: x IS NOT NULL)) > 0, false)`;
  return kind === "exists" ? exists : `${sql} IS NULL OR (len(${sql}) > 0 AND NOT ${exists})`;
}

/** A column, or a member within one: a dot goes deeper. */
function operandOf(key: string, fields: readonly IcebergField[]): Operand {
  const [first = "", ...rest] = fields.some(({ name }) => name === key) ? [key] : key.split(".");
  const { name, type } = found(fields, first);
  return rest.reduce<Operand>(
    (outer, step) => {
      if (typeof outer.type === "string" || outer.type.type !== "struct")
        throw refused(key, `there is nothing in a ${told(outer.type)} by the name ${JSON.stringify(step)}`);
      const member = found(outer.type.fields, step);
      return { sql: `struct_extract(${outer.sql}, ${quoteText(member.name)})`, type: member.type };
    },
    { sql: quoteName(name), type },
  );
}

function ofTest({ sql, type }: Operand, test: Exclude<Test, { wanted: boolean }>, key: string): string {
  if (typeof type !== "string" || /^(time|binary|fixed.*)$/.test(type))
    throw refused(key, `a ${told(type)} can only be asked by exists or is_null`);
  // A UUID is compared as the text that answers tell.
  const value = type === "uuid" ? `CAST(${sql} AS VARCHAR)` : sql;
  if (test.kind === "any") {
    if (test.values.size === 0) return "false";
    const literals = [...test.values].map((it) => literalOf(it, type, key));
    return `coalesce(${value} IN (${literals.join(", ")}), false)`;
  }
  if (type === "boolean") throw refused(key, "a boolean has no range");
  const bounds = Object.entries(COMPARISONS).flatMap(([name, sign]) => {
    const bound = test.range[name as keyof typeof COMPARISONS];
    return bound === undefined ? [] : [`${value} ${sign} ${literalOf(bound, type, key)}`];
  });
  return `coalesce(${bounds.join(" AND ")}, false)`;
}

/** A value of the column's type: no other is compared with it, so that a wrong one is refused and not silently unmet. */
function literalOf(value: Scalar, type: string, key: string): string {
  if (type === "boolean") {
    if (typeof value !== "boolean") throw unfit(value, type, key, "true or false");
    return String(value);
  }
  if (type === "string" || type === "uuid") {
    if (typeof value !== "string" || value.includes("\0")) throw unfit(value, type, key, "a text");
    return quoteText(type === "uuid" ? value.toLowerCase() : value);
  }
  if (TIMES.includes(type)) return timeLiteral(value, type, key);
  // Wider than what a JSON number can say.
  const is_wide = INTEGERS.includes(type) && typeof value === "string" && /^-?\d{1,19}$/.test(value);
  if (is_wide || (INTEGERS.includes(type) && Number.isSafeInteger(value)))
    return `CAST(${quoteText(String(value))} AS HUGEINT)`;
  if (typeof value !== "number") throw unfit(value, type, key, "a number");
  return `CAST(${quoteText(String(value))} AS ${type === "float" ? "FLOAT" : "DOUBLE"})`;
}

function timeLiteral(value: Scalar, type: string, key: string): string {
  const text = typeof value === "string" ? value : "";
  const at_ms = readTime(/^\d{4}-\d\d-\d\d$/.test(text) ? `${text}T00:00:00Z` : text);
  if (at_ms === undefined)
    throw unfit(value, type, key, "a day (2026-01-31) or a time of RFC 3339 (2026-01-31T09:30:00Z)");
  const iso = new Date(at_ms).toISOString();
  return type === "timestamptz"
    ? `CAST(${quoteText(iso)} AS TIMESTAMPTZ)`
    : `CAST(${quoteText(iso.replace("Z", ""))} AS TIMESTAMP)`;
}

const told = (type: IcebergType) => (typeof type === "string" ? type : type.type);

function unfit(value: Scalar, type: string, key: string, wanted: string): LakeError {
  const shown = JSON.stringify(value).slice(0, TOLD_CHARS);
  return refused(key, `the column is ${type}, and takes ${wanted} (got ${shown})`);
}

function refused(key: string, why: string): LakeError {
  return new LakeError("invalid", `where can't ask ${JSON.stringify(key)}: ${why}.`);
}
