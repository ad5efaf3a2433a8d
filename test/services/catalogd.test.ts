/** catalogd at the wire, in both compositions: tables are made, filled, planned, travelled in and rolled back. */
import { expect, test } from "bun:test";
import type { Commit } from "../../src/services/catalogd/schema.ts";
import { inBothCompositions } from "../support/house.ts";
import { append, columns, failing, lakeAt, writeDataFile } from "../support/lake.ts";

const appending = (key: string): Commit => ({ operation: "append", add: [{ key }], remove: [] });

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
