/** Schema evolution (table spec v2): each change leaves every file already written readable. */
import { LakeError } from "../../shared/errors.ts";
import { assignTypeIds, checkType, walkFields } from "./fields.ts";
import { nearestWord } from "./names.ts";
import type { IcebergField, IcebergType, SchemaChange } from "./schema.ts";
import { type FieldIds, formatType, parseType, promotes } from "./types.ts";

/** @throws LakeError invalid, conflict, naming the change that can't be made and why */
export function evolve(
  fields: readonly IcebergField[],
  identifier_field_ids: readonly number[],
  changes: readonly SchemaChange[],
  ids: FieldIds,
): IcebergField[] {
  let evolved = [...fields];
  for (const change of changes) evolved = applyChange(evolved, identifier_field_ids, change, ids);
  return evolved;
}

function applyChange(
  fields: IcebergField[],
  identifiers: readonly number[],
  change: SchemaChange,
  ids: FieldIds,
): IcebergField[] {
  switch (change.change) {
    case "add":
      return addField(fields, change, ids);
    case "widen":
      return edit(fields, change.path, (field) => ({ ...field, type: widened(field, change) }));
    case "rename":
      return rename(fields, change.path, change.to);
    case "drop":
      return drop(fields, identifiers, change.path);
    case "make_optional":
      return edit(fields, change.path, (field) => {
        if (identifiers.includes(field.id))
          throw new LakeError(
            "conflict",
            `Column "${change.path}" identifies rows, so it must stay required.`,
          );
        return { ...field, required: false };
      });
  }
}

function addField(
  fields: IcebergField[],
  change: Extract<SchemaChange, { change: "add" }>,
  ids: FieldIds,
): IcebergField[] {
  const { field, parent } = change;
  const insert = (siblings: readonly IcebergField[]): IcebergField[] => {
    refuseTaken(siblings, field.name, parent);
    const id = ids.next();
    const type = assignTypeIds(checkType(field.type, field.name), ids);
    const doc = field.doc === undefined ? {} : { doc: field.doc };
    return [...siblings, { id, name: field.name, required: false, type, ...doc }];
  };
  if (field.name === "" || field.name.length > 255 || field.name.includes("\0"))
    throw new LakeError("invalid", "A column to be added needs a name of 1 to 255 characters.");
  if (parent === undefined) return insert(fields);
  return edit(fields, parent, (above) => {
    if (typeof above.type === "string" || above.type.type !== "struct")
      throw new LakeError(
        "invalid",
        `"${parent}" is ${formatType(above.type)}; only a struct takes new fields.`,
      );
    return { ...above, type: { type: "struct", fields: insert(above.type.fields) } };
  });
}

function widened(field: IcebergField, change: Extract<SchemaChange, { change: "widen" }>): IcebergType {
  const to = parseType(change.type, change.path, { next: () => 0 });
  if (!promotes(field.type, to))
    throw new LakeError(
      "conflict",
      `Column "${change.path}" is ${formatType(field.type)} and can't become ${formatType(to)}; what can be widened is int to long, float to double, and a decimal's precision.`,
    );
  return to;
}

function rename(fields: IcebergField[], path: string, to: string): IcebergField[] {
  if (to === "" || to.length > 255 || to.includes("\0"))
    throw new LakeError("invalid", `The new name of "${path}" must have 1 to 255 characters.`);
  return editSiblings(fields, path, (siblings, at) => {
    refuseTaken(siblings.toSpliced(at, 1), to, undefined);
    return siblings.with(at, { ...(siblings[at] as IcebergField), name: to });
  });
}

function drop(fields: IcebergField[], identifiers: readonly number[], path: string): IcebergField[] {
  return editSiblings(fields, path, (siblings, at) => {
    const field = siblings[at] as IcebergField;
    if (walkFields([field]).some(({ id }) => identifiers.includes(id)))
      throw new LakeError("conflict", `Column "${path}" identifies rows, so it can't be dropped.`);
    if (siblings.length === 1)
      throw new LakeError("conflict", `"${path}" is the last of its fields, so it can't be dropped.`);
    return siblings.toSpliced(at, 1);
  });
}

function refuseTaken(siblings: readonly IcebergField[], name: string, parent: string | undefined): void {
  if (siblings.some((it) => it.name.toLowerCase() === name.toLowerCase()))
    throw new LakeError(
      "conflict",
      `There is a column "${parent === undefined ? "" : `${parent}.`}${name}" already; names may not differ by case alone.`,
    );
}

/** Replaces the field at a path, be it a struct's field, a list's element or a map's value. */
function edit(
  fields: IcebergField[],
  path: string,
  change: (field: IcebergField) => IcebergField,
): IcebergField[] {
  const target = walkFields(fields).find((it) => it.path === path);
  if (!target) throw unknownColumn(fields, path);
  const visit = (field: IcebergField): IcebergField =>
    field.id === target.id ? change(field) : { ...field, type: visitType(field.type, visit) };
  return fields.map(visit);
}

function visitType(type: IcebergType, visit: (field: IcebergField) => IcebergField): IcebergType {
  if (typeof type === "string") return type;
  if (type.type === "struct") return { type: "struct", fields: type.fields.map(visit) };
  if (type.type === "list") {
    const element = visit({
      id: type["element-id"],
      name: "element",
      required: type["element-required"],
      type: type.element,
    });
    return { ...type, element: element.type, "element-required": element.required };
  }
  const key = visit({ id: type["key-id"], name: "key", required: true, type: type.key });
  if (!key.required || formatType(key.type) !== formatType(type.key))
    throw new LakeError("conflict", "A map's key can't be changed.");
  const value = visit({
    id: type["value-id"],
    name: "value",
    required: type["value-required"],
    type: type.value,
  });
  return { ...type, value: value.type, "value-required": value.required };
}

/** Changes the list of fields that the one at a path stands in. */
function editSiblings(
  fields: IcebergField[],
  path: string,
  change: (siblings: readonly IcebergField[], at: number) => IcebergField[],
): IcebergField[] {
  const target = walkFields(fields).find((it) => it.path === path);
  if (!target) throw unknownColumn(fields, path);
  let found = false;
  const within = (siblings: readonly IcebergField[]): IcebergField[] => {
    const at = siblings.findIndex((it) => it.id === target.id);
    if (at >= 0) {
      found = true;
      return change(siblings, at);
    }
    return siblings.map((it) => ({ ...it, type: inType(it.type) }));
  };
  const inType = (type: IcebergType): IcebergType => {
    if (typeof type === "string") return type;
    if (type.type === "struct") return { type: "struct", fields: within(type.fields) };
    if (type.type === "list") return { ...type, element: inType(type.element) };
    return { ...type, key: inType(type.key), value: inType(type.value) };
  };
  const changed = within(fields);
  if (!found)
    throw new LakeError(
      "invalid",
      `"${path}" is a list's element or a map's part: it has no name of its own.`,
    );
  return changed;
}

function unknownColumn(fields: readonly IcebergField[], path: string): LakeError {
  const near = nearestWord(
    path,
    walkFields(fields).map((it) => it.path),
  );
  return new LakeError(
    "invalid",
    `There is no column "${path}"${near === undefined ? "" : `; did you mean "${near}"?`}`,
  );
}
