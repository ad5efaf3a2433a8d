/** Filters on metadata: judged once, then asked of each item. */
import { LakeError } from "./errors.ts";
import { faultsIn, mostTelling } from "./faults.ts";
import {
  type Clause,
  type Condition,
  ConditionSchema,
  type Filter,
  FilterSchema,
  type Scalar,
} from "./filter_schema.ts";

export type Metadata = Readonly<Record<string, unknown>> | null;
/** What is asked of the values at a key. */
export type Test = { readonly kind: "any"; readonly values: ReadonlySet<Scalar> } | RangeTest | Existence;
export interface RangeTest {
  readonly kind: "range";
  readonly range: Range;
  within(value: unknown): boolean;
}
export interface Existence {
  readonly kind: "exists" | "is_null";
  readonly wanted: boolean;
}
/** A condition, judged. */
export interface Question {
  readonly key: string;
  readonly test: Test;
  passes(metadata: Metadata): boolean;
}
/** A filter, judged. */
export interface FilterTree {
  readonly must: readonly (FilterTree | Question)[];
  readonly should: readonly (FilterTree | Question)[];
  readonly must_not: readonly (FilterTree | Question)[];
}
type Range = NonNullable<Condition["range"]>;

const MAX_DEPTH = 8;

/** @param path what the filter is called where it is told of @throws LakeError invalid, naming the clause */
export function readFilter(filter: Filter, path = "filter"): FilterTree {
  return readTree(filter, path, 1);
}

/** Whether a filter lets an item through. */
export function holds(tree: FilterTree, metadata: Metadata): boolean {
  const one = (clause: FilterTree | Question) =>
    "must" in clause ? holds(clause, metadata) : clause.passes(metadata);
  return (
    tree.must.every(one) && (tree.should.length === 0 || tree.should.some(one)) && !tree.must_not.some(one)
  );
}

function readTree(filter: Filter, path: string, depth: number): FilterTree {
  if (depth > MAX_DEPTH) throw new LakeError("invalid", `${path} nests deeper than ${MAX_DEPTH} filters.`);
  refuse(FilterSchema, filter, path);
  const all = (name: "must" | "should" | "must_not") =>
    filter[name]?.map((clause, at) => readClause(clause, `${path}/${name}/${at}`, depth)) ?? [];
  return { must: all("must"), should: all("should"), must_not: all("must_not") };
}

function readClause(clause: Clause, path: string, depth: number): FilterTree | Question {
  if (isFilter(clause)) return readTree(clause, path, depth + 1);
  refuse(ConditionSchema, clause, path);
  const { key } = clause as Condition;
  const test = readTest(clause as Condition);
  return { key, test, passes: predicateOf(test, readPath(key)) };
}

function refuse(schema: typeof FilterSchema | typeof ConditionSchema, value: unknown, path: string): void {
  const errors = faultsIn(schema, value, path);
  if (errors.length > 0)
    throw new LakeError("invalid", `The ${path.split("/", 1)[0]} is not valid: ${mostTelling(errors)}`, {
      errors,
    });
}

/** A clause with neither a key nor a filter's member is a condition whose key was forgotten or misspelt. */
function isFilter(clause: Clause): clause is Filter {
  if (typeof clause !== "object" || clause === null || "key" in clause) return false;
  const names = Object.keys(clause);
  return names.length === 0 || names.some((it) => it in FilterSchema.properties);
}

function readTest({ match, any, range, exists: wanted, is_null }: Condition): Test {
  if (match !== undefined) return { kind: "any", values: new Set([match]) };
  if (any !== undefined) return { kind: "any", values: new Set(any) };
  if (range !== undefined) return { kind: "range", range, within: compileRange(range) };
  return wanted === undefined ? { kind: "is_null", wanted: is_null as boolean } : { kind: "exists", wanted };
}

/** `match`, `any` and `range` hold where any of the values at the key does: an array is its elements. */
function predicateOf(test: Test, path: readonly string[]): (metadata: Metadata) => boolean {
  if ("wanted" in test) {
    const is = test.kind === "exists" ? exists : isNull;
    return (metadata) => is(metadata, path) === test.wanted;
  }
  const passes = test.kind === "any" ? (it: unknown) => test.values.has(it as Scalar) : test.within;
  return (metadata) => someAt(metadata, path, passes);
}

/** Bounds of the same type as the value: numbers by size, strings (so times in one form) by code units. */
function compileRange({ gt, gte, lt, lte }: Range): (value: unknown) => boolean {
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

const exists = (metadata: Metadata, path: readonly string[]) => someAt(metadata, path, (it) => it !== null);

/** Whether the key is there and holds null, or only nulls. */
function isNull(metadata: Metadata, path: readonly string[]): boolean {
  return someAt(metadata, path, (it) => it === null) && !someAt(metadata, path, (it) => it !== null);
}

export const readPath = (key: string): string[] => key.split(".");

/** Every value at the path, as conditions see them. */
export function valuesAt(metadata: Metadata, path: readonly string[]): unknown[] {
  const values: unknown[] = [];
  someAt(metadata, path, (it) => {
    values.push(it);
    return false;
  });
  return values;
}

/** Whether any value at the path passes; arrays on the way and at its end are gone through. */
function someAt(value: unknown, path: readonly string[], test: (value: unknown) => boolean, at = 0): boolean {
  if (Array.isArray(value)) return value.some((it) => someAt(it, path, test, at));
  if (at === path.length) return test(value);
  if (typeof value !== "object" || value === null) return false;
  // A key with a dot in its name is taken as it is.
  const whole = at < path.length - 1 ? path.slice(at).join(".") : undefined;
  if (whole !== undefined && Object.hasOwn(value, whole))
    return someAt((value as Record<string, unknown>)[whole], path, test, path.length);
  const name = path[at] as string;
  return Object.hasOwn(value, name) && someAt((value as Record<string, unknown>)[name], path, test, at + 1);
}
