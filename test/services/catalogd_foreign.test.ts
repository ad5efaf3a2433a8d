/** Tables that another engine changed: its deletes are honoured, and what isn't supported is refused by name. */
import { afterAll, expect, test } from "bun:test";
import { randomUUID } from "node:crypto";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { decodeAvro } from "../../src/services/catalogd/avro.ts";
import {
  CONTENT,
  type DataFile,
  encodeManifest,
  encodeManifestList,
  manifestFile,
} from "../../src/services/catalogd/manifest.ts";
import { formatMetadata, readMetadata, type TableMetadata } from "../../src/services/catalogd/metadata.ts";
import { openPointerStore, type PointerStore } from "../../src/services/catalogd/store.ts";
import { type RunningHouse, startHouse } from "../support/house.ts";
import { append, columns, lakeAt, parquetOf } from "../support/lake.ts";

const houses: RunningHouse[] = [];
const stores: PointerStore[] = [];
afterAll(async () => {
  for (const store of stores) store.close();
  for (const house of houses) {
    await house.stop();
    rmSync(house.data_dir, { recursive: true, force: true });
  }
});

/** A table with two data files, and a way to change its metadata as another engine would. */
async function foreignTable() {
  const house = await startHouse("mounted");
  houses.push(house);
  const lake = lakeAt(house);
  await lake.catalog.create("foreign", { fields: columns({ id: "long" }) });
  const one = await append(lake, "foreign", "SELECT range AS id FROM range(10)");
  const two = await append(lake, "foreign", "SELECT range AS id FROM range(10, 20)");
  const store = openPointerStore(join(house.data_dir, "catalog", "catalog.sqlite"), 10);
  const change = async (changed: (metadata: TableMetadata, folder: string) => Promise<TableMetadata>) => {
    const pointer = store.find("foreign");
    if (!pointer) throw new Error("no such table");
    const { body } = await lake.storage.get(pointer.metadata_key);
    const metadata = readMetadata(await new Response(body).text(), "it");
    const key = `${pointer.folder}/metadata/00009-${randomUUID()}.metadata.json`;
    const next = await changed(metadata, pointer.folder);
    await lake.storage.put(key, new TextEncoder().encode(formatMetadata(next)), {});
    expect(
      store.swap({ uuid: pointer.uuid, from_metadata_key: pointer.metadata_key, to_metadata_key: key }),
    ).toBe(true);
  };
  stores.push(store);
  return { lake, one, two, change };
}

/** Adds a snapshot with one delete file to what is there. */
async function withDeletes(
  table: Awaited<ReturnType<typeof foreignTable>>,
  file: Pick<DataFile, "content" | "file_format" | "referenced_data_file">,
): Promise<string> {
  const { lake, one } = table;
  const rows = `SELECT 's3://lakehouse/${one.key}' AS file_path, 3::BIGINT AS pos`;
  const path = `${one.key.slice(0, one.key.lastIndexOf("/"))}/deletes-${randomUUID()}.parquet`;
  await lake.storage.put(path, await parquetOf(rows), {});
  await table.change(async (metadata, folder) => {
    const snapshot_id = 77n + BigInt(metadata["last-sequence-number"]);
    const sequence_number = metadata["last-sequence-number"] + 1;
    const [schema, spec] = [metadata.schemas[0], metadata["partition-specs"][0]];
    if (!schema || !spec) throw new Error("no schema or spec");
    const data_file: DataFile = {
      ...file,
      file_path: `s3://lakehouse/${path}`,
      partition: {},
      record_count: 1n,
      file_size_in_bytes: 1n,
      column_sizes: null,
      value_counts: null,
      null_value_counts: null,
      nan_value_counts: null,
      lower_bounds: null,
      upper_bounds: null,
      key_metadata: null,
      split_offsets: null,
      equality_ids: file.content === CONTENT.equality_deletes ? [1] : null,
      sort_order_id: null,
    };
    const entry = { status: 1, snapshot_id, sequence_number: null, file_sequence_number: null, data_file };
    const bytes = encodeManifest({ schema, spec, content: 1, partition: [] }, [entry]);
    const manifest_key = `${folder}/metadata/${randomUUID()}-m0.avro`;
    const list_key = `${folder}/metadata/snap-${snapshot_id}-${randomUUID()}.avro`;
    const header = { spec_id: 0, content: 1, snapshot_id, sequence_number, partitioned: false };
    const manifest = manifestFile(`s3://lakehouse/${manifest_key}`, bytes.length, header, [entry]);
    const parent = metadata.snapshots.at(-1);
    const { body } = await lake.storage.get(parent?.["manifest-list"].slice("s3://lakehouse/".length) ?? "");
    const before = decodeAvro(new Uint8Array(await new Response(body).arrayBuffer()), "it")
      .records as (typeof manifest)[];
    const list = { snapshot_id, parent_id: parent?.["snapshot-id"] ?? null, sequence_number };
    await lake.storage.put(manifest_key, bytes, {});
    await lake.storage.put(list_key, encodeManifestList(list, [...before, manifest]), {});
    return {
      ...metadata,
      "last-sequence-number": sequence_number,
      "current-snapshot-id": snapshot_id,
      snapshots: [
        ...metadata.snapshots,
        {
          "snapshot-id": snapshot_id,
          "sequence-number": sequence_number,
          "timestamp-ms": Date.now(),
          "manifest-list": `s3://lakehouse/${list_key}`,
          summary: { operation: "delete" },
        },
      ],
    };
  });
  return path;
}

test("position deletes of another engine go with the files they apply to, and totals are counted anew", async () => {
  const table = await foreignTable();
  const { lake, one } = table;
  const referenced_data_file = `s3://lakehouse/${one.key}`;
  const key = await withDeletes(table, {
    content: CONTENT.position_deletes,
    file_format: "PARQUET",
    referenced_data_file,
  });
  const later = await append(lake, "foreign", "SELECT range AS id FROM range(20, 30)");
  expect(later.summary).toMatchObject({
    "total-records": "30",
    "total-data-files": "3",
    "total-delete-files": "1",
    "total-position-deletes": "1",
  });
  const { files } = await lake.catalog.plan({ name: "foreign" });
  expect(Object.fromEntries(files.map((it) => [it.key, it.position_deletes]))).toEqual({
    [one.key]: [{ key }],
    [table.two.key]: [],
    [later.key]: [],
  });
  const wide = await withDeletes(table, {
    content: CONTENT.position_deletes,
    file_format: "PARQUET",
    referenced_data_file: null,
  });
  const last = await append(lake, "foreign", "SELECT range AS id FROM range(30, 40)");
  const replanned = await lake.catalog.plan({ name: "foreign" });
  expect(
    replanned.files
      .filter((it) => it.position_deletes.some((it) => it.key === wide))
      .map((it) => it.key)
      .sort(),
  ).toEqual([one.key, table.two.key, later.key].sort());
  expect(replanned.files.find((it) => it.key === last.key)?.position_deletes).toEqual([]);
  const emptied = await lake.catalog.commit("foreign", { operation: "delete", add: [], remove: "all" });
  expect(emptied.summary).toMatchObject({
    "total-delete-files": "0",
    "total-data-files": "0",
    "removed-delete-files": "2",
  });
});

test("equality deletes, deletion vectors and format version 3 are refused by name", async () => {
  const equality = await foreignTable();
  await withDeletes(equality, {
    content: CONTENT.equality_deletes,
    file_format: "PARQUET",
    referenced_data_file: null,
  });
  await expect(equality.lake.catalog.plan({ name: "foreign" })).rejects.toThrow(/equality deletes/);
  const vectors = await foreignTable();
  await withDeletes(vectors, {
    content: CONTENT.position_deletes,
    file_format: "PUFFIN",
    referenced_data_file: null,
  });
  await expect(vectors.lake.catalog.plan({ name: "foreign" })).rejects.toThrow(/PUFFIN/);
  const third = await foreignTable();
  await third.change(async (metadata) => ({ ...metadata, "format-version": 3 }));
  await expect(third.lake.catalog.plan({ name: "foreign" })).rejects.toThrow(/format version 3/);
});
