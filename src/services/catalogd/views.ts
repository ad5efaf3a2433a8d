/** What lists, manifests and histories tell of tables. */
import { LakeError } from "../../shared/errors.ts";
import { columnsOf, schemaFingerprint } from "./drift.ts";
import { currentSchema, currentSnapshot, type Snapshot, schemaById, snapshotById } from "./metadata.ts";
import { liveFiles, snapshotFor } from "./plan.ts";
import type {
  Dataset,
  DatasetList,
  History,
  HistoryEntry,
  Manifest,
  Page,
  SnapshotChoice,
} from "./schema.ts";
import type { Table, Tables } from "./tables.ts";
import { locationOf, type Warehouse } from "./warehouse.ts";

export const PAGE_LIMIT = 100;
export const PAGE_LIMIT_MAX = 1000;

/** A cursor says where the last page ended; it is opaque to callers. */
function encodeCursor(place: string): string {
  return Buffer.from(place).toString("base64url");
}

function decodeCursor(cursor: string): string {
  const place = Buffer.from(cursor, "base64url").toString("utf8");
  if (place === "" || encodeCursor(place) !== cursor)
    throw new LakeError("invalid", "The cursor is not one that this list gave.");
  return place;
}

/** The page after a cursor of items in the order of their places. */
function pageOf<T>(
  items: readonly T[],
  { limit = PAGE_LIMIT, cursor }: Page,
  placeOf: (item: T) => string,
): { items: T[]; next_cursor: string | null } {
  const after = cursor === undefined ? undefined : decodeCursor(cursor);
  const start = after === undefined ? 0 : items.findIndex((it) => placeOf(it) === after) + 1;
  if (after !== undefined && start === 0)
    throw new LakeError(
      "invalid",
      "The cursor is not one of this list, or what it stood at is gone; begin again.",
    );
  const page = items.slice(start, start + limit);
  const last = page.at(-1);
  const more = start + page.length < items.length && last !== undefined;
  return { items: page, next_cursor: more ? encodeCursor(placeOf(last)) : null };
}

/** Tables by name. Names that come or go between pages neither repeat nor hide others. */
export async function listTables(tables: Tables, page: Page): Promise<DatasetList> {
  const after = page.cursor === undefined ? "" : decodeCursor(page.cursor);
  const limit = page.limit ?? PAGE_LIMIT;
  const names = tables.store.names().filter((name) => name > after);
  const datasets: Dataset[] = [];
  const shown = names.slice(0, limit);
  for (const name of shown) {
    const pointer = tables.store.find(name);
    if (!pointer) continue;
    const metadata = await tables.warehouse.metadata(pointer.metadata_key);
    datasets.push(
      datasetOf({ pointer, metadata }, currentSnapshot(metadata), currentSchema(metadata)["schema-id"]),
    );
  }
  const last = shown.at(-1);
  const next_cursor = names.length > limit && last !== undefined ? encodeCursor(last) : null;
  return { datasets, next_cursor };
}

function datasetOf({ pointer, metadata }: Table, snapshot: Snapshot | undefined, schema_id: number): Dataset {
  const { fields } = schemaById(metadata, schema_id);
  const total = (name: string) => Number(snapshot?.summary[`total-${name}`] ?? 0);
  return {
    name: pointer.name,
    uuid: pointer.uuid,
    snapshot_id: snapshot?.["snapshot-id"].toString() ?? null,
    schema_fingerprint: schemaFingerprint(columnsOf(fields)),
    columns: fields.length,
    rows: total("records"),
    files: total("data-files"),
    bytes: total("files-size"),
    updated_at: new Date(metadata["last-updated-ms"]).toISOString(),
  };
}

export async function manifestOf(
  warehouse: Warehouse,
  table: Table,
  choice: SnapshotChoice & Page,
): Promise<Manifest> {
  const { pointer, metadata } = table;
  const travels = choice.snapshot_id !== undefined || choice.as_of !== undefined;
  const snapshot = snapshotFor(metadata, pointer.name, choice);
  const present = metadata["current-schema-id"];
  const schema_id = travels ? (snapshot?.["schema-id"] ?? present) : present;
  const files = snapshot ? await liveFiles(warehouse, snapshot) : [];
  const { items, next_cursor } = pageOf(files, { limit: PAGE_LIMIT_MAX, ...choice }, (it) => it.scan.key);
  const rows = files.reduce((sum, it) => sum + it.scan.rows, 0);
  return {
    ...datasetOf(table, snapshot, schema_id),
    rows,
    files: files.length,
    location: metadata.location,
    metadata_location: locationOf(pointer.metadata_key),
    format_version: 2,
    schema_id,
    schema: columnsOf(schemaById(metadata, schema_id).fields),
    properties: metadata.properties,
    summary: { ...snapshot?.summary },
    objects: items.map(({ scan: { key, size, rows } }) => ({ key, size, rows })),
    next_cursor,
  };
}

export function historyOf({ pointer, metadata }: Table, page: Page): History {
  const ancestors = new Set<bigint>();
  for (
    let at = currentSnapshot(metadata);
    at && !ancestors.has(at["snapshot-id"]);
    at = snapshotById(metadata, at["parent-snapshot-id"] ?? null)
  )
    ancestors.add(at["snapshot-id"]);
  const entries = metadata.snapshots.toReversed().map((snapshot): HistoryEntry => {
    const id = snapshot["snapshot-id"];
    const { operation } = snapshot.summary;
    return {
      snapshot_id: id.toString(),
      parent_snapshot_id: snapshot["parent-snapshot-id"]?.toString() ?? null,
      sequence_number: snapshot["sequence-number"],
      committed_at: new Date(snapshot["timestamp-ms"]).toISOString(),
      operation,
      schema_id: snapshot["schema-id"] ?? null,
      current: id === metadata["current-snapshot-id"],
      ancestor: ancestors.has(id),
      summary: snapshot.summary,
    };
  });
  const { items, next_cursor } = pageOf(entries, page, (it) => it.snapshot_id);
  return { name: pointer.name, snapshots: items, next_cursor };
}
