/**
 * Iceberg v2 table metadata (table spec, "Table Metadata"): pure functions from one document to the
 * next. Members another engine wrote and this code doesn't know are carried along.
 */
import { LakeError } from "../../shared/errors.ts";
import { type MappedName, nameMapping, walkFields } from "./fields.ts";
import { formatIcebergJson, parseIcebergJson } from "./json.ts";
import type { IcebergField } from "./schema.ts";

export interface Schema {
  type: "struct";
  "schema-id": number;
  "identifier-field-ids"?: number[];
  fields: IcebergField[];
}

export interface Snapshot {
  "snapshot-id": bigint;
  "parent-snapshot-id"?: bigint;
  "sequence-number": number;
  "timestamp-ms": number;
  "manifest-list": string;
  summary: Record<string, string> & { operation: string };
  "schema-id"?: number;
}

export interface PartitionSpec {
  "spec-id": number;
  fields: { "source-id": number; "field-id": number; name: string; transform: string }[];
}

export interface TableMetadata {
  "format-version": number;
  "table-uuid": string;
  location: string;
  "last-sequence-number": number;
  "last-updated-ms": number;
  "last-column-id": number;
  schemas: Schema[];
  "current-schema-id": number;
  "partition-specs": PartitionSpec[];
  "default-spec-id": number;
  "last-partition-id": number;
  properties: Record<string, string>;
  "current-snapshot-id": bigint | null;
  snapshots: Snapshot[];
  "snapshot-log": { "timestamp-ms": number; "snapshot-id": bigint }[];
  "metadata-log": { "timestamp-ms": number; "metadata-file": string }[];
  "sort-orders": { "order-id": number; fields: unknown[] }[];
  "default-sort-order-id": number;
  refs: Record<string, { "snapshot-id": bigint; type: "branch" | "tag"; [setting: string]: unknown }>;
  statistics?: unknown[];
  "partition-statistics"?: unknown[];
}

export const NAME_MAPPING = "schema.name-mapping.default";
/** As Iceberg's own default, `write.metadata.previous-versions-max`. */
const METADATA_LOG_MAX = 100;

export function newMetadata(
  table: {
    uuid: string;
    location: string;
    fields: IcebergField[];
    identifier_field_ids: number[];
    properties: Record<string, string>;
  },
  now_ms: number,
): TableMetadata {
  return {
    "format-version": 2,
    "table-uuid": table.uuid,
    location: table.location,
    "last-sequence-number": 0,
    "last-updated-ms": now_ms,
    "last-column-id": Math.max(...walkFields(table.fields).map(({ id }) => id)),
    schemas: [
      {
        type: "struct",
        "schema-id": 0,
        "identifier-field-ids": table.identifier_field_ids,
        fields: table.fields,
      },
    ],
    "current-schema-id": 0,
    "partition-specs": [{ "spec-id": 0, fields: [] }],
    "default-spec-id": 0,
    // Partition field ids begin at 1000, so that the last one given is 999 (spec, "Partition Specs").
    "last-partition-id": 999,
    properties: {
      "write.format.default": "parquet",
      ...table.properties,
      [NAME_MAPPING]: JSON.stringify(nameMapping(table.fields)),
    },
    "current-snapshot-id": null,
    snapshots: [],
    "snapshot-log": [],
    "metadata-log": [],
    "sort-orders": [{ "order-id": 0, fields: [] }],
    "default-sort-order-id": 0,
    refs: {},
  };
}

/**
 * Reads a metadata document.
 * @throws LakeError invalid where its version isn't supported, naming it
 */
export function readMetadata(text: string, where: string): TableMetadata {
  const metadata = parseIcebergJson(text) as TableMetadata;
  if (metadata["format-version"] !== 2)
    throw new LakeError(
      "invalid",
      `${where} is Iceberg format version ${metadata["format-version"]}; only version 2 is supported.`,
    );
  return {
    ...metadata,
    // Writers may leave these out, or write -1 for no snapshot (spec, "Table Metadata", appendix).
    "current-snapshot-id": noneIfNegative(metadata["current-snapshot-id"]),
    properties: metadata.properties ?? {},
    snapshots: metadata.snapshots ?? [],
    "snapshot-log": metadata["snapshot-log"] ?? [],
    "metadata-log": metadata["metadata-log"] ?? [],
    refs: metadata.refs ?? {},
  };
}

function noneIfNegative(id: bigint | null | undefined): bigint | null {
  return id === null || id === undefined || id < 0n ? null : id;
}

export function formatMetadata(metadata: TableMetadata): string {
  return formatIcebergJson(metadata);
}

export function currentSchema(metadata: TableMetadata): Schema {
  return schemaById(metadata, metadata["current-schema-id"]);
}

export function schemaById(metadata: TableMetadata, id: number): Schema {
  const schema = metadata.schemas.find((it) => it["schema-id"] === id);
  if (!schema)
    throw new LakeError("internal", `Table ${metadata["table-uuid"]} names schema ${id} and has none.`);
  return schema;
}

export function snapshotById(metadata: TableMetadata, id: bigint | null): Snapshot | undefined {
  return id === null ? undefined : metadata.snapshots.find((it) => it["snapshot-id"] === id);
}

export function currentSnapshot(metadata: TableMetadata): Snapshot | undefined {
  return snapshotById(metadata, metadata["current-snapshot-id"]);
}

/** The schema with new fields: an equal one that was there before is taken again. */
export function withFields(metadata: TableMetadata, fields: IcebergField[]): TableMetadata {
  const present = currentSchema(metadata);
  const identifiers = present["identifier-field-ids"] ?? [];
  const same = (it: Schema) =>
    Bun.deepEquals(it.fields, fields) && Bun.deepEquals(it["identifier-field-ids"] ?? [], identifiers);
  const known = metadata.schemas.find(same);
  const id = known?.["schema-id"] ?? Math.max(...metadata.schemas.map((it) => it["schema-id"])) + 1;
  const ids = walkFields(fields).map((it) => it.id);
  return {
    ...metadata,
    schemas: known
      ? metadata.schemas
      : [
          ...metadata.schemas,
          { type: "struct", "schema-id": id, "identifier-field-ids": identifiers, fields },
        ],
    "current-schema-id": id,
    "last-column-id": Math.max(metadata["last-column-id"], ...ids),
    properties: {
      ...metadata.properties,
      [NAME_MAPPING]: JSON.stringify(nameMapping(fields, mappingOf(metadata) ?? [])),
    },
  };
}

const mappings = new WeakMap<TableMetadata, MappedName[] | null>();

/** The table's own name mapping, for files without field ids. Read once of each document. */
export function mappingOf(metadata: TableMetadata): MappedName[] | null {
  const known = mappings.get(metadata);
  if (known !== undefined) return known;
  const text = metadata.properties[NAME_MAPPING];
  const mapping = text === undefined ? null : (JSON.parse(text) as MappedName[]);
  mappings.set(metadata, mapping);
  return mapping;
}

/** Adds a snapshot and makes it current. */
export function withSnapshot(metadata: TableMetadata, snapshot: Snapshot): TableMetadata {
  return withCurrent(
    {
      ...metadata,
      "last-sequence-number": snapshot["sequence-number"],
      snapshots: [...metadata.snapshots, snapshot],
    },
    snapshot["snapshot-id"],
    snapshot["timestamp-ms"],
  );
}

/** Makes a known snapshot the current one. */
export function withCurrent(metadata: TableMetadata, snapshot_id: bigint, now_ms: number): TableMetadata {
  return {
    ...metadata,
    "current-snapshot-id": snapshot_id,
    "snapshot-log": [...metadata["snapshot-log"], { "timestamp-ms": now_ms, "snapshot-id": snapshot_id }],
    refs: { ...metadata.refs, main: { ...metadata.refs.main, "snapshot-id": snapshot_id, type: "branch" } },
  };
}

/** Takes snapshots out; the log keeps only what still tells true (spec, "snapshot-log"). */
export function withoutSnapshots(metadata: TableMetadata, gone: ReadonlySet<bigint>): TableMetadata {
  const log = metadata["snapshot-log"];
  const last_gone = log.findLastIndex((it) => gone.has(it["snapshot-id"]));
  const kept = (it: unknown) => !gone.has((it as { "snapshot-id": bigint })["snapshot-id"]);
  return {
    ...metadata,
    snapshots: metadata.snapshots.filter(kept),
    "snapshot-log": log.slice(last_gone + 1),
    ...(metadata.statistics ? { statistics: metadata.statistics.filter(kept) } : {}),
    ...(metadata["partition-statistics"]
      ? { "partition-statistics": metadata["partition-statistics"].filter(kept) }
      : {}),
  };
}

/** The time a change may bear: never before the table's last one, whatever the clock says. */
export function timeOfChange(metadata: TableMetadata, now_ms: number): number {
  return Math.max(now_ms, metadata["last-updated-ms"]);
}

/** The next document after the one at `previous_location`, with that one in its log. */
export function succeed(
  previous: TableMetadata,
  previous_location: string,
  next: TableMetadata,
  now_ms: number,
): TableMetadata {
  const entry = { "timestamp-ms": previous["last-updated-ms"], "metadata-file": previous_location };
  return {
    ...next,
    "last-updated-ms": timeOfChange(previous, now_ms),
    "metadata-log": [...previous["metadata-log"], entry].slice(-METADATA_LOG_MAX),
  };
}
