/** The shape of JSON values, gathered over a whole file: scalars by their kind, lists and structs by their parts. */
import { LakeError } from "../../shared/errors.ts";
import type { IcebergField, IcebergType } from "../catalogd/schema.ts";
import { UNKNOWN } from "./decide.ts";
import { type JsonObject, type JsonValue, RawNumber } from "./json.ts";
import { type Digits, DOUBLE_DIGITS, Kinds } from "./kinds.ts";

/** How many shapes, nested ones included, one file may have. */
export class ShapeBudget {
  #left: number;

  constructor(readonly max_columns: number) {
    this.#left = max_columns;
  }

  /** @throws LakeError invalid */
  take(): void {
    if (this.#left-- <= 0)
      throw new LakeError(
        "invalid",
        `The records have more than ${this.max_columns} different members, nested ones included. Where members are really values (a map by id, say), turn them into a list of {key, value} objects first.`,
      );
  }
}

const MAX_DEPTH = 32;

export class Shape {
  readonly #kinds = new Kinds();
  readonly #budget: ShapeBudget;
  readonly #depth: number;
  #fields: Map<string, Shape> | undefined;
  #element: Shape | undefined;

  constructor(budget: ShapeBudget, depth = 0) {
    budget.take();
    this.#budget = budget;
    this.#depth = depth;
  }

  add(value: JsonValue): void {
    if (value === null) return;
    if (typeof value === "string") this.#kinds.addString(value);
    else if (typeof value === "number") this.#kinds.addNumber(String(value));
    else if (typeof value === "boolean") this.#kinds.addBoolean();
    else if (value instanceof RawNumber) this.#kinds.addNumber(value.raw);
    else this.#addNested(value);
  }

  #addNested(value: JsonValue[] | JsonObject): void {
    if (this.#depth >= MAX_DEPTH) {
      this.#kinds.addText();
      return;
    }
    if (Array.isArray(value)) {
      this.#element ??= new Shape(this.#budget, this.#depth + 1);
      for (const it of value) this.#element.add(it);
      return;
    }
    this.#fields ??= new Map();
    for (const name in value) {
      let field = this.#fields.get(name);
      if (field === undefined) {
        field = new Shape(this.#budget, this.#depth + 1);
        this.#fields.set(name, field);
      }
      field.add(value[name] as JsonValue);
    }
  }

  /** Digits of the numbers, where all are plain ones. */
  digits(): Digits | undefined {
    return this.#fields || this.#element ? undefined : this.#kinds.digits();
  }

  /** The type that holds every value; what has no type in common is text (nested parts as JSON). */
  type(): IcebergType {
    if (this.#element && !this.#fields && this.#kinds.empty)
      return { type: "list", "element-id": 0, element: this.#element.type(), "element-required": false };
    if (this.#fields && !this.#element && this.#kinds.empty && isStruct(this.#fields)) {
      const fields: IcebergField[] = [];
      for (const [name, shape] of this.#fields)
        fields.push({ id: 0, name, required: false, type: shape.type() });
      return { type: "struct", fields };
    }
    if (this.#fields || this.#element) return "string";
    return this.#kinds.empty ? UNKNOWN : this.#kinds.type();
  }
}

/** Whether the names can be a struct's: some, and different without regard to case. */
function isStruct(fields: ReadonlyMap<string, Shape>): boolean {
  const folded = new Set([...fields.keys()].map((it) => it.toLowerCase()));
  const named = ![...fields.keys()].some((it) => it === "" || it.length > 255 || it.includes("\0"));
  return folded.size > 0 && folded.size === fields.size && named;
}

/** A value as the text that its column's type is read from: scalars bare, nested ones as JSON. */
export function textOf(value: JsonValue, type: IcebergType): string | null {
  if (value === null) return null;
  if (typeof value === "string") return value;
  if (value instanceof RawNumber) return value.raw;
  if (typeof value !== "object") return String(value);
  return JSON.stringify(typeof type === "string" ? verbatim(value) : shaped(value, type));
}

interface RawJson {
  rawJSON(text: string): unknown;
}

function rawNumber(raw: string): unknown {
  return (JSON as unknown as RawJson).rawJSON(raw);
}

/** JSON again with every number as it was written. */
function verbatim(value: JsonValue): unknown {
  if (value === null || typeof value !== "object") return value;
  if (value instanceof RawNumber) return rawNumber(value.raw);
  if (Array.isArray(value)) return value.map(verbatim);
  return Object.fromEntries(Object.entries(value).map(([name, it]) => [name, verbatim(it)]));
}

/**
 * A value as DuckDB casts it to its type: every member there, what has become text as text, and a number
 * with more digits than a double keeps as a string, which is read exactly.
 */
function shaped(value: JsonValue, type: IcebergType): unknown {
  if (value === null) return null;
  if (typeof type !== "string" && typeof value === "object") {
    if (type.type === "list" && Array.isArray(value)) return value.map((it) => shaped(it, type.element));
    const members = value as JsonObject;
    if (type.type === "struct")
      return Object.fromEntries(
        type.fields.map((it) => [
          it.name,
          Object.hasOwn(members, it.name) ? shaped(members[it.name] as JsonValue, it.type) : null,
        ]),
      );
  }
  if (type === "string") return textOf(value, type);
  if (value instanceof RawNumber) return value.raw.length <= DOUBLE_DIGITS ? rawNumber(value.raw) : value.raw;
  return value;
}
