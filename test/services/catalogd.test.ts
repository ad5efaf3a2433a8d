/** catalogd at the wire, in both compositions: tables are made, changed, planned, travelled in and cleaned up. */
import { expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { schemaFingerprint } from "../../src/services/catalogd/drift.ts";
import type { Commit, Registration } from "../../src/services/catalogd/schema.ts";
import { inBothCompositions } from "../support/house.ts";
import { append, columns, lakeAt, parquetOf, writeDataFile } from "../support/lake.ts";

const appending = (key: string): Commit => ({ operation: "append", add: [{ key }], remove: [] });
const failing = async (promise: Promise<unknown>) => {
  const error = await promise.then(
    () => undefined,
    (error) => error,
  );
  return { code: error?.code, message: error?.message as string, details: error?.details };
};

inBothCompositions("catalogd tables", (start) => {
  test("a table is made, filled, planned, travelled in and rolled back", async () => {
    const lake = lakeAt(await start());
    const { catalog } = lake;
    const made = await catalog.create("trips", { fields: columns({ id: "long", city: "string" }) });
    expect(made).toMatchObject({ name: "trips", snapshot_id: null, schema_id: 0, last_column_id: 2 });
    expect(made.location).toMatch(/^s3:\/\/lakehouse\/warehouse\/default\/trips-[0-9a-f]{8}$/);
    expect(await catalog.plan({ name: "trips" })).toMatchObject({ snapshot_id: null, files: [] });

    const first = await append(lake, "trips", "SELECT range AS id, 'a' AS city FROM range(10)");
    await Bun.sleep(5);
    const between = new Date().toISOString();
    await Bun.sleep(5);
    const second = await append(lake, "trips", "SELECT range AS id, 'b' AS city FROM range(100, 120)");
    expect(second.summary).toMatchObject({
      operation: "append",
      "added-records": "20",
      "total-records": "30",
      "total-data-files": "2",
      "total-delete-files": "0",
    });

    const now = await catalog.plan({ name: "trips" });
    expect(now.files.map((it) => it.key).sort()).toEqual([first.key, second.key].sort());
    expect(now.files.every((it) => it.location === `s3://lakehouse/${it.key}`)).toBe(true);
    const pruned = await catalog.plan({
      name: "trips",
      filters: [{ column: "id", op: ">=", values: [100] }],
    });
    expect(pruned).toMatchObject({ files: [{ key: second.key, rows: 20 }], files_pruned: 1 });
    const old = await catalog.plan({ name: "trips", snapshot_id: first.snapshot_id });
    expect(old.files.map((it) => it.key)).toEqual([first.key]);
    expect((await catalog.plan({ name: "trips", as_of: between })).snapshot_id).toBe(first.snapshot_id);
    expect(await failing(catalog.plan({ name: "trips", as_of: "2001-01-01T00:00:00Z" }))).toMatchObject({
      code: "not_found",
    });
    expect(await failing(catalog.plan({ name: "trips", as_of: "yesterday" }))).toMatchObject({
      code: "invalid",
    });
    expect(await failing(catalog.plan({ name: "trips", snapshot_id: "12345" }))).toMatchObject({
      code: "not_found",
    });

    const back = await catalog.rollback("trips", { as_of: between });
    expect(back.snapshot_id).toBe(first.snapshot_id);
    const history = await catalog.history("trips", {});
    expect(
      history.snapshots.map(({ snapshot_id, current, ancestor }) => [snapshot_id, current, ancestor]),
    ).toEqual([
      [second.snapshot_id, false, false],
      [first.snapshot_id, true, true],
    ]);
    const stale = { snapshot_id: second.snapshot_id, base_snapshot_id: second.snapshot_id };
    expect(await failing(catalog.rollback("trips", stale))).toMatchObject({ code: "conflict" });
    await catalog.rollback("trips", { snapshot_id: second.snapshot_id });
    expect((await catalog.manifest("trips", {})).rows).toBe(30);
    expect(await catalog.manifest("trips", { snapshot_id: first.snapshot_id })).toMatchObject({
      rows: 10,
      files: 1,
      objects: [{ key: first.key, rows: 10 }],
    });
  });

  test("a commit is made once for its idempotency key, and found again after a restart", async () => {
    const house = await start();
    const lake = lakeAt(house);
    const table = await lake.catalog.create("once", { fields: columns({ id: "long" }) });
    const key = await writeDataFile(lake, table, "SELECT range AS id FROM range(3)");
    const commit = { ...appending(key), idempotency_key: "k1", summary: { "ingest.rows": "3" } };
    expect(await lake.catalog.committed("once", "k1")).toBeNull();
    const made = await lake.catalog.commit("once", commit);
    expect(made).toMatchObject({ repeated: false, summary: { "ingest.rows": "3" } });
    const again = { repeated: true, snapshot_id: made.snapshot_id, summary: made.summary };
    expect(await lake.catalog.commit("once", commit)).toMatchObject(again);
    await house.stop();
    const restarted = lakeAt(await start({}, house.data_dir));
    expect(await restarted.catalog.commit("once", commit)).toMatchObject(again);
    expect(await restarted.catalog.committed("once", "k1")).toMatchObject(again);
    expect((await restarted.catalog.plan({ name: "once" })).files).toHaveLength(1);
  });

  test("a commit can make the table with its first files in one step", async () => {
    const lake = lakeAt(await start());
    const fields = columns({ id: "long", note: "string" });
    const location = "s3://lakehouse/warehouse/sales/orders-0a1b2c3d";
    const draft = { name: "", uuid: "", schema_id: 0, identifier_field_ids: [], last_column_id: 2 };
    const staged = { ...draft, location, fields, snapshot_id: null, properties: {} };
    const key = await writeDataFile(lake, staged, "SELECT 1::BIGINT AS id, 'x' AS note");
    const create = { fields, location, properties: { "ingest.digest": "d" } };
    const made = await lake.catalog.commit("sales.orders", { ...appending(key), create });
    expect(made.table).toMatchObject({
      name: "sales.orders",
      location,
      properties: { "ingest.digest": "d" },
    });
    expect((await lake.catalog.plan({ name: "sales.orders" })).files).toMatchObject([{ key, rows: 1 }]);
    expect(await failing(lake.catalog.commit("sales.orders", { ...appending(key), create }))).toMatchObject({
      code: "conflict",
    });
  });

  test("files that don't fit the table are refused, saying why", async () => {
    const lake = lakeAt(await start());
    const fields = columns({ id: "long", city: "string" });
    const table = await lake.catalog.create("strict", {
      fields: fields.map((it) => ({ ...it, required: it.name === "id" })),
    });
    const refused = async (sql: string, shape: typeof table.fields, why: RegExp, code = "invalid") => {
      const key = await writeDataFile(lake, { ...table, fields: shape }, sql);
      const failure = await failing(lake.catalog.commit("strict", appending(key)));
      expect(failure).toMatchObject({ code, message: expect.stringMatching(why) });
    };
    await refused("SELECT 'x' AS id, 'y' AS city", fields, /"id" is string, and the table's is long/);
    await refused("SELECT NULL::BIGINT AS id, 'y' AS city", fields, /1 null values/);
    await refused("SELECT 'y' AS city", [fields[1] as (typeof fields)[0]], /lacks the required column "id"/);
    const misnumbered = columns({ city: "string", id: "long" });
    await refused(
      "SELECT 'y' AS city, 1::BIGINT AS id",
      misnumbered,
      /written for another schema/,
      "conflict",
    );
    const text = new TextEncoder().encode("id,city\n1,a\n");
    const folder = table.location.slice("s3://lakehouse/".length);
    await lake.storage.put(`${folder}/data/not.parquet`, text, {});
    expect(
      await failing(lake.catalog.commit("strict", appending(`${folder}/data/not.parquet`))),
    ).toMatchObject({
      code: "invalid",
      message: expect.stringContaining("not a Parquet file"),
    });
    expect(
      await failing(lake.catalog.commit("strict", appending(`${folder}/data/gone.parquet`))),
    ).toMatchObject({
      code: "not_found",
    });
    expect(await failing(lake.catalog.commit("strict", appending("uploads/x.parquet")))).toMatchObject({
      code: "invalid",
    });
    const widths = await writeDataFile(lake, table, "SELECT 1::INTEGER AS id");
    expect(await lake.catalog.commit("strict", appending(widths))).toMatchObject({ repeated: false });
    expect(await failing(lake.catalog.commit("strict", appending(widths)))).toMatchObject({
      message: expect.stringContaining("in the table already"),
    });
  });

  test("overwrites and removals answer 409 where their base has moved", async () => {
    const lake = lakeAt(await start());
    const table = await lake.catalog.create("moved", { fields: columns({ id: "long" }) });
    const one = await append(lake, "moved", "SELECT 1::BIGINT AS id");
    const two = await append(lake, "moved", "SELECT 2::BIGINT AS id");
    const fresh = await writeDataFile(lake, table, "SELECT 3::BIGINT AS id");
    const overwrite: Commit = { operation: "overwrite", add: [{ key: fresh }], remove: [one.key] };
    const on = (base_snapshot_id: string) => lake.catalog.commit("moved", { ...overwrite, base_snapshot_id });
    expect(await failing(on(one.snapshot_id))).toMatchObject({ code: "conflict" });
    const made = await on(two.snapshot_id);
    expect(made.summary).toMatchObject({
      "deleted-data-files": "1",
      "total-records": "2",
      "total-data-files": "2",
    });
    const keys = async () => (await lake.catalog.plan({ name: "moved" })).files.map((it) => it.key).sort();
    expect(await keys()).toEqual([two.key, fresh].sort());
    const gone: Commit = { operation: "delete", add: [], remove: [one.key] };
    expect(await failing(lake.catalog.commit("moved", gone))).toMatchObject({ code: "conflict" });
    const all = await lake.catalog.commit("moved", { operation: "delete", add: [], remove: "all" });
    expect(all.summary).toMatchObject({
      "deleted-records": "2",
      "total-records": "0",
      "total-files-size": "0",
    });
    expect(await keys()).toEqual([]);
  });
});

inBothCompositions("catalogd registration", (start) => {
  test("objects become a table; the same again is 200, drift and other objects are 409", async () => {
    const house = await start();
    const { catalog, storage } = lakeAt(house);
    await storage.put("uploads/a.parquet", await parquetOf("SELECT range AS id, 'x' AS city FROM range(5)"));
    const registration: Registration = {
      name: "reg",
      schema: [
        { name: "id", type: "bigint", nullable: true },
        { name: "city", type: "varchar", nullable: true },
      ],
      objects: [{ key: "uploads/a.parquet", rows: 5 }],
    };
    const post = (body: object) =>
      fetch(`${house.url}/v1/catalog/register`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(body),
      });
    const first = await post(registration);
    expect(first.status).toBe(201);
    const made = (await first.json()) as Awaited<ReturnType<typeof catalog.register>>;
    expect(made).toMatchObject({
      name: "reg",
      existing: false,
      rows: 5,
      schema: [{ type: "long" }, { type: "string" }],
    });
    expect(made.objects[0]?.key).toMatch(/^warehouse\/default\/reg-[0-9a-f]{8}\/data\//);
    expect(made.schema_fingerprint).toBe(schemaFingerprint(made.schema));
    const again = await post({ ...registration, schema_fingerprint: made.schema_fingerprint });
    expect(again.status).toBe(200);
    expect(await again.json()).toMatchObject({ existing: true, snapshot_id: made.snapshot_id });

    const drifted = await post({
      ...registration,
      schema: [
        { name: "id", type: "string", nullable: false },
        { name: "extra", type: "date", nullable: true },
      ],
    });
    expect(drifted.status).toBe(409);
    expect(await drifted.json()).toMatchObject({
      code: "conflict",
      difference: [
        { column: "id", change: "type", registered: "long", given: "string" },
        { column: "id", change: "nullable", registered: "nullable", given: "not nullable" },
        { column: "city", change: "removed", registered: "string", given: null },
        { column: "extra", change: "added", registered: null, given: "date" },
      ],
    });
    expect(
      await failing(catalog.register({ ...registration, schema_fingerprint: "0".repeat(64) })),
    ).toMatchObject({
      code: "conflict",
      details: { schema_fingerprint: made.schema_fingerprint },
    });
    expect(await failing(catalog.register({ ...registration, objects: [] }))).toMatchObject({
      code: "conflict",
      details: { objects: { missing: ["uploads/a.parquet"] } },
    });
    await storage.put("uploads/a.parquet", await parquetOf("SELECT range AS id, 'y' AS city FROM range(5)"));
    expect(await failing(catalog.register(registration))).toMatchObject({
      code: "conflict",
      details: { objects: { changed: ["uploads/a.parquet"] } },
    });
    expect((await catalog.plan({ name: "reg" })).files).toHaveLength(1);
  });

  test("objects that are missing, no Parquet or of another shape are refused, and leave nothing", async () => {
    const { catalog, storage } = lakeAt(await start());
    await storage.put("up/ok.parquet", await parquetOf("SELECT 1::INTEGER AS n"));
    await storage.put("up/text.parquet", new TextEncoder().encode("n\n1\n"));
    const register = (key: string, type: string, rows?: number) =>
      failing(
        catalog.register({
          name: "bad",
          schema: [{ name: "n", type, nullable: true }],
          objects: [{ key, rows }],
        }),
      );
    expect(await register("up/none.parquet", "int")).toMatchObject({
      code: "not_found",
      message: expect.stringContaining("up/none.parquet"),
    });
    expect(await register("up/text.parquet", "int")).toMatchObject({ code: "invalid" });
    expect(await register("up/ok.parquet", "varchar")).toMatchObject({
      code: "invalid",
      message: expect.stringContaining('"n" is int, and the table\'s is string'),
    });
    expect(await register("up/ok.parquet", "int", 2)).toMatchObject({
      message: expect.stringContaining("1 rows, not 2"),
    });
    expect(await register("up/ok.parquet", "integr")).toMatchObject({ code: "invalid" });
    expect(await catalog.names()).toEqual([]);
    expect((await storage.list({ prefix: "warehouse/" })).objects).toEqual([]);
  });

  test("objects that have field ids keep them", async () => {
    const { catalog, storage } = lakeAt(await start());
    const fields = columns({
      a: "long",
      b: { type: "list", "element-id": 9, element: "string", "element-required": false },
    });
    const renumbered = fields.map((it) => ({ ...it, id: it.id + 20 }));
    await storage.put("up/ids.parquet", await parquetOf("SELECT 1::BIGINT AS a, ['x'] AS b", renumbered));
    await catalog.register({
      name: "ids",
      schema: [
        { name: "a", type: "int64", nullable: true },
        { name: "b", type: "text[]", nullable: true },
      ],
      objects: [{ key: "up/ids.parquet" }],
    });
    const { fields: kept, last_column_id } = await catalog.describe("ids");
    expect(kept.map((it) => it.id)).toEqual([21, 22]);
    expect(kept[1]?.type).toMatchObject({ "element-id": 9 });
    expect(last_column_id).toBe(22);
  });

  test("lists tables page by page, and finds names whatever their case", async () => {
    const { catalog } = lakeAt(await start());
    const names = ["b.two", "zebra", "a.one", "apple", "b.three"];
    for (const name of names) await catalog.create(name, { fields: columns({ id: "long" }) });
    const seen: string[] = [];
    let cursor: string | undefined;
    do {
      const page = await catalog.list({ limit: 2, cursor });
      seen.push(...page.datasets.map((it) => it.name));
      cursor = page.next_cursor ?? undefined;
    } while (cursor !== undefined);
    expect(seen).toEqual([...names].sort());
    expect(await catalog.names()).toEqual([...names].sort());
    expect((await catalog.describe("APPLE")).name).toBe("apple");
    expect(await failing(catalog.create("Apple", { fields: columns({ id: "long" }) }))).toMatchObject({
      code: "conflict",
    });
    expect(await failing(catalog.describe("aple"))).toMatchObject({
      code: "not_found",
      message: expect.stringContaining("apple"),
    });
    for (const bad of ["", "a.b.c", "1a", "a-b", "x".repeat(129), "a.", "../x"])
      expect(await failing(catalog.describe(bad))).toMatchObject({ code: "invalid" });
    expect(await failing(catalog.list({ cursor: "%%%" }))).toMatchObject({ code: "invalid" });
  });
});

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
