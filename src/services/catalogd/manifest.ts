/**
 * Iceberg v2 manifests and manifest lists (table spec, "Manifests", "Manifest Lists"): their
 * records in Avro, and the inheritance of snapshot ids and sequence numbers.
 */
import { LakeError } from "../../shared/errors.ts";
import { type AvroSchema, decodeAvro, encodeAvro } from "./avro.ts";
import { entrySchema, LIST_SCHEMA } from "./manifest_schema.ts";
import type { PartitionSpec, Schema } from "./metadata.ts";
import { smaller } from "./values.ts";

export const STATUS = { existing: 0, added: 1, deleted: 2 } as const;
export const CONTENT = { data: 0, position_deletes: 1, equality_deletes: 2 } as const;

interface KeyValue<V> {
  key: number;
  value: V;
}

export interface DataFile {
  content: number;
  file_path: string;
  file_format: string;
  /** Values of the manifest's partition spec; empty where unpartitioned. */
  partition: Record<string, unknown>;
  record_count: bigint;
  file_size_in_bytes: bigint;
  column_sizes: KeyValue<bigint>[] | null;
  value_counts: KeyValue<bigint>[] | null;
  null_value_counts: KeyValue<bigint>[] | null;
  nan_value_counts: KeyValue<bigint>[] | null;
  lower_bounds: KeyValue<Buffer>[] | null;
  upper_bounds: KeyValue<Buffer>[] | null;
  key_metadata: Buffer | null;
  split_offsets: bigint[] | null;
  equality_ids: number[] | null;
  sort_order_id: number | null;
  /** The one data file a position-delete file is for, where it is for one. */
  referenced_data_file: string | null;
}

export interface ManifestEntry {
  status: number;
  /** Null where it is the manifest's own (inherited). */
  snapshot_id: bigint | null;
  sequence_number: bigint | null;
  file_sequence_number: bigint | null;
  data_file: DataFile;
}

/** A manifest as a manifest list tells of it. */
export interface ManifestFile {
  manifest_path: string;
  manifest_length: bigint;
  partition_spec_id: number;
  /** 0 data, 1 deletes. */
  content: number;
  sequence_number: bigint;
  min_sequence_number: bigint;
  added_snapshot_id: bigint;
  added_files_count: number;
  existing_files_count: number;
  deleted_files_count: number;
  added_rows_count: bigint;
  existing_rows_count: bigint;
  deleted_rows_count: bigint;
  partitions: unknown[] | null;
  key_metadata: Buffer | null;
}

/** What a manifest is written under. */
export interface ManifestHeader {
  readonly schema: Schema;
  readonly spec: PartitionSpec;
  readonly content: number;
  /** The Avro fields of the spec's partition record; none where unpartitioned. */
  readonly partition: readonly unknown[];
}

export function encodeManifest(header: ManifestHeader, entries: readonly ManifestEntry[]): Uint8Array {
  return encodeAvro(
    entrySchema(header.partition),
    {
      schema: JSON.stringify(header.schema),
      "schema-id": String(header.schema["schema-id"]),
      "partition-spec": JSON.stringify(header.spec.fields),
      "partition-spec-id": String(header.spec["spec-id"]),
      "format-version": "2",
      content: header.content === CONTENT.data ? "data" : "deletes",
    },
    entries,
  );
}

export interface ManifestRead {
  /** The Avro fields of its partition record, needed to write its entries again. */
  readonly partition: readonly unknown[];
  /** With what they inherit from the manifest list filled in. */
  readonly entries: readonly (ManifestEntry & { snapshot_id: bigint; sequence_number: bigint })[];
}

/** @throws LakeError invalid for what isn't supported, named; internal where the file is damaged */
export function decodeManifest(bytes: Uint8Array, manifest: ManifestFile): ManifestRead {
  // Avro can't tell a file cut off between two blocks from a whole one.
  if (BigInt(bytes.length) !== manifest.manifest_length)
    throw new LakeError(
      "internal",
      `${manifest.manifest_path} has ${bytes.length} bytes and should have ${manifest.manifest_length}.`,
    );
  const { records, schema } = decodeAvro(bytes, manifest.manifest_path);
  const entries = (records as ManifestEntry[]).map((entry) => ({
    ...entry,
    snapshot_id: entry.snapshot_id ?? manifest.added_snapshot_id,
    sequence_number: entry.sequence_number ?? manifest.sequence_number,
    file_sequence_number: entry.file_sequence_number ?? manifest.sequence_number,
    data_file: readDataFile(entry.data_file),
  }));
  return { partition: partitionFields(schema), entries };
}

/** Members that writers may leave out, as null; refuses what can't be honoured. */
function readDataFile(file: Partial<DataFile> & Pick<DataFile, "file_path">): DataFile {
  const { content = CONTENT.data, file_format = "" } = file;
  if (content === CONTENT.equality_deletes)
    throw new LakeError(
      "invalid",
      `The table has equality deletes (${file.file_path}), which are not supported; rewrite it with position deletes or without any.`,
    );
  if (file_format.toUpperCase() !== "PARQUET")
    throw new LakeError("invalid", `${file.file_path} is ${file_format}; only Parquet is supported.`);
  return {
    partition: {},
    record_count: 0n,
    file_size_in_bytes: 0n,
    column_sizes: null,
    value_counts: null,
    null_value_counts: null,
    nan_value_counts: null,
    lower_bounds: null,
    upper_bounds: null,
    key_metadata: null,
    split_offsets: null,
    equality_ids: null,
    sort_order_id: null,
    referenced_data_file: null,
    ...file,
    content,
    file_format,
  };
}

function partitionFields(schema: AvroSchema): readonly unknown[] {
  const fieldsOf = (it: unknown) => (it as { fields: { name: string; type: unknown }[] }).fields;
  const data_file = fieldsOf(schema).find(({ name }) => name === "data_file");
  const partition = fieldsOf(data_file?.type).find(({ name }) => name === "partition");
  return partition ? fieldsOf(partition.type) : [];
}

export function encodeManifestList(
  snapshot: { snapshot_id: bigint; parent_id: bigint | null; sequence_number: number },
  manifests: readonly ManifestFile[],
): Uint8Array {
  return encodeAvro(
    LIST_SCHEMA,
    {
      "snapshot-id": snapshot.snapshot_id.toString(),
      "parent-snapshot-id": String(snapshot.parent_id),
      "sequence-number": String(snapshot.sequence_number),
      "format-version": "2",
    },
    manifests,
  );
}

export function decodeManifestList(bytes: Uint8Array, where: string): ManifestFile[] {
  const { records } = decodeAvro(bytes, where);
  return (records as Partial<ManifestFile>[]).map((it) => ({
    ...(it as ManifestFile),
    // Version 1 lists, which an upgraded table may still have, lack these.
    content: it.content ?? CONTENT.data,
    sequence_number: it.sequence_number ?? 0n,
    min_sequence_number: it.min_sequence_number ?? 0n,
    partitions: it.partitions ?? null,
    key_metadata: it.key_metadata ?? null,
  }));
}

/** What a manifest list tells of a manifest, counted from its entries. */
export function manifestFile(
  path: string,
  length_bytes: number,
  header: {
    spec_id: number;
    content: number;
    snapshot_id: bigint;
    sequence_number: number;
    partitioned: boolean;
  },
  entries: readonly ManifestEntry[],
): ManifestFile {
  const of = (status: number) => entries.filter((it) => it.status === status);
  const rows = (some: readonly ManifestEntry[]) =>
    some.reduce((sum, it) => sum + it.data_file.record_count, 0n);
  const [added, existing, deleted] = [of(STATUS.added), of(STATUS.existing), of(STATUS.deleted)];
  const own = BigInt(header.sequence_number);
  const live = [...added, ...existing].map((it) => it.sequence_number ?? own);
  return {
    manifest_path: path,
    manifest_length: BigInt(length_bytes),
    partition_spec_id: header.spec_id,
    content: header.content,
    sequence_number: own,
    min_sequence_number: live.reduce(smaller, own),
    added_snapshot_id: header.snapshot_id,
    added_files_count: added.length,
    existing_files_count: existing.length,
    deleted_files_count: deleted.length,
    added_rows_count: rows(added),
    existing_rows_count: rows(existing),
    deleted_rows_count: rows(deleted),
    // One summary per partition field is optional to give; of none there is an empty list.
    partitions: header.partitioned ? null : [],
    key_metadata: null,
  };
}
