/** Schema evolution and maintenance at the wire, in both compositions. */
import { expect, test } from "bun:test";
import { existsSync, readFileSync, utimesSync } from "node:fs";
import { join } from "node:path";
import { inBothCompositions } from "../support/house.ts";
import { append, columns, failing, lakeAt, writeDataFile } from "../support/lake.ts";

inBothCompositions("catalogd schema evolution", (start) => {
  test("columns are added, widened, renamed, dropped and made optional, nested ones too", async () => {
    const lake = lakeAt(await start());
    const { catalog } = lake;
    const place = { type: "struct" as const, fields: columns({ city: "string", zip: "int" }) };
    await catalog.create("evolve", { fields: columns({ n: "int", d: "decimal(5,2)", place, f: "float" }) });
    const sql =
      "SELECT 1::INTEGER AS n, 1.25::DECIMAL(5,2) AS d, {city: 'x', zip: 1} AS place, 2::FLOAT AS f";
    const before = await append(lake, "evolve", sql);
    const evolved = await catalog.evolve("evolve", {
      changes: [
        { change: "widen", path: "n", type: "bigint" },
        { change: "widen", path: "d", type: "decimal(9,2)" },
        { change: "rename", path: "place.city", to: "town" },
        { change: "add", parent: "place", field: { name: "country", required: false, type: "string" } },
        {
          change: "add",
          field: {
            name: "tags",
            required: false,
            type: { type: "list", "element-id": 0, element: "string", "element-required": false },
          },
        },
        { change: "drop", path: "f" },
      ],
    });
    expect(evolved.schema_id).toBe(1);
    expect(evolved.fields.map((it) => [it.id, it.name])).toEqual([
      [1, "n"],
      [2, "d"],
      [3, "place"],
      [8, "tags"],
    ]);
    expect(evolved.last_column_id).toBe(9);
    const fields = evolved.fields[2]?.type as typeof place;
    expect(fields.fields.map((it) => [it.id, it.name])).toEqual([
      [5, "town"],
      [6, "zip"],
      [7, "country"],
    ]);
    const mapping = JSON.stringify((await catalog.plan({ name: "evolve" })).name_mapping);
    expect(mapping).toContain('["town","city"]');
    const then = await catalog.plan({ name: "evolve", snapshot_id: before.snapshot_id });
    expect(then.fields.map((it) => it.name)).toEqual(["n", "d", "place", "f"]);
    await append(
      lake,
      "evolve",
      "SELECT 2::BIGINT AS n, {town: 'y', zip: 2, country: 'z'} AS place, ['t'] AS tags",
    );
    const late = await catalog.plan({ name: "evolve", filters: [{ column: "n", op: "=", values: [1] }] });
    expect(late.files.map((it) => it.key)).toEqual([before.key]);

    const refused = async (change: Parameters<typeof catalog.evolve>[1]["changes"][0], code: string) =>
      expect(await failing(catalog.evolve("evolve", { changes: [change] }))).toMatchObject({ code });
    await refused({ change: "widen", path: "n", type: "int" }, "conflict");
    await refused({ change: "widen", path: "d", type: "decimal(10,3)" }, "conflict");
    await refused({ change: "rename", path: "n", to: "D" }, "conflict");
    await refused({ change: "drop", path: "nn" }, "invalid");
    await refused({ change: "add", field: { name: "N", required: false, type: "int" } }, "conflict");
    await refused({ change: "add", field: { name: "x", required: false, type: "list" } }, "invalid");
    expect(
      await failing(
        catalog.evolve("evolve", { changes: [{ change: "drop", path: "n" }], base_schema_id: 0 }),
      ),
    ).toMatchObject({ code: "conflict" });
    expect((await catalog.describe("evolve")).schema_id).toBe(1);
  });
});

inBothCompositions("catalogd maintenance", (start) => {
  test("expires snapshots and removes what nothing refers to, and nothing else", async () => {
    const house = await start();
    const lake = lakeAt(house);
    const { catalog, storage } = lake;
    const table = await catalog.create("kept", { fields: columns({ id: "long" }) });
    const old = await append(lake, "kept", "SELECT 1::BIGINT AS id");
    const stays = await writeDataFile(lake, table, "SELECT 2::BIGINT AS id");
    const base = { operation: "overwrite" as const, add: [{ key: stays }], remove: [old.key] };
    const now = await catalog.commit("kept", base);
    const orphan = await writeDataFile(lake, table, "SELECT 3::BIGINT AS id");
    await catalog.create("dropped", { fields: columns({ id: "long" }) });
    await append(lake, "dropped", "SELECT 1::BIGINT AS id");
    await catalog.drop("dropped", {});
    const stray = "warehouse/default/never-01234567/data/x.parquet";
    const foreign = "warehouse/notes/readme.txt";
    for (const key of [stray, foreign]) await storage.put(key, new Uint8Array([1]), {});
    const there = async (key: string) => existsSync(join(house.data_dir, "storage", key));

    // Written long ago, and let go of just now: a reader that planned a moment ago may still need it.
    const long_ago_s = Date.now() / 1000 - 10 * 86_400;
    utimesSync(join(house.data_dir, "storage", old.key), long_ago_s, long_ago_s);
    const young = await catalog.maintain({ snapshot_max_age_ms: 0 });
    expect(young.tables).toMatchObject([{ expired_snapshots: [old.snapshot_id], removed: { files: 0 } }]);
    expect(await there(old.key)).toBe(true);
    const dry = await catalog.maintain({ dry_run: true, orphan_min_age_ms: 0 });
    expect(dry.folders.map((it) => it.folder.replace(/-[0-9a-f]{8}$/, "")).sort()).toEqual([
      "warehouse/default/dropped",
      "warehouse/default/never",
    ]);
    expect(await there(stray)).toBe(true);
    const done = await catalog.maintain({ orphan_min_age_ms: 0 });
    expect(done.failures).toEqual([]);
    expect(done.tables[0]?.removed).toEqual(dry.tables[0]?.removed as (typeof done.tables)[0]["removed"]);
    expect(done.tables[0]?.removed.samples).toContain(orphan);
    for (const key of [old.key, orphan, stray]) expect(await there(key)).toBe(false);
    for (const key of [stays, foreign]) expect(await there(key)).toBe(true);
    const plan = await catalog.plan({ name: "kept" });
    expect(plan).toMatchObject({ snapshot_id: now.snapshot_id, files: [{ key: stays }] });
    expect(await failing(catalog.plan({ name: "kept", snapshot_id: old.snapshot_id }))).toMatchObject({
      code: "not_found",
    });
    const again = await catalog.maintain({ orphan_min_age_ms: 0 });
    expect(again).toMatchObject({ tables: [{ expired_snapshots: [], removed: { files: 0 } }], folders: [] });
    // The table is whole: its metadata is there and can be added to.
    const { metadata_location } = await catalog.manifest("kept", {});
    const text = readFileSync(
      join(house.data_dir, "storage", metadata_location.slice("s3://lakehouse/".length)),
      "utf8",
    );
    expect(JSON.parse(text)["snapshot-log"]).toHaveLength(1);
    await append(lake, "kept", "SELECT 4::BIGINT AS id");
    expect((await catalog.manifest("kept", {})).rows).toBe(2);
  });

  test("a dropped table's name is free again, and purge takes its files at once", async () => {
    const house = await start();
    const lake = lakeAt(house);
    await lake.catalog.create("gone", { fields: columns({ id: "long" }) });
    await append(lake, "gone", "SELECT 1::BIGINT AS id");
    const remove = (query: string) =>
      fetch(`${house.url}/v1/catalog/dataset/gone${query}`, { method: "DELETE" }).then((it) => it.status);
    expect(await remove("?purge=true")).toBe(204);
    expect((await lake.storage.list({ prefix: "warehouse/" })).objects).toEqual([]);
    expect(await remove("")).toBe(404);
    await lake.catalog.create("gone", { fields: columns({ other: "string" }) });
    expect((await lake.catalog.describe("gone")).snapshot_id).toBeNull();
  });
});
