/** Trees of Iceberg fields: numbering them, walking them, checking them, and their name mapping. */
import { LakeError } from "../../shared/errors.ts";
import type { IcebergField, IcebergType } from "./schema.ts";
import { type FieldIds, parseType } from "./types.ts";

/** A field where it stands: `path` joins names by dots; list elements are `element`, maps `key` and `value`. */
export interface PlacedField {
  readonly id: number;
  readonly path: string;
  readonly name: string;
  readonly type: IcebergType;
  readonly required: boolean;
  /** Whether a list or map stands above it, so that a row may hold several. */
  readonly repeated: boolean;
}

/** Every field of a tree, parents before children. */
export function walkFields(fields: readonly IcebergField[], prefix = "", repeated = false): PlacedField[] {
  return fields.flatMap((field) => placed(field, prefix + field.name, repeated));
}

function placed(field: IcebergField, path: string, repeated: boolean): PlacedField[] {
  const { id, name, type, required } = field;
  const here: PlacedField = { id, path, name, type, required, repeated };
  const below = (name: string, id: number, type: IcebergType, required: boolean) =>
    placed({ id, name, type, required }, `${path}.${name}`, true);
  if (typeof type === "string") return [here];
  if (type.type === "struct") return [here, ...walkFields(type.fields, `${path}.`, repeated)];
  if (type.type === "list")
    return [here, ...below("element", type["element-id"], type.element, type["element-required"])];
  return [
    here,
    ...below("key", type["key-id"], type.key, true),
    ...below("value", type["value-id"], type.value, type["value-required"]),
  ];
}

/** Numbers a tree anew in Iceberg's order: a struct's fields first, then what is inside each. */
export function assignIds(fields: readonly IcebergField[], ids: FieldIds): IcebergField[] {
  const numbered = fields.map((field) => ({ ...field, id: ids.next() }));
  return numbered.map((field) => ({ ...field, type: assignTypeIds(field.type, ids) }));
}

export function assignTypeIds(type: IcebergType, ids: FieldIds): IcebergType {
  if (typeof type === "string") return type;
  if (type.type === "struct") return { type: "struct", fields: assignIds(type.fields, ids) };
  if (type.type === "list") {
    const id = ids.next();
    return { ...type, "element-id": id, element: assignTypeIds(type.element, ids) };
  }
  const [key_id, value_id] = [ids.next(), ids.next()];
  const key = assignTypeIds(type.key, ids);
  return { ...type, "key-id": key_id, key, "value-id": value_id, value: assignTypeIds(type.value, ids) };
}

/**
 * Checks a tree given by a caller: names that SQL can tell apart, types Iceberg v2 has, not too many.
 * @returns the tree with its types in Iceberg's spelling
 * @throws LakeError invalid
 */
export function checkFields(fields: readonly IcebergField[], max_columns: number): IcebergField[] {
  const checked = checkStruct(fields, "the table");
  const count = walkFields(checked).length;
  if (count > max_columns)
    throw new LakeError(
      "invalid",
      `The schema has ${count} columns, nested fields included; at most ${max_columns} are allowed.`,
    );
  if (count === 0) throw new LakeError("invalid", "A table needs at least one column.");
  return checked;
}

function checkStruct(fields: readonly IcebergField[], where: string): IcebergField[] {
  const names = new Set<string>();
  return fields.map((field) => {
    const folded = field.name.toLowerCase();
    if (field.name === "" || field.name.length > 255 || field.name.includes("\0"))
      throw new LakeError("invalid", `A column of ${where} needs a name of 1 to 255 characters.`);
    if (names.has(folded))
      throw new LakeError(
        "invalid",
        `Column "${field.name}" stands twice in ${where}; names may not differ by case alone.`,
      );
    names.add(folded);
    return { ...field, type: checkType(field.type, field.name) };
  });
}

export function checkType(type: IcebergType, path: string): IcebergType {
  if (typeof type === "string") {
    const read = parseType(type, path, { next: () => 0 });
    if (typeof read !== "string")
      throw new LakeError(
        "invalid",
        `Column "${path}": nested types are given as objects here, with field ids.`,
      );
    return read;
  }
  const shape = shapeFault(type);
  if (shape !== undefined) throw new LakeError("invalid", `Column "${path}": ${shape}.`);
  if (type.type === "list") return { ...type, element: checkType(type.element, `${path}.element`) };
  if (type.type === "map")
    return {
      ...type,
      key: checkType(type.key, `${path}.key`),
      value: checkType(type.value, `${path}.value`),
    };
  if (type.fields.length === 0)
    throw new LakeError("invalid", `Column "${path}": a struct needs at least one field.`);
  return { type: "struct", fields: checkStruct(type.fields, path) };
}

/** What a nested type lacks, as it comes from outside; undefined where it is whole. */
function shapeFault(type: Exclude<IcebergType, string>): string | undefined {
  const members = type as unknown as Record<string, unknown>;
  const isType = (it: unknown) => typeof it === "string" || (typeof it === "object" && it !== null);
  const isId = (it: unknown) => Number.isInteger(it);
  if (type.type === "list")
    return isId(members["element-id"]) &&
      isType(type.element) &&
      typeof members["element-required"] === "boolean"
      ? undefined
      : "a list needs element-id, element and element-required";
  if (type.type === "map")
    return isId(members["key-id"]) &&
      isId(members["value-id"]) &&
      isType(type.key) &&
      isType(type.value) &&
      typeof members["value-required"] === "boolean"
      ? undefined
      : "a map needs key-id, key, value-id, value and value-required";
  const isField = (it: Partial<IcebergField> | null) =>
    isId(it?.id) && typeof it?.name === "string" && typeof it.required === "boolean" && isType(it.type);
  return type.type === "struct" && Array.isArray(type.fields) && type.fields.every(isField)
    ? undefined
    : "a nested type is a struct with fields, each of id, name, required and type, or a list or a map";
}

/** One entry of `schema.name-mapping.default` (spec, "Column Projection"). */
export interface MappedName {
  "field-id": number;
  names: string[];
  fields?: MappedName[];
}

/** The mapping of a tree by its own names, keeping the older names that `previous` has. */
export function nameMapping(
  fields: readonly IcebergField[],
  previous: readonly MappedName[] = [],
): MappedName[] {
  const older = new Map<number, string[]>();
  collectNames(previous, older);
  return mapStruct(fields, older);
}

function collectNames(mapping: readonly MappedName[], into: Map<number, string[]>): void {
  for (const entry of mapping) {
    into.set(entry["field-id"], entry.names);
    collectNames(entry.fields ?? [], into);
  }
}

function mapStruct(fields: readonly IcebergField[], older: Map<number, string[]>): MappedName[] {
  // A name that a column bears now can't be another's older name.
  const taken = new Set(fields.map((field) => field.name));
  return fields.map((field) => {
    const kept = (older.get(field.id) ?? []).filter((name) => name !== field.name && !taken.has(name));
    return mapped(field.id, [field.name, ...kept], field.type, older);
  });
}

function mapped(id: number, names: string[], type: IcebergType, older: Map<number, string[]>): MappedName {
  if (typeof type === "string") return { "field-id": id, names };
  if (type.type === "struct") return { "field-id": id, names, fields: mapStruct(type.fields, older) };
  if (type.type === "list")
    return {
      "field-id": id,
      names,
      fields: [mapped(type["element-id"], ["element"], type.element, older)],
    };
  return {
    "field-id": id,
    names,
    fields: [
      mapped(type["key-id"], ["key"], type.key, older),
      mapped(type["value-id"], ["value"], type.value, older),
    ],
  };
}
