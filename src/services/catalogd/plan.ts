/** Scan plans: which files a reader of one snapshot must read, after pruning by their bounds. */
import { LakeError } from "../../shared/errors.ts";
import { readTime } from "../../shared/time.ts";
import { CONTENT, type DataFile, type ManifestEntry, STATUS } from "./manifest.ts";
import {
  currentSchema,
  currentSnapshot,
  mappingOf,
  type Snapshot,
  schemaById,
  snapshotById,
  type TableMetadata,
} from "./metadata.ts";
import { pruner } from "./prune.ts";
import type { ScanFile, ScanPlan, ScanRequest } from "./schema.ts";
import type { Table } from "./tables.ts";
import { keyOf, type Warehouse } from "./warehouse.ts";

/** The `file_path` column of a position-delete file (spec, "Reserved Field IDs"). */
const FILE_PATH_ID = 2147483546;
/** What a planned file takes in memory, roughly. */
const PLANNED_FILE_BYTES = 2000;

/** A live data file with what pruning asks of it. */
export interface PlannedFile {
  readonly scan: ScanFile;
  readonly rows: bigint;
  readonly snapshot_id: bigint;
  readonly lower: ReadonlyMap<number, Buffer>;
  readonly upper: ReadonlyMap<number, Buffer>;
  readonly values: ReadonlyMap<number, bigint>;
  readonly nulls: ReadonlyMap<number, bigint>;
  readonly nans: ReadonlyMap<number, bigint>;
}

/**
 * The snapshot a request asks for: by id, by time, or the present one.
 * @throws LakeError not_found for an unknown id and a time before the first snapshot; invalid
 */
export function snapshotFor(
  metadata: TableMetadata,
  name: string,
  request: { snapshot_id?: string; as_of?: string },
): Snapshot | undefined {
  const { snapshot_id, as_of } = request;
  if (snapshot_id !== undefined && as_of !== undefined)
    throw new LakeError("invalid", "Give snapshot_id or as_of, not both.");
  if (snapshot_id !== undefined) return byId(metadata, name, snapshot_id);
  if (as_of !== undefined) return byTime(metadata, name, as_of);
  return currentSnapshot(metadata);
}

function byId(metadata: TableMetadata, name: string, snapshot_id: string): Snapshot {
  if (!/^\d{1,19}$/.test(snapshot_id))
    throw new LakeError(
      "invalid",
      `snapshot_id must be a whole number in digits (got "${snapshot_id.slice(0, 40)}").`,
    );
  const found = snapshotById(metadata, BigInt(snapshot_id));
  if (!found)
    throw new LakeError(
      "not_found",
      `Table "${name}" has no snapshot ${snapshot_id}; GET /v1/catalog/history/${name} names those it has.`,
    );
  return found;
}

function byTime(metadata: TableMetadata, name: string, as_of: string): Snapshot {
  const at_ms = readTime(as_of);
  if (at_ms === undefined)
    throw new LakeError(
      "invalid",
      `as_of must be an RFC 3339 time such as 2026-01-31T12:00:00Z (got "${as_of.slice(0, 60)}").`,
    );
  const entry = metadata["snapshot-log"].findLast((it) => it["timestamp-ms"] <= at_ms);
  const found = entry && snapshotById(metadata, entry["snapshot-id"]);
  if (found) return found;
  const first = metadata["snapshot-log"][0];
  const since = first ? `; its first is of ${new Date(first["timestamp-ms"]).toISOString()}` : "";
  throw new LakeError("not_found", `Table "${name}" has no snapshot as old as ${as_of}${since}.`);
}

/** @throws LakeError not_found, invalid */
export async function planScan(warehouse: Warehouse, table: Table, request: ScanRequest): Promise<ScanPlan> {
  const { metadata, pointer } = table;
  const travels = request.snapshot_id !== undefined || request.as_of !== undefined;
  const snapshot = snapshotFor(metadata, pointer.name, request);
  const schema_id = snapshot?.["schema-id"];
  const schema =
    travels && schema_id !== undefined ? schemaById(metadata, schema_id) : currentSchema(metadata);
  const files = snapshot ? await liveFiles(warehouse, snapshot) : [];
  const keeps = request.filters?.length ? pruner(schema.fields, request.filters) : undefined;
  const kept = keeps ? files.filter(keeps) : files;
  return {
    name: pointer.name,
    uuid: pointer.uuid,
    snapshot_id: snapshot?.["snapshot-id"].toString() ?? null,
    fields: schema.fields,
    name_mapping: mappingOf(metadata),
    files: kept.map((it) => it.scan),
    files_pruned: files.length - kept.length,
  };
}

/** The live data files of a snapshot, each with the delete files that apply to it. */
export function liveFiles(warehouse: Warehouse, snapshot: Snapshot): Promise<readonly PlannedFile[]> {
  return warehouse.derived(`files of ${snapshot["manifest-list"]}`, async () => {
    const data: Live[] = [];
    const deletes: Live[] = [];
    for (const manifest of await warehouse.manifestList(snapshot["manifest-list"]))
      for (const entry of (await warehouse.manifest(manifest)).entries)
        if (entry.status !== STATUS.deleted)
          (entry.data_file.content === CONTENT.data ? data : deletes).push(entry);
    const applying = deletes.map(deleteFile);
    const value = data.map((entry) => plannedFile(entry, applying));
    return { value, bytes: PLANNED_FILE_BYTES * value.length };
  });
}

type Live = ManifestEntry & { snapshot_id: bigint; sequence_number: bigint };

interface DeleteFile {
  readonly key: string;
  readonly sequence_number: bigint;
  appliesTo(path: string): boolean;
}

/** Which data files a position-delete file can be about: the one it names, or those within its bounds. */
function deleteFile({ data_file, sequence_number }: Live): DeleteFile {
  const { referenced_data_file, lower_bounds, upper_bounds } = data_file;
  const bound = (bounds: DataFile["lower_bounds"]) => bounds?.find(({ key }) => key === FILE_PATH_ID)?.value;
  const [lower, upper] = [bound(lower_bounds), bound(upper_bounds)];
  return {
    key: keyOf(data_file.file_path),
    sequence_number,
    appliesTo: (path) => {
      if (referenced_data_file !== null) return path === referenced_data_file;
      const bytes = Buffer.from(path);
      return (!lower || Buffer.compare(bytes, lower) >= 0) && (!upper || Buffer.compare(bytes, upper) <= 0);
    },
  };
}

function plannedFile(entry: Live, deletes: readonly DeleteFile[]): PlannedFile {
  const { data_file, sequence_number, snapshot_id } = entry;
  const { file_path } = data_file;
  // A delete applies to the files that were there when it was made (spec, "Scan Planning").
  const position_deletes = deletes
    .filter((it) => sequence_number <= it.sequence_number && it.appliesTo(file_path))
    .map(({ key }) => ({ key }));
  return {
    scan: Object.freeze({
      location: file_path,
      key: keyOf(file_path),
      size: Number(data_file.file_size_in_bytes),
      rows: Number(data_file.record_count),
      position_deletes,
    }),
    rows: data_file.record_count,
    snapshot_id,
    lower: byColumnId(data_file.lower_bounds),
    upper: byColumnId(data_file.upper_bounds),
    values: byColumnId(data_file.value_counts),
    nulls: byColumnId(data_file.null_value_counts),
    nans: byColumnId(data_file.nan_value_counts),
  };
}

function byColumnId<V>(pairs: readonly { key: number; value: V }[] | null): ReadonlyMap<number, V> {
  return new Map(pairs?.map(({ key, value }) => [key, value]));
}
