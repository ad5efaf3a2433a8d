/** Tables written here, read by PyIceberg: metadata, manifests, statistics, bounds and values. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { rmSync } from "node:fs";
import type { IcebergType } from "../../src/services/catalogd/schema.ts";
import { type RunningHouse, startHouse } from "../support/house.ts";
import { append, columns, type Lake, lakeAt, parquetOf, rowsOf, writeDataFile } from "../support/lake.ts";
import { openReader, preparePython, type Reader, type ReadOptions } from "./pyiceberg.ts";

const TIMEOUT_MS = 120_000;
const prepared = preparePython();
const is_missing = "missing" in prepared;
if (is_missing) console.error(`\nSKIPPED, NOTHING WAS CHECKED: no PyIceberg here: ${prepared.missing}\n`);

// In CI a check that did not run is a failure.
const there = is_missing && process.env.CI !== "true" ? test.skip : test;
there("PyIceberg is there", () => expect(prepared).toHaveProperty("python"));

const list = (id: number, element: IcebergType): IcebergType => ({
  type: "list",
  "element-id": id,
  element,
  "element-required": false,
});

/** Every type a table may have, and rows with nulls, extremes and long texts. */
const types: Record<string, IcebergType> = {
  b: "boolean",
  i: "int",
  l: "long",
  f: "float",
  d: "double",
  m4: "decimal(4,2)",
  m18: "decimal(18,6)",
  m38: "decimal(38,10)",
  dt: "date",
  tm: "time",
  ts: "timestamp",
  tz: "timestamptz",
  s: "string",
  u: "uuid",
  bin: "binary",
  st: { type: "struct", fields: columns({ x: "int", y: "string" }) },
  li: list(0, "long"),
  ma: { type: "map", "key-id": 0, key: "string", "value-id": 0, value: "double", "value-required": false },
};
const everyType = (from: number, to: number) => `
  SELECT i % 2 = 0 AS b, (i * 7 - 3000)::INTEGER AS i, CASE WHEN i % 5 = 0 THEN NULL ELSE i * 1000000000000003 END AS l,
    ((i + 1) / 3)::FLOAT AS f, (i / 7 - 50)::DOUBLE AS d, (i % 90 - 45.25)::DECIMAL(4,2) AS m4,
    (i * -1.000001)::DECIMAL(18,6) AS m18, (i * 1234567890123456789.5)::DECIMAL(38,10) AS m38,
    DATE '1969-12-01' + i::INTEGER AS dt, TIME '00:00:00' + to_microseconds(i * 1000001) AS tm,
    TIMESTAMP '1969-12-31 23:59:59' + to_microseconds(i * 86400000001) AS ts,
    (TIMESTAMPTZ '1960-01-01 00:00:00+00') + to_microseconds(i * 3600000001) AS tz,
    CASE WHEN i % 3 = 0 THEN NULL ELSE repeat('é', 10) || '\u{10FFFF}' || repeat('z', 10) || i END AS s,
    md5('x' || i)::UUID AS u, encode('bytes of some length ' || i) AS bin,
    {x: i::INTEGER, y: 'y' || i} AS st, [i, NULL, i + 1] AS li, MAP {'k' || i: i::DOUBLE} AS ma
  FROM range(${from}, ${to}) t(i)`;

describe.if(!is_missing)("PyIceberg", () => {
  let house: RunningHouse;
  let lake: Lake;
  let reader: Reader;
  beforeAll(async () => {
    house = await startHouse("mounted");
    lake = lakeAt(house);
    reader = openReader((prepared as { python: string }).python, house.data_dir);
  });
  afterAll(async () => {
    reader.close();
    await house.stop();
    rmSync(house.data_dir, { recursive: true, force: true });
  });

  const read = async (name: string, options: ReadOptions = {}) =>
    reader.read((await lake.catalog.manifest(name, {})).metadata_location, options);
  /** Rows that only one of two queries has. */
  const difference = (one: string, other: string) =>
    rowsOf(`(FROM (${one}) EXCEPT ALL FROM (${other})) UNION ALL (FROM (${other}) EXCEPT ALL FROM (${one}))`);

  test(
    "reads every type, its statistics and its bounds as it would write them itself",
    async () => {
      const { uuid, fields } = await lake.catalog.create("every.type", { fields: columns(types) });
      const first = await append(lake, "every.type", everyType(0, 1000));
      const table = await lake.catalog.describe("every.type");
      const groups = await writeDataFile(lake, table, everyType(1000, 9000), ", ROW_GROUP_SIZE 2048");
      const second = await lake.catalog.commit("every.type", {
        operation: "append",
        add: [{ key: groups }],
        remove: [],
      });
      expect(BigInt(first.snapshot_id) > 2n ** 53n || BigInt(second.snapshot_id) > 2n ** 53n).toBe(true);

      const seen = await read("every.type", { own_statistics: true });
      expect(await difference(everyType(0, 9000), `FROM '${seen.rows_path}'`)).toEqual([]);
      expect(seen).toMatchObject({
        uuid,
        format_version: 2,
        last_sequence_number: 2,
        current_snapshot_id: second.snapshot_id,
        main: second.snapshot_id,
        log: [first.snapshot_id, second.snapshot_id],
        snapshots: [
          [first.snapshot_id, "None", 1, 0],
          [second.snapshot_id, first.snapshot_id, 2, 0],
        ],
        summary: { "total-records": "9000", "total-data-files": "2", "added-records": "8000" },
      });
      expect(seen.fields.map(([id, name]) => [id, name])).toEqual(fields.map((it) => [it.id, it.name]));
      const entries = seen.manifests.flatMap((it) => it.entries);
      expect(seen.manifests.map((it) => [it.sequence_number, it.counts])).toEqual([
        [2, [1, 0, 0]],
        [1, [1, 0, 0]],
      ]);
      expect(entries.map((it) => it.sequence_number)).toEqual([2, 1]);
      expect(entries[0]?.ours.split_offsets.length).toBe(4);
      for (const { ours, theirs } of entries) {
        if (!theirs) throw new Error("no statistics of PyIceberg's own");
        // Whatever bound it keeps, ours has the same bytes; we may keep more.
        for (const bounds of ["lower_bounds", "upper_bounds"] as const)
          for (const [id, bound] of Object.entries(theirs[bounds]))
            expect([id, ours[bounds][id]]).toEqual([id, bound]);
        const { lower_bounds: _l, upper_bounds: _u, ...counts } = ours;
        const { lower_bounds: _tl, upper_bounds: _tu, ...theirCounts } = theirs;
        expect(counts).toEqual(theirCounts);
      }
      const id = (name: string) => String(fields.find((it) => it.name === name)?.id);
      expect(entries[1]?.lower[id("i")]).toBe("-3000");
      expect(entries[1]?.upper[id("l")]).toBe(String(999n * 1000000000000003n));
      expect(entries[1]?.upper[id("s")]).toBe(`${"é".repeat(10)}\u{10FFFF}zzzz{`);
      expect(entries[1]?.lower[id("m38")]).toBe("0E-10");
    },
    TIMEOUT_MS,
  );

  test(
    "plans the same files as we do",
    async () => {
      await lake.catalog.create("pruned", { fields: columns({ n: "long", s: "string", dt: "date" }) });
      for (const from of [0, 100, 200])
        await append(
          lake,
          "pruned",
          `SELECT i::BIGINT AS n, 'name ' || i AS s, DATE '2020-01-01' + i::INTEGER AS dt FROM range(${from}, ${from + 100}) t(i)`,
        );
      const same = async (
        row_filter: string,
        column: string,
        op: "=" | ">=" | "<",
        value: string | number,
      ) => {
        const { planned } = await read("pruned", { row_filter });
        const ours = await lake.catalog.plan({ name: "pruned", filters: [{ column, op, values: [value] }] });
        expect(ours.files.map((it) => it.location).sort()).toEqual(planned);
        return planned.length;
      };
      expect(await same("n >= 150", "n", ">=", 150)).toBe(2);
      expect(await same("n = 1000", "n", "=", 1000)).toBe(0);
      expect(await same("dt < '2020-04-10'", "dt", "<", "2020-04-10")).toBe(1);
      expect(await same("s = 'name 250'", "s", "=", "name 250")).toBe(2);
    },
    TIMEOUT_MS,
  );

  test(
    "reads an evolved schema, removed files, older snapshots and what a rollback left",
    async () => {
      const shape = columns({ n: "int", f: "float", m: "decimal(5,2)", old: "string", gone: "long" });
      await lake.catalog.create("evolved", { fields: shape });
      const before = await append(
        lake,
        "evolved",
        "SELECT 1::INTEGER AS n, 1.5::FLOAT AS f, 1.25::DECIMAL(5,2) AS m, 'a' AS old, 7::BIGINT AS gone",
      );
      await lake.catalog.evolve("evolved", {
        changes: [
          { change: "widen", path: "n", type: "long" },
          { change: "widen", path: "f", type: "double" },
          { change: "widen", path: "m", type: "decimal(20,2)" },
          { change: "rename", path: "old", to: "new" },
          { change: "drop", path: "gone" },
          { change: "add", field: { name: "gone", required: false, type: "string" } },
          { change: "add", field: { name: "tags", required: false, type: list(0, "string") } },
        ],
      });
      const rows =
        "SELECT 2::BIGINT AS n, 2.5::DOUBLE AS f, 2.25::DECIMAL(20,2) AS m, 'b' AS new, 'g' AS gone, ['t'] AS tags";
      const after = await append(lake, "evolved", rows);
      const all = `SELECT 1::BIGINT AS n, 1.5::DOUBLE AS f, 1.25::DECIMAL(20,2) AS m, 'a' AS new, NULL::VARCHAR AS gone, NULL::VARCHAR[] AS tags UNION ALL ${rows}`;
      const seen = await read("evolved");
      expect(await difference(all, `FROM '${seen.rows_path}'`)).toEqual([]);
      expect(seen.fields.map(([id, name, type]) => [id, name, type])).toEqual([
        [1, "n", "long"],
        [2, "f", "double"],
        [3, "m", "decimal(20, 2)"],
        [4, "new", "string"],
        [6, "gone", "string"],
        [7, "tags", "list<string>"],
      ]);
      const travelled = await read("evolved", { snapshot_id: before.snapshot_id });
      expect(await rowsOf(`SELECT n, old, gone FROM '${travelled.rows_path}'`)).toEqual([[1, "a", "7"]]);

      const removed = await lake.catalog.commit("evolved", {
        operation: "delete",
        add: [],
        remove: [before.key],
      });
      const left = await read("evolved");
      expect(await difference(rows, `FROM '${left.rows_path}'`)).toEqual([]);
      expect(
        left.manifests.flatMap((it) =>
          it.entries.map(({ status, sequence_number }) => [status, sequence_number]),
        ),
      ).toEqual([
        [1, 2],
        [2, 1],
      ]);
      await lake.catalog.rollback("evolved", { snapshot_id: after.snapshot_id });
      const back = await read("evolved");
      expect(await difference(all, `FROM '${back.rows_path}'`)).toEqual([]);
      expect(back).toMatchObject({ current_snapshot_id: after.snapshot_id, main: after.snapshot_id });
      expect(back.log).toEqual([
        before.snapshot_id,
        after.snapshot_id,
        removed.snapshot_id,
        after.snapshot_id,
      ]);
    },
    TIMEOUT_MS,
  );

  test(
    "reads registered files by name, many merged manifests, and a table after maintenance",
    async () => {
      await lake.storage.put(
        "up/plain.parquet",
        await parquetOf("SELECT range AS id, {a: range} AS n FROM range(50)"),
      );
      await lake.catalog.register({
        name: "plain",
        schema: [
          { name: "id", type: "bigint", nullable: true },
          { name: "n", type: "struct<a: bigint>", nullable: true },
        ],
        objects: [{ key: "up/plain.parquet", rows: 50 }],
      });
      await lake.catalog.evolve("plain", { changes: [{ change: "rename", path: "n.a", to: "b" }] });
      const plain = await read("plain");
      expect(
        await difference("SELECT range AS id, {b: range} AS n FROM range(50)", `FROM '${plain.rows_path}'`),
      ).toEqual([]);

      const properties = { "commit.manifest.min-count-to-merge": "5" };
      const table = await lake.catalog.create("many", { fields: columns({ id: "long" }), properties });
      for (let at = 0; at < 12; at++) {
        const key = await writeDataFile(lake, table, `SELECT ${at}::BIGINT AS id`);
        await lake.catalog.commit("many", { operation: "append", add: [{ key }], remove: [] });
      }
      await lake.catalog.maintain({ table: "many", snapshot_max_age_ms: 0, orphan_min_age_ms: 0 });
      const many = await read("many");
      expect(await rowsOf(`SELECT list(id ORDER BY id) FROM '${many.rows_path}'`)).toEqual([
        [Array.from({ length: 12 }, (_, at) => String(at))],
      ]);
      expect(many.manifests.length).toBeLessThan(6);
      const sequences = many.manifests.flatMap((it) => it.entries.map((entry) => entry.sequence_number));
      expect(sequences.sort((a, b) => a - b)).toEqual(Array.from({ length: 12 }, (_, at) => at + 1));
      expect(many.snapshots).toHaveLength(1);
    },
    TIMEOUT_MS,
  );
});
