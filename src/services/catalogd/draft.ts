/** What a commit asks for, judged and drafted before anything is written. */
import { randomUUID } from "node:crypto";
import { LakeError } from "../../shared/errors.ts";
import type { FileTarget } from "./datafile.ts";
import { evolve } from "./evolve.ts";
import { checkFields, walkFields } from "./fields.ts";
import {
  currentSchema,
  mappingOf,
  NAME_MAPPING,
  newMetadata,
  type TableMetadata,
  withFields,
} from "./metadata.ts";
import { parseName } from "./names.ts";
import type { Commit, SchemaChange } from "./schema.ts";
import type { Table } from "./tables.ts";
import { fieldIdsAfter } from "./types.ts";
import { BUCKET_LOCATION, keyOf } from "./warehouse.ts";

export interface CommitLimits {
  readonly max_columns: number;
  readonly max_commit_files: number;
}

/** The error for a name that another table has, in whatever case. */
export function nameTaken(name: string, taken_by = name): LakeError {
  const same = taken_by === name ? "" : ` as "${taken_by}"; names may not differ by case alone`;
  return new LakeError("conflict", `The table "${name}" is there already${same}.`, { name: taken_by });
}

/** The metadata of a table that isn't there yet, and the folder it will lie in. */
export function beginTable(
  name: string,
  table: NonNullable<Commit["create"]>,
  max_columns: number,
  now_ms: number,
): { metadata: TableMetadata; folder: string } {
  const { namespace, table: short_name, full } = parseName(name);
  const fields = checkFields(table.fields, max_columns);
  checkIds(walkFields(fields).map(({ id }) => id));
  const prefix = `${BUCKET_LOCATION}warehouse/${namespace}/${short_name}-`;
  const location = table.location ?? prefix + randomUUID().slice(0, 8);
  const short_uuid = location.slice(prefix.length);
  if (!location.startsWith(prefix) || !/^[0-9a-f]{8}$/.test(short_uuid))
    throw new LakeError(
      "invalid",
      `The location of "${full}" must be ${prefix} and eight hexadecimal digits (got "${location}").`,
    );
  const identifiers = table.identifier_field_ids ?? [];
  for (const id of identifiers)
    if (!fields.some((field) => field.id === id && field.required && typeof field.type === "string"))
      throw new LakeError("invalid", `Identifier field ${id} must be a required column of a plain type.`);
  const uuid = short_uuid + randomUUID().slice(8);
  const properties = table.properties ?? {};
  const metadata = newMetadata(
    { uuid, location, fields, identifier_field_ids: identifiers, properties },
    now_ms,
  );
  return { metadata, folder: keyOf(location) };
}

function checkIds(ids: readonly number[]): void {
  if (new Set(ids).size !== ids.length || ids.some((id) => !Number.isInteger(id) || id < 1 || id > 2 ** 30))
    throw new LakeError("invalid", "Field ids must be distinct whole numbers from 1 on.");
}

/** @throws LakeError invalid where the commit contradicts itself */
export function checkCommit(commit: Commit, limits: CommitLimits): void {
  const { operation, add, remove } = commit;
  const removes = remove === "all" || remove.length > 0;
  const refuse = (why: string) => {
    throw new LakeError("invalid", `The commit can't be made: ${why}.`);
  };
  if (operation === "append" && removes) refuse("an append removes no files");
  if (operation === "delete" && add.length > 0) refuse("a delete adds no files");
  if (commit.create && (removes || commit.schema_changes?.length))
    refuse("a new table has nothing to remove or change");
  const count = add.length + (remove === "all" ? 0 : remove.length);
  if (count > limits.max_commit_files)
    refuse(`it names ${count} files, and at most ${limits.max_commit_files} are taken at once`);
  if (new Set(add.map(({ key }) => key)).size < add.length) refuse("a file to be added is named twice");
  if (commit.idempotency_key === "") refuse("its idempotency key is empty");
}

/** @throws LakeError conflict where the table moved on since the commit was planned */
export function checkBase({ metadata }: Table, commit: Commit): void {
  const present = metadata["current-snapshot-id"]?.toString() ?? null;
  const { base_snapshot_id, base_schema_id, operation } = commit;
  if (operation !== "append" && base_snapshot_id !== undefined && base_snapshot_id !== present)
    throw new LakeError(
      "conflict",
      `The table moved on from snapshot ${base_snapshot_id} to ${present} since this was planned; plan it again.`,
      { base_snapshot_id, snapshot_id: present },
    );
  if (base_schema_id !== undefined && base_schema_id !== metadata["current-schema-id"])
    throw new LakeError(
      "conflict",
      `The table's schema is ${metadata["current-schema-id"]} by now, not ${base_schema_id}; describe it and write the files again.`,
      { base_schema_id, schema_id: metadata["current-schema-id"] },
    );
}

/** The table's metadata with a commit's changes of schema and properties. */
export function prepared(metadata: TableMetadata, commit: Commit, limits: CommitLimits): TableMetadata {
  const changed = commit.schema_changes?.length
    ? evolved(metadata, commit.schema_changes, limits.max_columns)
    : metadata;
  return commit.properties ? withProperties(changed, commit.properties) : changed;
}

function withProperties(metadata: TableMetadata, properties: Record<string, string>): TableMetadata {
  if (properties[NAME_MAPPING] !== undefined)
    throw new LakeError("invalid", `The property ${NAME_MAPPING} follows the schema and can't be set.`);
  return { ...metadata, properties: { ...metadata.properties, ...properties } };
}

/** The metadata after changes of its schema. @throws LakeError invalid, conflict */
export function evolved(
  metadata: TableMetadata,
  changes: readonly SchemaChange[],
  max_columns: number,
): TableMetadata {
  const { fields, "identifier-field-ids": identifiers = [] } = currentSchema(metadata);
  const ids = fieldIdsAfter(metadata["last-column-id"]);
  const changed = evolve(fields, identifiers, changes, ids);
  const count = walkFields(changed).length;
  if (count > max_columns)
    throw new LakeError(
      "invalid",
      `The schema would have ${count} columns, nested fields included; at most ${max_columns} are allowed.`,
    );
  // What was added and dropped again has used up its ids all the same.
  return { ...withFields(metadata, changed), "last-column-id": ids.next() - 1 };
}

export function targetOf(metadata: TableMetadata): FileTarget {
  const names_by_id = new Map<number, Set<string>>();
  for (const { fields } of metadata.schemas)
    for (const { id, name } of walkFields(fields)) {
      const names = names_by_id.get(id) ?? new Set<string>();
      names_by_id.set(id, names.add(name));
    }
  return { fields: currentSchema(metadata).fields, mapping: mappingOf(metadata), names_by_id };
}
