/** Commits: new snapshots of a table, and new tables with their first one. */
import { randomUUID } from "node:crypto";
import { LakeError } from "../../shared/errors.ts";
import { type FileTarget, type ParquetObject, toDataFile } from "./datafile.ts";
import { evolve } from "./evolve.ts";
import { assignIds, checkFields, walkFields } from "./fields.ts";
import { CONTENT, encodeManifestList, type ManifestEntry, manifestFile } from "./manifest.ts";
import {
  currentSchema,
  currentSnapshot,
  mappingOf,
  NAME_MAPPING,
  newMetadata,
  type Snapshot,
  type TableMetadata,
  timeOfChange,
  withFields,
  withSnapshot,
} from "./metadata.ts";
import { parseName } from "./names.ts";
import type { Commit, CommitResult, CreateTable, SchemaChange, TableState } from "./schema.ts";
import { ManifestRewriter, summarize, tableTotals, totalsOf, writeAdded } from "./snapshot.ts";
import type { CommitKey, Pointer, RegisteredObject } from "./store.ts";
import { stateOf, type Table, type Tables } from "./tables.ts";
import { fieldIdsAfter } from "./types.ts";
import { BUCKET_LOCATION, keyOf, locationOf } from "./warehouse.ts";

const NO_FILES = { files: 0, records: 0n, bytes: 0n };
/** Footers read at a time. */
const FOOTERS_AT_ONCE = 8;

export interface CommitLimits {
  readonly max_columns: number;
  readonly max_commit_files: number;
}

/** The manifest of a commit's new files, which outlives a lost race. */
interface Added {
  key: string;
  length: number;
  schema_id: number;
  entries: ManifestEntry[];
}

export class Committer {
  readonly #tables: Tables;
  readonly #limits: CommitLimits;

  constructor(tables: Tables, limits: CommitLimits) {
    this.#tables = tables;
    this.#limits = limits;
  }

  async create(name: string, table: CreateTable): Promise<TableState> {
    const { metadata, folder } = this.#begin(name, {
      ...table,
      fields: assignIds(table.fields, fieldIdsAfter(0)),
    });
    return stateOf(await this.#insert(name, folder, metadata, []));
  }

  async commit(name: string, commit: Commit): Promise<CommitResult> {
    checkCommit(commit, this.#limits);
    const { full } = parseName(name);
    if (commit.idempotency_key !== undefined && this.#tables.store.find(full)) {
      const repeated = await this.committed(full, commit.idempotency_key);
      if (repeated) return repeated;
    }
    return commit.create ? this.#commitFirst(full, commit, commit.create) : this.#commitNext(full, commit);
  }

  async committed(name: string, idempotency_key: string): Promise<CommitResult | null> {
    const table = await this.#tables.find(name);
    const found = this.#tables.store.committed(table.pointer.uuid, idempotency_key);
    return found ? repeatOf(table, found) : null;
  }

  /** A new table and its first snapshot at once. Also takes what was registered, to be remembered. */
  async #commitFirst(
    name: string,
    commit: Commit,
    create: NonNullable<Commit["create"]>,
  ): Promise<CommitResult> {
    const { metadata, folder } = this.#begin(name, create);
    const objects = await this.footers(folder, commit);
    return this.insertWith(name, folder, metadata, objects, commit, []);
  }

  /** Writes a new table with its first snapshot of these files. */
  async insertWith(
    name: string,
    folder: string,
    metadata: TableMetadata,
    objects: readonly ParquetObject[],
    commit: Commit,
    registered: readonly RegisteredObject[],
  ): Promise<CommitResult> {
    const snapshot_id = newSnapshotId();
    const change = await this.#snapshot(folder, metadata, snapshot_id, objects, commit);
    const key = keyFor(commit, change.snapshot);
    const written = [...change.written, ...(change.added ? [change.added.key] : [])];
    const table = await this.#insert(name, folder, change.next, written, key, registered).catch(
      async (error) => {
        const taken = error instanceof LakeError && error.code === "conflict" && key;
        const repeated = taken && (await this.committed(name, key.key));
        if (!repeated) throw error;
        return repeated;
      },
    );
    if ("repeated" in table) return table;
    return resultOf(table, change.snapshot);
  }

  async #commitNext(name: string, commit: Commit): Promise<CommitResult> {
    const { pointer } = await this.#tables.find(name);
    const objects = await this.footers(pointer.folder, commit);
    const snapshot_id = newSnapshotId();
    let added: Added | undefined;
    const { table, result } = await this.#tables
      .change<CommitResult | Snapshot>(name, async (table) => {
        if (table.pointer.uuid !== pointer.uuid)
          throw new LakeError("conflict", `Table "${name}" was dropped and made anew; describe it again.`);
        const key = commit.idempotency_key;
        const made = key === undefined ? undefined : this.#tables.store.committed(pointer.uuid, key);
        if (made) return { next: undefined, result: repeatOf(table, made) };
        checkBase(table, commit);
        const metadata = prepared(table.metadata, commit, this.#limits);
        const change = await this.#snapshot(pointer.folder, metadata, snapshot_id, objects, commit, added);
        added = change.added;
        const commit_key = keyFor(commit, change.snapshot);
        return { next: change.next, result: change.snapshot, written: change.written, commit_key };
      })
      .catch(async (error) => {
        if (added) await this.#tables.discard([added.key]);
        throw error;
      });
    if (!("repeated" in result)) return resultOf(table, result);
    if (added) await this.#tables.discard([added.key]);
    return result;
  }

  /** Writes one attempt's manifests and manifest list, and makes the metadata that names them. */
  async #snapshot(
    folder: string,
    metadata: TableMetadata,
    snapshot_id: bigint,
    objects: readonly ParquetObject[],
    commit: Commit,
    before?: Added,
  ): Promise<{ next: TableMetadata; snapshot: Snapshot; written: string[]; added: Added | undefined }> {
    const { warehouse } = this.#tables;
    const parent = currentSnapshot(metadata);
    const sequence_number = metadata["last-sequence-number"] + 1;
    const added = await this.#added(folder, metadata, snapshot_id, objects, before);
    const rewriter = new ManifestRewriter(warehouse, folder, metadata, { id: snapshot_id, sequence_number });
    const present = parent ? await warehouse.manifestList(parent["manifest-list"]) : [];
    const remove = commit.remove === "all" ? "all" : new Set(commit.remove.map(locationOf));
    try {
      const kept =
        remove === "all" || remove.size > 0
          ? await rewriter.without(present, remove)
          : { manifests: present, removed: NO_FILES, removed_deletes: NO_FILES };
      await refuseDoubles(warehouse, kept.manifests, added);
      const header = {
        spec_id: metadata["default-spec-id"],
        content: CONTENT.data,
        snapshot_id,
        sequence_number,
        partitioned: false,
      };
      const newest = added ? [manifestFile(locationOf(added.key), added.length, header, added.entries)] : [];
      const manifests = [...newest, ...(await rewriter.merged(kept.manifests))];
      const parent_id = parent?.["snapshot-id"] ?? null;
      const list_key = `${folder}/metadata/snap-${snapshot_id}-1-${randomUUID()}.avro`;
      await warehouse.write(
        list_key,
        encodeManifestList({ snapshot_id, parent_id, sequence_number }, manifests),
      );
      rewriter.written.push(list_key);
      const totals = added ? totalsOf(added.entries.map((it) => it.data_file)) : NO_FILES;
      const before_totals = await tableTotals(warehouse, parent);
      const snapshot: Snapshot = {
        "snapshot-id": snapshot_id,
        ...(parent_id === null ? {} : { "parent-snapshot-id": parent_id }),
        "sequence-number": sequence_number,
        "timestamp-ms": timeOfChange(metadata, this.#tables.now_ms()),
        "manifest-list": locationOf(list_key),
        summary: {
          ...commit.summary,
          ...summarize(commit.operation, before_totals, totals, kept.removed, kept.removed_deletes),
        },
        "schema-id": metadata["current-schema-id"],
      };
      return { next: withSnapshot(metadata, snapshot), snapshot, written: rewriter.written, added };
    } catch (error) {
      await this.#tables.discard(rewriter.written);
      throw error;
    }
  }

  /** The manifest of the new files, written once for as long as the schema stays the same. */
  async #added(
    folder: string,
    metadata: TableMetadata,
    snapshot_id: bigint,
    objects: readonly ParquetObject[],
    before: Added | undefined,
  ): Promise<Added | undefined> {
    const schema_id = metadata["current-schema-id"];
    if (objects.length === 0 || before?.schema_id === schema_id) return before;
    const target = targetOf(metadata);
    const files = objects.map((it) => toDataFile(it, locationOf(it.key), target));
    if (before) await this.#tables.discard([before.key]);
    return { ...(await writeAdded(this.#tables.warehouse, folder, metadata, snapshot_id, files)), schema_id };
  }

  /** The footers of a commit's new files, which must lie in the table's own folder. */
  async footers(folder: string, commit: Commit): Promise<ParquetObject[]> {
    const keys = commit.add.map(({ key }) => key);
    for (const key of keys)
      if (!key.startsWith(`${folder}/`))
        throw new LakeError(
          "invalid",
          `Object "${key}" can't be added: a table's files lie under ${folder}/.`,
        );
    const objects: ParquetObject[] = [];
    for (let at = 0; at < keys.length; at += FOOTERS_AT_ONCE) {
      const some = keys.slice(at, at + FOOTERS_AT_ONCE);
      objects.push(...(await Promise.all(some.map((key) => this.#tables.warehouse.parquet(key)))));
    }
    return objects;
  }

  /** A new table's metadata and folder. Field ids are kept as they are given. */
  #begin(name: string, table: NonNullable<Commit["create"]>): { metadata: TableMetadata; folder: string } {
    return beginTable(name, table, this.#limits.max_columns, this.#tables.now_ms());
  }

  async #insert(
    name: string,
    folder: string,
    metadata: TableMetadata,
    written: readonly string[],
    commit_key?: CommitKey,
    registered: readonly RegisteredObject[] = [],
  ): Promise<Table> {
    const { full } = parseName(name);
    const metadata_key = await this.#tables.warehouse.writeMetadata(folder, 0, metadata);
    const pointer: Pointer = { name: full, uuid: metadata["table-uuid"], folder, metadata_key };
    if (this.#tables.store.insert(pointer, commit_key, registered)) return { pointer, metadata };
    await this.#tables.discard([metadata_key, ...written]);
    throw nameTaken(full, this.#tables.store.find(full)?.name);
  }
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

function checkCommit(commit: Commit, limits: CommitLimits): void {
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
function checkBase({ metadata }: Table, commit: Commit): void {
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
function prepared(metadata: TableMetadata, commit: Commit, limits: CommitLimits): TableMetadata {
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

async function refuseDoubles(
  warehouse: Tables["warehouse"],
  manifests: readonly { content: number }[],
  added: Added | undefined,
): Promise<void> {
  if (!added) return;
  const adding = new Set(added.entries.map((it) => it.data_file.file_path));
  for (const manifest of manifests as Parameters<typeof warehouse.manifest>[0][]) {
    if (manifest.content !== CONTENT.data) continue;
    for (const { data_file, status } of (await warehouse.manifest(manifest)).entries)
      if (status !== 2 && adding.has(data_file.file_path))
        throw new LakeError("invalid", `Object "${keyOf(data_file.file_path)}" is in the table already.`);
  }
}

function newSnapshotId(): bigint {
  const [random = 0n] = crypto.getRandomValues(new BigUint64Array(1));
  return random >> 1n || 1n;
}

function keyFor(commit: Commit, snapshot: Snapshot): CommitKey | undefined {
  return commit.idempotency_key === undefined
    ? undefined
    : {
        key: commit.idempotency_key,
        snapshot_id: snapshot["snapshot-id"].toString(),
        summary: snapshot.summary,
      };
}

function resultOf(table: Table, snapshot: Snapshot): CommitResult {
  return {
    name: table.pointer.name,
    snapshot_id: snapshot["snapshot-id"].toString(),
    repeated: false,
    table: stateOf(table),
    summary: snapshot.summary,
  };
}

function repeatOf(table: Table, made: CommitKey): CommitResult {
  return {
    name: table.pointer.name,
    snapshot_id: made.snapshot_id,
    repeated: true,
    table: stateOf(table),
    summary: { ...made.summary },
  };
}
