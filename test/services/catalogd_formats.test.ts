/** catalogd's formats: types as people write them, 64-bit numbers, bounds, and what other engines wrote. */
import { afterAll, expect, test } from "bun:test";
import { randomUUID } from "node:crypto";
import { rmSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { decodeAvro, encodeAvro } from "../../src/services/catalogd/avro.ts";
import { toDataFile } from "../../src/services/catalogd/datafile.ts";
import { walkFields } from "../../src/services/catalogd/fields.ts";
import { footerLength, readFooter } from "../../src/services/catalogd/footer.ts";
import { formatIcebergJson, parseIcebergJson } from "../../src/services/catalogd/json.ts";
import {
  CONTENT,
  type DataFile,
  decodeManifest,
  encodeManifest,
  encodeManifestList,
  type ManifestFile,
  manifestFile,
} from "../../src/services/catalogd/manifest.ts";
import { formatMetadata, readMetadata, type TableMetadata } from "../../src/services/catalogd/metadata.ts";
import { openPointerStore } from "../../src/services/catalogd/store.ts";
import { fieldIdsAfter, formatType, parseType } from "../../src/services/catalogd/types.ts";
import {
  decodeBound,
  encodeBound,
  truncateLower,
  truncateUpper,
} from "../../src/services/catalogd/values.ts";
import { LakeError } from "../../src/shared/errors.ts";
import { type RunningHouse, startHouse } from "../support/house.ts";
import { append, columns, lakeAt, parquetOf } from "../support/lake.ts";

test("types are read by Iceberg's names and by those of other systems", () => {
  const read = (text: string) => formatType(parseType(text, "c", fieldIdsAfter(0)));
  const same: Record<string, string> = {
    BIGINT: "long",
    int64: "long",
    Utf8: "string",
    "varchar(20)": "string",
    float64: "double",
    "double precision": "double",
    "timestamp with time zone": "timestamptz",
    "timestamp[us, tz=UTC]": "timestamptz",
    "timestamp[us]": "timestamp",
    "numeric(10, 2)": "decimal(10,2)",
    "fixed[16]": "fixed[16]",
    "int[]": "list<int>",
    "timestamp[]": "list<timestamp>",
    "list<struct<a: int, b: map<string, decimal(5,1)>>>":
      "list<struct<a: int, b: map<string, decimal(5,1)>>>",
    'STRUCT(a INTEGER, "odd name" VARCHAR[])': 'struct<a: int, "odd name": list<string>>',
    "MAP(VARCHAR, BIGINT)": "map<string, long>",
  };
  for (const [given, wanted] of Object.entries(same)) expect([given, read(given)]).toEqual([given, wanted]);
  for (const bad of [
    "",
    "lng",
    "decimal(39,2)",
    "decimal(3,4)",
    "list<int",
    "struct<>",
    "int int",
    "timestamp[ns]",
    `${"list<".repeat(40)}int`,
  ])
    expect(() => read(bad)).toThrow(/can't be read/);
});

test("64-bit numbers keep every digit through JSON and Avro", () => {
  const text =
    '{"snapshot-id":9223372036854775807,"n":12345678901234567890,"small":5,"text":"7","ids":[1,2.5]}';
  const parsed = parseIcebergJson(text);
  expect(parsed).toEqual({
    "snapshot-id": 9223372036854775807n,
    n: 12345678901234567890n,
    small: 5,
    text: "7",
    ids: [1, 2.5],
  });
  expect(formatIcebergJson(parsed)).toBe(text);
  fc.assert(
    fc.property(fc.array(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })), (longs) => {
      const schema = { type: "record", name: "r", fields: [{ name: "v", type: ["null", "long"] }] };
      const records = longs.map((v, at) => ({ v: at % 5 === 4 ? null : v }));
      const read = decodeAvro(encodeAvro(schema, { own: "x" }, records), "it");
      expect(read.records.map((it) => (it as { v: bigint | null }).v)).toEqual(records.map((it) => it.v));
      expect(read.meta.own).toBe("x");
    }),
    { numRuns: 200 },
  );
});

test("a damaged Avro file is told as such, wherever it was cut", () => {
  const schema = { type: "record", name: "r", fields: [{ name: "v", type: "string" }] };
  const file = Buffer.from(encodeAvro(schema, {}, [{ v: "a" }, { v: "b" }]));
  // Right after the header, whose sync marker also ends the file, a cut leaves a whole file of no blocks.
  const header_length = file.indexOf(file.subarray(-16)) + 16;
  for (let cut = 0; cut < file.length; cut++)
    if (cut !== header_length)
      expect(() => decodeAvro(file.subarray(0, cut), "it")).toThrow(/not a readable Avro file/);
  const entry_list = { manifest_path: "it", manifest_length: BigInt(file.length) } as ManifestFile;
  expect(() => decodeManifest(file.subarray(0, header_length), entry_list)).toThrow(/should have/);
});

test("bounds are Iceberg's single values, truncated so that they still bound", () => {
  const hex = (type: string, value: number | bigint) => encodeBound(type, value).toString("hex");
  expect(hex("int", 1n)).toBe("01000000");
  expect(hex("long", -1n)).toBe("ffffffffffffffff");
  expect(hex("date", -1)).toBe("ffffffff");
  expect(hex("decimal(9,2)", 128n)).toBe("0080");
  expect(hex("decimal(9,2)", -129n)).toBe("ff7f");
  expect(decodeBound("long", Buffer.from("01000000", "hex"))).toBe(1n);
  const upper = (text: string) => truncateUpper("string", Buffer.from(text))?.toString();
  expect(upper("a".repeat(16))).toBe("a".repeat(16));
  expect(upper("a".repeat(17))).toBe(`${"a".repeat(15)}b`);
  expect(upper(`a${"\u{10FFFF}".repeat(16)}`)).toBe("b");
  expect(upper("\u{10FFFF}".repeat(17))).toBeUndefined();
  expect(upper(`${"x".repeat(15)}\uD7FFy`)).toBe(`${"x".repeat(15)}\uE000`);
  expect(truncateUpper("binary", Buffer.alloc(17, 0xff))).toBeUndefined();
  fc.assert(
    fc.property(fc.string({ unit: "binary", maxLength: 40 }), (it) => {
      const bytes = Buffer.from(it);
      const above = truncateUpper("string", bytes);
      expect(Buffer.compare(truncateLower("string", bytes), bytes)).toBeLessThanOrEqual(0);
      expect(above === undefined || Buffer.compare(above, bytes) >= 0).toBe(true);
    }),
  );
});

const houses: RunningHouse[] = [];
afterAll(async () => {
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
    store.close();
  };
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
    const snapshot_id = 77n;
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
    const list_key = `${folder}/metadata/snap-77-${randomUUID()}.avro`;
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
  const emptied = await lake.catalog.commit("foreign", { operation: "delete", add: [], remove: "all" });
  expect(emptied.summary).toMatchObject({
    "total-delete-files": "0",
    "total-data-files": "0",
    "removed-delete-files": "1",
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

test("a Parquet footer with any byte changed is read or refused, and never breaks anything else", async () => {
  const sql = `SELECT range AS id, 'x' || range AS s, 1.5::DECIMAL(9,2) AS d, TIMESTAMP '2020-01-01' AS t,
    [range] AS l, {a: range} AS st, MAP {'k': range} AS m FROM range(10)`;
  const fields = [
    ...columns({ id: "long", s: "string", d: "decimal(9,2)", t: "timestamp" }),
    ...columns({
      l: { type: "list", "element-id": 11, element: "long", "element-required": false },
      st: { type: "struct", fields: [{ id: 12, name: "a", required: false, type: "long" }] },
      m: { type: "map", "key-id": 13, key: "string", "value-id": 14, value: "long", "value-required": false },
    }).map((it) => ({ ...it, id: it.id + 4 })),
  ];
  const file = await parquetOf(sql, fields);
  const length = footerLength(file.subarray(-8), file.length, "it");
  const whole = file.subarray(file.length - 8 - length, file.length - 8);
  const names_by_id = new Map(walkFields(fields).map(({ id, name }) => [id, new Set([name])]));
  const read = (bytes: Uint8Array) => {
    const footer = readFooter(bytes, "it");
    return toDataFile({ key: "it", size: file.length, footer }, "s3://lakehouse/it", {
      fields,
      mapping: null,
      names_by_id,
    });
  };
  expect(read(whole).record_count).toBe(10n);
  for (let at = 0; at < whole.length; at++)
    for (const flip of [0x01, 0x80, 0xff]) {
      const changed = Buffer.from(whole);
      changed[at] = (changed[at] as number) ^ flip;
      try {
        read(changed);
      } catch (error) {
        if (!(error instanceof LakeError) || error.code === "internal") throw error;
      }
    }
});
