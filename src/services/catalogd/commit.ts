/** Commits: new snapshots of a table, and new tables with their first one. */
import { randomUUID } from "node:crypto";
import { LakeError } from "../../shared/errors.ts";
import { type ParquetObject, toDataFile } from "./datafile.ts";
import {
  beginTable,
  type CommitLimits,
  checkBase,
  checkCommit,
  nameTaken,
  prepared,
  targetOf,
} from "./draft.ts";
import { assignIds } from "./fields.ts";
import {
  CONTENT,
  encodeManifestList,
  type ManifestEntry,
  type ManifestFile,
  manifestFile,
  STATUS,
} from "./manifest.ts";
import {
  currentSnapshot,
  type Snapshot,
  type TableMetadata,
  timeOfChange,
  withSnapshot,
} from "./metadata.ts";
import { parseName } from "./names.ts";
import type { Commit, CommitResult, CreateTable, TableState } from "./schema.ts";
import { ManifestRewriter, summarize, tableTotals, totalsOf, writeAdded } from "./snapshot.ts";
import type { CommitKey, Pointer, RegisteredObject } from "./store.ts";
import { stateOf, type Table, type Tables } from "./tables.ts";
import { fieldIdsAfter } from "./types.ts";
import { keyOf, locationOf, type Warehouse } from "./warehouse.ts";

const NO_FILES = { files: 0, records: 0n, bytes: 0n };
/** Footers read at a time. */
const FOOTERS_AT_ONCE = 8;

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

/** @throws LakeError invalid where a file to be added is in the table already */
async function refuseDoubles(
  warehouse: Warehouse,
  manifests: readonly ManifestFile[],
  added: Added | undefined,
): Promise<void> {
  if (!added) return;
  const adding = new Set(added.entries.map((it) => it.data_file.file_path));
  for (const manifest of manifests) {
    if (manifest.content !== CONTENT.data) continue;
    for (const { data_file, status } of (await warehouse.manifest(manifest)).entries)
      if (status !== STATUS.deleted && adding.has(data_file.file_path))
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
