/** Registration at the wire, in both compositions; names, and the list of tables. */
import { expect, test } from "bun:test";
import { schemaFingerprint } from "../../src/services/catalogd/drift.ts";
import type { Registration } from "../../src/services/catalogd/schema.ts";
import { inBothCompositions } from "../support/house.ts";
import { columns, failing, lakeAt, parquetOf } from "../support/lake.ts";

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
