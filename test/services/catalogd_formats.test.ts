/** catalogd's formats: types as people write them, 64-bit numbers, bounds, and files that are damaged. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { decodeAvro, encodeAvro } from "../../src/services/catalogd/avro.ts";
import { toDataFile } from "../../src/services/catalogd/datafile.ts";
import { walkFields } from "../../src/services/catalogd/fields.ts";
import { footerLength, readFooter } from "../../src/services/catalogd/footer.ts";
import { formatIcebergJson, parseIcebergJson } from "../../src/services/catalogd/json.ts";
import { decodeManifest, type ManifestFile } from "../../src/services/catalogd/manifest.ts";
import { fieldIdsAfter, formatType, parseType } from "../../src/services/catalogd/types.ts";
import {
  decodeBound,
  encodeBound,
  truncateLower,
  truncateUpper,
} from "../../src/services/catalogd/values.ts";
import { LakeError } from "../../src/shared/errors.ts";
import { columns, parquetOf } from "../support/lake.ts";

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
