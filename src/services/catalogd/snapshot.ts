/** A new snapshot's manifests and summary (table spec, "Snapshots"; keys as Iceberg's own writers give them). */
import { randomUUID } from "node:crypto";
import { LakeError } from "../../shared/errors.ts";
import {
  CONTENT,
  type DataFile,
  encodeManifest,
  type ManifestEntry,
  type ManifestFile,
  manifestFile,
  STATUS,
} from "./manifest.ts";
import { currentSchema, type Snapshot, type TableMetadata } from "./metadata.ts";
import { keyOf, locationOf, type Warehouse } from "./warehouse.ts";

/** Iceberg's own default, overridden by the table property of this name. */
const MERGE_PROPERTY = "commit.manifest.min-count-to-merge";
const MERGE_COUNT = 100;
/** Larger manifests are left as they are (`commit.manifest.target-size-bytes`). */
const MERGED_MAX_BYTES = 8n * 1024n * 1024n;

export interface FileTotals {
  files: number;
  records: bigint;
  bytes: bigint;
}

/** What becomes of the manifests in one attempt at a commit. */
export interface NewManifests {
  manifests: ManifestFile[];
  /** Objects written for this attempt only; to be removed where it fails. */
  written: string[];
  removed: FileTotals;
  removed_deletes: FileTotals;
}

export function totalsOf(files: readonly DataFile[]): FileTotals {
  return {
    files: files.length,
    records: files.reduce((sum, it) => sum + it.record_count, 0n),
    bytes: files.reduce((sum, it) => sum + it.file_size_in_bytes, 0n),
  };
}

/** Writes the manifest of a commit's added files: once, since it inherits its sequence number. */
export async function writeAdded(
  warehouse: Warehouse,
  folder: string,
  metadata: TableMetadata,
  snapshot_id: bigint,
  files: readonly DataFile[],
): Promise<{ key: string; length: number; entries: ManifestEntry[] }> {
  const entries = files.map((data_file) => ({
    status: STATUS.added,
    snapshot_id,
    sequence_number: null,
    file_sequence_number: null,
    data_file,
  }));
  const bytes = encodeManifest(headerOf(metadata, unpartitioned(metadata), CONTENT.data, []), entries);
  const key = manifestKey(folder);
  await warehouse.write(key, bytes);
  return { key, length: bytes.length, entries };
}

function manifestKey(folder: string): string {
  return `${folder}/metadata/${randomUUID()}-m0.avro`;
}

function headerOf(metadata: TableMetadata, spec_id: number, content: number, partition: readonly unknown[]) {
  const spec = metadata["partition-specs"].find((it) => it["spec-id"] === spec_id);
  if (!spec)
    throw new LakeError("internal", `Table ${metadata["table-uuid"]} has no partition spec ${spec_id}.`);
  return { schema: currentSchema(metadata), spec, content, partition };
}

/** The spec that new files are written under. @throws LakeError invalid where the table is partitioned */
function unpartitioned(metadata: TableMetadata): number {
  const spec = metadata["partition-specs"].find((it) => it["spec-id"] === metadata["default-spec-id"]);
  if (!spec || spec.fields.length > 0)
    throw new LakeError("invalid", "The table is partitioned; files are added to unpartitioned tables only.");
  return spec["spec-id"];
}

/** A manifest entry with nothing left to inherit. */
type Resolved = ManifestEntry & { snapshot_id: bigint; sequence_number: bigint };

export class ManifestRewriter {
  readonly #warehouse: Warehouse;
  readonly #folder: string;
  readonly #metadata: TableMetadata;
  readonly #snapshot: { id: bigint; sequence_number: number };
  readonly written: string[] = [];

  constructor(
    warehouse: Warehouse,
    folder: string,
    metadata: TableMetadata,
    snapshot: { id: bigint; sequence_number: number },
  ) {
    this.#warehouse = warehouse;
    this.#folder = folder;
    this.#metadata = metadata;
    this.#snapshot = snapshot;
  }

  /**
   * The parent's manifests without some data files; `"all"` takes out delete files too.
   * @throws LakeError conflict where one of the files isn't in the table
   */
  async without(
    manifests: readonly ManifestFile[],
    remove: ReadonlySet<string> | "all",
  ): Promise<NewManifests> {
    const removed: DataFile[] = [];
    const removed_deletes: DataFile[] = [];
    const kept: ManifestFile[] = [];
    for (const manifest of manifests) {
      if (manifest.content !== CONTENT.data && remove !== "all") {
        kept.push(manifest);
        continue;
      }
      const { entries, partition } = await this.#warehouse.manifest(manifest);
      const live = entries.filter((it) => it.status !== STATUS.deleted);
      const goes = (it: Resolved) => remove === "all" || remove.has(it.data_file.file_path);
      const gone = live.filter(goes);
      if (gone.length === 0) {
        if (live.length > 0) kept.push(manifest);
        continue;
      }
      (manifest.content === CONTENT.data ? removed : removed_deletes).push(...gone.map((it) => it.data_file));
      const rewritten = live.map((it) =>
        goes(it)
          ? { ...it, status: STATUS.deleted, snapshot_id: this.#snapshot.id }
          : { ...it, status: STATUS.existing },
      );
      kept.push(await this.#write(manifest.partition_spec_id, manifest.content, partition, rewritten));
    }
    if (remove !== "all") refuseMissing(remove, removed);
    return {
      manifests: kept,
      written: this.written,
      removed: totalsOf(removed),
      removed_deletes: totalsOf(removed_deletes),
    };
  }

  /** Where small manifests have become many, one for all of them, so that planning stays cheap. */
  async merged(manifests: readonly ManifestFile[]): Promise<ManifestFile[]> {
    const threshold = Number(this.#metadata.properties[MERGE_PROPERTY] ?? MERGE_COUNT) || MERGE_COUNT;
    const spec_id = this.#metadata["default-spec-id"];
    const small = (it: ManifestFile) =>
      it.content === CONTENT.data &&
      it.partition_spec_id === spec_id &&
      it.manifest_length < MERGED_MAX_BYTES;
    const merging = manifests.filter(small);
    if (merging.length < Math.max(2, threshold)) return [...manifests];
    const entries: ManifestEntry[] = [];
    let partition: readonly unknown[] = [];
    for (const manifest of merging) {
      const read = await this.#warehouse.manifest(manifest);
      partition = read.partition;
      for (const entry of read.entries)
        if (entry.status !== STATUS.deleted) entries.push({ ...entry, status: STATUS.existing });
    }
    const others = manifests.filter((it) => !small(it));
    return entries.length === 0
      ? others
      : [await this.#write(spec_id, CONTENT.data, partition, entries), ...others];
  }

  async #write(
    spec_id: number,
    content: number,
    partition: readonly unknown[],
    entries: readonly ManifestEntry[],
  ): Promise<ManifestFile> {
    const bytes = encodeManifest(headerOf(this.#metadata, spec_id, content, partition), entries);
    const key = manifestKey(this.#folder);
    await this.#warehouse.write(key, bytes);
    this.written.push(key);
    const { id: snapshot_id, sequence_number } = this.#snapshot;
    const header = { spec_id, content, snapshot_id, sequence_number, partitioned: partition.length > 0 };
    return manifestFile(locationOf(key), bytes.length, header, entries);
  }
}

function refuseMissing(remove: ReadonlySet<string>, removed: readonly DataFile[]): void {
  const found = new Set(removed.map((it) => it.file_path));
  const missing = [...remove].filter((it) => !found.has(it));
  if (missing.length > 0)
    throw new LakeError(
      "conflict",
      `${missing.length} of the files to be removed are not in the table, the first being "${keyOf(missing[0] as string)}"; plan the commit again.`,
      { missing: missing.slice(0, 20).map(keyOf) },
    );
}

/** The totals of a snapshot, from its summary or, where a writer left them out, counted anew. */
export interface TableTotals {
  data: FileTotals;
  delete_files: number;
  position_deletes: bigint;
}

export async function tableTotals(
  warehouse: Warehouse,
  snapshot: Snapshot | undefined,
): Promise<TableTotals> {
  if (!snapshot) return { data: { files: 0, records: 0n, bytes: 0n }, delete_files: 0, position_deletes: 0n };
  const { summary } = snapshot;
  const names = ["data-files", "records", "files-size", "delete-files", "position-deletes"];
  const told = names.map((name) => summary[`total-${name}`]);
  if (told.every((it) => it !== undefined && /^\d+$/.test(it))) {
    const [files, records, bytes, delete_files, position_deletes] = told.map((it) => BigInt(it as string));
    return {
      data: { files: Number(files), records: records as bigint, bytes: bytes as bigint },
      delete_files: Number(delete_files),
      position_deletes: position_deletes as bigint,
    };
  }
  return countTotals(warehouse, snapshot);
}

async function countTotals(warehouse: Warehouse, snapshot: Snapshot): Promise<TableTotals> {
  const data: DataFile[] = [];
  const deletes: DataFile[] = [];
  for (const manifest of await warehouse.manifestList(snapshot["manifest-list"]))
    for (const { status, data_file } of (await warehouse.manifest(manifest)).entries)
      if (status !== STATUS.deleted) (data_file.content === CONTENT.data ? data : deletes).push(data_file);
  const { files, records } = totalsOf(deletes);
  const bytes = totalsOf(deletes).bytes + totalsOf(data).bytes;
  return { data: { ...totalsOf(data), bytes }, delete_files: files, position_deletes: records };
}

/** The members of a summary, each present where it isn't nothing, and every total. */
export function summarize(
  operation: string,
  before: TableTotals,
  added: FileTotals,
  removed: FileTotals,
  removed_deletes: FileTotals,
): Record<string, string> & { operation: string } {
  const changed = added.files + removed.files + removed_deletes.files > 0;
  const counts: Record<string, number | bigint> = {
    "added-data-files": added.files,
    "added-records": added.records,
    "added-files-size": added.bytes,
    "deleted-data-files": removed.files,
    "deleted-records": removed.records,
    "removed-files-size": removed.bytes + removed_deletes.bytes,
    "removed-delete-files": removed_deletes.files,
    "removed-position-deletes": removed_deletes.records,
    "changed-partition-count": changed ? 1 : 0,
  };
  const totals: Record<string, number | bigint> = {
    "total-records": before.data.records + added.records - removed.records,
    "total-files-size": before.data.bytes + added.bytes - removed.bytes - removed_deletes.bytes,
    "total-data-files": before.data.files + added.files - removed.files,
    "total-delete-files": before.delete_files - removed_deletes.files,
    "total-position-deletes": before.position_deletes - removed_deletes.records,
    "total-equality-deletes": 0,
  };
  const told = Object.entries(counts).filter(([, count]) => BigInt(count) !== 0n);
  return {
    operation,
    ...Object.fromEntries([...told, ...Object.entries(totals)].map(([name, count]) => [name, String(count)])),
  };
}
