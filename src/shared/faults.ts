/** What a schema refuses, in a person's words: which member, what it must be, and what came instead. */
import { ValueErrorType } from "@sinclair/typebox/errors";
import type { TSchema } from "elysia";
import type { Fault } from "./errors.ts";
import { bounds, suggest } from "./wording.ts";

const MAX_FAULTS = 50;
/** A body may be megabytes long; of a value, a name or a path so much is said. */
const SHOWN_CHARS = 100;

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
  readonly all?: readonly Refused[];
  readonly type?: string;
  readonly value?: unknown;
}

/** The faults of a request, each member named once, with messages that go on from its name. */
export function faultsOf(error: unknown, url: string): Fault[] {
  const { all = [], type = "body", value } = error as Refusal;
  const base = type === "property" ? parameterOf(value, url) : type === "body" ? "" : type;
  const faults = new Map<string, Fault>();
  for (const refused of all.flatMap((it) => innermost(it))) {
    if (faults.size >= MAX_FAULTS) break;
    const path = cut(base + (refused.path ?? ""));
    // A member that is missing is also not of its type: the first fault says it all.
    if (!faults.has(path)) faults.set(path, { path, message: messageFor(refused) });
  }
  return [...faults.values()];
}

/** What `Errors(value).First()` tells, as the end of a sentence. */
export function sentenceOf(refused: Refused): string {
  const [first = refused] = innermost(refused);
  return sentence({ path: cut(first.path ?? ""), message: messageFor(first) });
}

/** The first fault as the end of a sentence: `query/limit must be …`, `sql is required`. */
export function sentence({ path, message }: Fault): string {
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

function messageFor({ type, path = "", schema = {} as TSchema, value }: Refused): string {
  if (type === ValueErrorType.ObjectRequiredProperty) return "is required";
  if (type === ValueErrorType.ObjectAdditionalProperties) {
    const name = path
      .slice(path.lastIndexOf("/") + 1)
      .replaceAll("~1", "/")
      .replaceAll("~0", "~");
    return `is not known${suggest(name.slice(0, SHOWN_CHARS), Object.keys(schema.properties ?? {}))}`;
  }
  return `must be ${wanted(schema)}; got ${shown(value)}`;
}

/** What a schema takes, to be put after "must be". */
function wanted(schema: TSchema): string {
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

function text({ pattern, error, description, examples, minLength, maxLength }: TSchema): string {
  if (typeof error === "string") return error;
  if (pattern === undefined) return `a text${size(minLength, maxLength, "characters")}`;
  const example =
    Array.isArray(examples) && examples.length > 0 ? `as in ${JSON.stringify(examples[0])}` : "";
  if (example && description) return `${example} (${description})`;
  return example || `a text that fits: ${description ?? pattern}`;
}

function size(min: number | undefined, max: number | undefined, of: string): string {
  if (min === undefined && max === undefined) return "";
  if (max === undefined) return min === 1 ? ", not empty" : ` of at least ${min} ${of}`;
  if (min === max) return ` of ${max} ${of}`;
  return min === undefined ? ` of at most ${max} ${of}` : ` of ${min} to ${max} ${of}`;
}

function shown(value: unknown): string {
  if (value === undefined) return "nothing";
  if (typeof value === "string") {
    const end = value.length > SHOWN_CHARS ? `… (${value.length} characters)` : "";
    return JSON.stringify(value.slice(0, SHOWN_CHARS)) + end;
  }
  if (Array.isArray(value)) return `a list of ${value.length}`;
  return typeof value === "object" && value !== null ? "an object" : String(value);
}

function cut(path: string): string {
  return path.length > SHOWN_CHARS ? `${path.slice(0, SHOWN_CHARS)}…` : path;
}
