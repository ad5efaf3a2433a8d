/** What a schema refuses, in a person's words: which member, what it must be, and what came instead. */
import { ValueErrorType } from "@sinclair/typebox/errors";
import { Value } from "@sinclair/typebox/value";
import type { TSchema } from "elysia";
import type { Fault } from "./errors.ts";
import { bounds, SHOWN_CHARS, shown, suggest } from "./wording.ts";

const MAX_FAULTS = 50;

/** What TypeBox tells of one fault; of a union, also the faults of each of its variants. */
interface Refused {
  readonly type?: number;
  readonly path?: string;
  readonly schema?: TSchema;
  readonly value?: unknown;
  readonly errors?: readonly Iterable<Refused>[];
}

/** Elysia's error: of the whole `query`, `params` or `body`, or of one value (`property`), its name left out. */
interface Refusal {
  readonly validator: TSchema | { Errors(value: unknown): Iterable<Refused> };
  readonly type?: string;
  readonly value?: unknown;
}

/** After these the rest is not looked at: a list of a million is not read through to tell that it is too long. */
const TOO_MANY = new Set([ValueErrorType.ArrayMaxItems, ValueErrorType.ObjectMaxProperties]);

/** The faults of a request, each member named once, with messages that go on from its name. */
export function faultsOf(error: unknown, url: string): Fault[] {
  const { validator, type = "body", value } = error as Refusal;
  const all = "Errors" in validator ? validator.Errors(value) : Value.Errors(validator, value);
  const base = type === "property" ? parameterOf(value, url) : type === "body" ? "" : type;
  return collect(all, base);
}

/** The faults of a value that no route judges, in the same words. @param base goes before each path */
export function faultsIn(schema: TSchema, value: unknown, base = ""): Fault[] {
  return collect(Value.Errors(schema, value), base);
}

/** What `Errors(value)` tells, as the end of a sentence. */
export function sentenceOf(refused: Iterable<Refused>): string {
  return mostTelling(collect(refused, ""));
}

function collect(all: Iterable<Refused>, base: string): Fault[] {
  const faults = new Map<string, Fault>();
  for (const outer of all)
    for (const refused of innermost(outer)) {
      if (faults.size >= MAX_FAULTS) return [...faults.values()];
      const path = cut(base + (refused.path ?? ""));
      // A member that is missing is also not of its type: the first fault says it all.
      if (!faults.has(path)) faults.set(path, { path, message: messageFor(refused) });
      if (TOO_MANY.has(refused.type as ValueErrorType)) return [...faults.values()];
    }
  return [...faults.values()];
}

/** What to put right first, as the end of a sentence: a name that is not known is often why one is missing. */
export function mostTelling(faults: readonly Fault[]): string {
  const missing = faults.find(({ message }) => message === MISSING);
  const unknown = faults.find(({ message }) => message.startsWith(UNKNOWN));
  const told = missing === undefined ? faults.slice(0, 1) : unknown ? [unknown, missing] : [missing];
  return told.map(sentence).join("; ") || "it does not match the schema";
}

const MISSING = "is required";
const UNKNOWN = "is not known";

/** The first fault as the end of a sentence: `query/limit must be …`, `sql is required`. */
function sentence({ path, message }: Fault): string {
  return `${path === "" ? "the body" : path.replace(/^\//, "")} ${message}`;
}

/** A number past its bounds is refused without its name, and is found again by its value. */
function parameterOf(value: unknown, url: string): string {
  const { searchParams } = new URL(url);
  const names = [...searchParams].filter(([, given]) => Number(given) === value).map(([name]) => name);
  return names.length === 1 ? `query/${names[0]}` : "query";
}

/** The faults within the one variant of a union that was meant, where the value's own shape tells which. */
function innermost(refused: Refused, depth = 0): Refused[] {
  const { type, schema, value, errors = [] } = refused;
  if (type !== ValueErrorType.Union || typeof value !== "object" || value === null || depth > 8)
    return [refused];
  const variants = (schema?.anyOf ?? []) as TSchema[];
  const meant = variants.flatMap((variant, at) => (couldBe(variant, value) ? [at] : []));
  const [only] = meant;
  if (meant.length !== 1 || only === undefined) return [refused];
  const inner: Refused[] = [];
  for (const it of errors[only] ?? []) {
    inner.push(...innermost(it, depth + 1));
    if (inner.length >= MAX_FAULTS) break;
  }
  return inner.length > 0 ? inner : [refused];
}

function couldBe(variant: TSchema, value: object): boolean {
  if (Array.isArray(value)) return variant.type === "array";
  if (variant.type !== "object") return false;
  return constants(variant).every(([name, wanted]) => (value as Record<string, unknown>)[name] === wanted);
}

/** The members that tell an object's kind. */
function constants({ properties = {} }: TSchema): [string, unknown][] {
  return Object.entries(properties as Record<string, TSchema>)
    .filter(([, { const: wanted }]) => wanted !== undefined)
    .map(([name, { const: wanted }]) => [name, wanted]);
}

/** What is wrong with it: first what no schema's type says, then what the type does. */
function messageFor({ type, path = "", schema = {} as TSchema, value }: Refused): string {
  switch (type) {
    case ValueErrorType.ObjectRequiredProperty:
      return MISSING;
    case ValueErrorType.ObjectAdditionalProperties:
      return unknownMember(lastOf(path), schema);
    case ValueErrorType.ObjectMinProperties:
    case ValueErrorType.ObjectMaxProperties:
      return membersWanted(schema, value as object);
    case ValueErrorType.ArrayUniqueItems:
      return `must be a list in which nothing stands twice; got ${twice(value as unknown[])} twice`;
    case ValueErrorType.StringMaxLength:
      return `must be a text of at most ${schema.maxLength} characters; got ${shown(value)}`;
    default:
      return `must be ${wanted(schema)}; got ${shown(value)}`;
  }
}

function lastOf(path: string): string {
  return path
    .slice(path.lastIndexOf("/") + 1)
    .replaceAll("~1", "/")
    .replaceAll("~0", "~");
}

/** Of a record, whose names are free within a pattern, or of an object. */
function unknownMember(name: string, { properties, patternProperties }: TSchema): string {
  const [pattern] = Object.keys(patternProperties ?? {});
  if (pattern !== undefined && properties === undefined)
    return `is no name that may stand here: it must fit ${pattern}`;
  return `${UNKNOWN}${suggest(name.slice(0, SHOWN_CHARS), Object.keys(properties ?? {}))}`;
}

/** Too few members or too many: which are there to choose from, beside those that must be there anyway. */
function membersWanted(schema: TSchema, value: object): string {
  const { required = [], properties = {}, minProperties: min, maxProperties: max } = schema;
  const choice = Object.keys(properties).filter((it) => !required.includes(it));
  const given = Object.keys(value).filter((it) => !required.includes(it));
  const least = Math.max(0, (min ?? 0) - required.length);
  const most = max === undefined ? undefined : max - required.length;
  const many =
    least === most
      ? `exactly ${counted(least)}`
      : Object.keys(value).length < (min ?? 0)
        ? `at least ${counted(least)}`
        : `at most ${counted(most ?? choice.length)}`;
  const beside = required.length > 0 ? `, beside ${required.join(" and ")},` : "";
  const got = given.length > 0 ? cut(given.join(", ")) : "none of them";
  return `must have${beside} ${many} of ${choice.join(", ")}; got ${got}`;
}

const counted = (count: number) => (count === 1 ? "one" : String(count));

function twice(list: readonly unknown[]): string {
  const seen = new Set<string>();
  for (const it of list) {
    const json = JSON.stringify(it);
    if (seen.has(json)) return typeof it === "string" ? shown(it) : cut(json);
    seen.add(json);
  }
  return "an item";
}

/** What a schema takes, to be put after "must be". */
function wanted(schema: TSchema): string {
  if (typeof schema.error === "string") return schema.error;
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum) return oneOf(schema.enum);
  if (schema.anyOf) return oneOfThese(schema.anyOf);
  switch (schema.type) {
    case "integer":
      return `a whole number${bounds(schema)}`;
    case "number":
      return `a number${bounds(schema)}`;
    case "boolean":
      return "true or false";
    case "null":
      return "null";
    case "string":
      return text(schema);
    case "array":
      return `a list${size(schema.minItems, schema.maxItems, "items")}`;
    case "object":
      return ["an object", ...constants(schema).map(([name, it]) => `${name} ${JSON.stringify(it)}`)].join(
        " with ",
      );
    default:
      return schema.description ?? "as its schema says";
  }
}

/** Without the texts that Elysia takes in place of numbers and booleans in a query. */
function oneOfThese(variants: TSchema[]): string {
  const own = variants.filter((it) => !(it.type === "string" && COERCED.has(it.format)));
  if (own.length > 1 && own.every((it) => it.const !== undefined)) return oneOf(own.map((it) => it.const));
  return [...new Set(own.map((it) => wanted(it)))].join(" or ");
}

const COERCED = new Set<unknown>(["integer", "numeric", "boolean"]);

const oneOf = (values: readonly unknown[]) => `one of ${values.map((it) => JSON.stringify(it)).join(", ")}`;

function text({ pattern, description, examples, minLength, maxLength }: TSchema): string {
  if (pattern === undefined) return `a text${size(minLength, maxLength, "characters")}`;
  if (pattern === NOT_BLANK)
    return `a text that is not blank${maxLength === undefined ? "" : `, of at most ${maxLength} characters`}`;
  const example =
    Array.isArray(examples) && examples.length > 0 ? `as in ${JSON.stringify(examples[0])}` : "";
  if (example && description) return `${example} (${description})`;
  return example || `a text that fits: ${description ?? pattern}`;
}

const NOT_BLANK = "\\S";

function size(min: number | undefined, max: number | undefined, of: string): string {
  if (min === undefined && max === undefined) return "";
  if (max === undefined) return min === 1 ? ", not empty" : ` of at least ${min} ${of}`;
  if (min === max) return ` of ${max} ${of}`;
  return min === undefined ? ` of at most ${max} ${of}` : ` of ${min} to ${max} ${of}`;
}

function cut(path: string): string {
  return path.length > SHOWN_CHARS ? `${path.slice(0, SHOWN_CHARS)}…` : path;
}
