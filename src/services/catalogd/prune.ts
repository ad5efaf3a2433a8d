/**
 * Pruning by column bounds: a file goes only where its bounds prove that none of its rows can match.
 * Comparisons are DuckDB's, which counts NaN above every other number.
 */
import type { PlannedFile } from "./plan.ts";
import type { IcebergField, ScanFilter } from "./schema.ts";
import { type Comparable, compareValues, decodeBound, parseValue } from "./values.ts";

/** A test of whether a file may hold a match of all filters. Filters that can't be judged are passed over. */
export function pruner(
  fields: readonly IcebergField[],
  filters: readonly ScanFilter[],
): (file: PlannedFile) => boolean {
  const tests = filters.flatMap((filter) => {
    const folded = filter.column.toLowerCase();
    const field = fields.find((it) => it.name.toLowerCase() === folded);
    const test = field && testOf(field, filter);
    return test ? [test] : [];
  });
  return (file) => tests.every((mayMatch) => mayMatch(file));
}

type Test = (file: PlannedFile) => boolean;

function testOf(field: IcebergField, filter: ScanFilter): Test | undefined {
  const { id, type } = field;
  const { op } = filter;
  if (op === "is_null") return (file) => file.nulls.get(id) !== 0n || !file.values.has(id);
  if (op === "not_null") return (file) => !file.values.has(id) || file.nulls.get(id) !== file.values.get(id);
  if (typeof type !== "string") return undefined;
  const wanted = filter.values.map((value) => parseValue(type, value));
  if (wanted.some((candidates) => candidates.length === 0)) return undefined;
  const candidates = wanted.flat();
  const floating = type === "float" || type === "double";
  return (file) => {
    // A file written before the column was there holds nothing but nulls in it.
    if (!file.values.has(id)) return true;
    if (file.nulls.get(id) === file.values.get(id)) return false;
    const lower = bound(file.lower.get(id), type);
    const upper = bound(file.upper.get(id), type);
    const may_hold_nan = floating && file.nans.get(id) !== 0n;
    return candidates.some((value) => mayHold(op, value, lower, may_hold_nan ? undefined : upper));
  };
}

function bound(bytes: Buffer | undefined, type: IcebergField["type"]): Comparable | undefined {
  return bytes && decodeBound(type, bytes);
}

function mayHold(
  op: ScanFilter["op"],
  value: Comparable,
  lower: Comparable | undefined,
  upper: Comparable | undefined,
): boolean {
  const not_below = upper === undefined || compareValues(value, upper) <= 0;
  const not_above = lower === undefined || compareValues(value, lower) >= 0;
  switch (op) {
    case "<":
      return lower === undefined || compareValues(lower, value) < 0;
    case "<=":
      return not_above;
    case ">":
      return upper === undefined || compareValues(upper, value) > 0;
    case ">=":
      return not_below;
    default:
      return not_below && not_above;
  }
}
