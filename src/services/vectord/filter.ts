/** Filters on metadata: judged once, then asked of each item. */
import { Value } from "@sinclair/typebox/value";
import { LakeError } from "../../shared/errors.ts";
import {
  type Clause,
  type Condition,
  ConditionSchema,
  type Filter,
  FilterSchema,
  type Scalar,
} from "./schema.ts";

export type Metadata = Readonly<Record<string, unknown>> | null;
export type Predicate = (metadata: Metadata) => boolean;

const MAX_DEPTH = 8;

/** @throws LakeError invalid, naming the clause */
export function compileFilter(filter: Filter): Predicate {
  return compile(filter, "filter", 1);
}

function compile(filter: Filter, path: string, depth: number): Predicate {
  if (depth > MAX_DEPTH) throw new LakeError("invalid", `${path} nests deeper than ${MAX_DEPTH} filters.`);
  refuse(FilterSchema, filter, path);
  const all = (clauses: Clause[] | undefined, name: string) =>
    clauses?.map((clause, at) => compileClause(clause, `${path}/${name}/${at}`, depth)) ?? [];
  const must = all(filter.must, "must");
  const should = all(filter.should, "should");
  const must_not = all(filter.must_not, "must_not");
  return (metadata) =>
    must.every((it) => it(metadata)) &&
    (should.length === 0 || should.some((it) => it(metadata))) &&
    !must_not.some((it) => it(metadata));
}

function compileClause(clause: Clause, path: string, depth: number): Predicate {
  if (typeof clause === "object" && clause !== null && !("key" in clause))
    return compile(clause, path, depth + 1);
  refuse(ConditionSchema, clause, path);
  return compileCondition(clause as Condition);
}

function refuse(schema: typeof FilterSchema | typeof ConditionSchema, value: unknown, path: string): void {
  const fault = Value.Errors(schema, value).First();
  if (fault)
    throw new LakeError("invalid", `${path}${fault.path} is not valid: ${fault.message}.`, {
      errors: [{ path: `${path}${fault.path}`, message: fault.message }],
    });
}

/** `match`, `any` and `range` hold where any of the values at the key does: an array is its elements. */
function compileCondition({ key, match, any, range, exists, is_null }: Condition): Predicate {
  const path = key.split(".");
  if (match !== undefined) return (metadata) => someAt(metadata, path, (it) => it === match);
  if (any !== undefined) {
    const wanted = new Set<unknown>(any satisfies Scalar[]);
    return (metadata) => someAt(metadata, path, (it) => wanted.has(it));
  }
  if (range !== undefined) {
    const within = compileRange(range);
    return (metadata) => someAt(metadata, path, within);
  }
  if (exists !== undefined) return (metadata) => someAt(metadata, path, (it) => it !== null) === exists;
  return (metadata) => isNull(metadata, path) === is_null;
}

/** Bounds of the same type as the value: numbers by size, strings (so times in one form) by code units. */
function compileRange({ gt, gte, lt, lte }: NonNullable<Condition["range"]>): (value: unknown) => boolean {
  const fits = (value: unknown, bound: number | string | undefined, test: (order: number) => boolean) => {
    if (bound === undefined) return true;
    if (typeof value !== typeof bound) return false;
    const it = value as number | string;
    return test(it < bound ? -1 : it > bound ? 1 : 0);
  };
  return (value) =>
    fits(value, gt, (order) => order > 0) &&
    fits(value, gte, (order) => order >= 0) &&
    fits(value, lt, (order) => order < 0) &&
    fits(value, lte, (order) => order <= 0);
}

/** Whether the key is there and holds null, or only nulls. */
function isNull(metadata: Metadata, path: readonly string[]): boolean {
  return someAt(metadata, path, (it) => it === null) && !someAt(metadata, path, (it) => it !== null);
}

/** Whether any value at the path passes; arrays on the way and at its end are gone through. */
function someAt(value: unknown, path: readonly string[], test: (value: unknown) => boolean, at = 0): boolean {
  if (Array.isArray(value)) return value.some((it) => someAt(it, path, test, at));
  if (at === path.length) return test(value);
  if (typeof value !== "object" || value === null) return false;
  // A key with a dot in its name is taken as it is.
  const whole = path.slice(at).join(".");
  if (at < path.length - 1 && Object.hasOwn(value, whole))
    return someAt((value as Record<string, unknown>)[whole], path, test, path.length);
  const name = path[at] as string;
  return Object.hasOwn(value, name) && someAt((value as Record<string, unknown>)[name], path, test, at + 1);
}
