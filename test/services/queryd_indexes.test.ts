/** Vector indexes in SQL: vectors('name') joined with tables, as new as what was acknowledged, behind its own scope. */
import { expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { createKey } from "../../src/shared/keys.ts";
import { inBothCompositions } from "../support/house.ts";
import { send } from "../support/ingest.ts";
import { refused, sendSql, sql } from "../support/sql.ts";
import { idsOf, vectorsAt } from "../support/vectors.ts";

const both = createKey("both");
const lake = createKey("lake");
const writer = createKey("writer");
const scopes = ["vectord:write", "vectord:read", "ingestd:write"];
const KEYS = JSON.stringify([
  { name: "both", sha256: both.sha256, scopes: ["queryd:read", ...scopes] },
  { name: "lake", sha256: lake.sha256, scopes: ["queryd:read"] },
  { name: "writer", sha256: writer.sha256, scopes },
]);

inBothCompositions("queryd: indexes", (start) => {
  test("an index is a table: joined with the lake's own, and with itself", async () => {
    const house = await start();
    const calls = vectorsAt(house.url);
    await calls.create("city-notes", 2);
    await calls.add("city-notes", [
      { id: "1", vector: [1, 0], metadata: { city: "Oslo", tags: ["a", "b"] }, text: "snow" },
      { id: "2", vector: [0, 1], metadata: { city: "Porto" }, expires_at: "2999-01-01T00:00:00.000Z" },
      { id: "3", vector: [1, 1], metadata: { city: "Gone" }, expires_at: "2001-01-01T00:00:00.000Z" },
    ]);
    const all = await sql(house, "SELECT * FROM vectors('city-notes') ORDER BY id;");
    expect(all.columns).toEqual([
      { name: "id", type: "VARCHAR" },
      { name: "text", type: "VARCHAR" },
      { name: "metadata", type: "JSON" },
      { name: "expires_at", type: "TIMESTAMP WITH TIME ZONE" },
    ]);
    expect(all.rows).toEqual([
      ["1", "snow", { city: "Oslo", tags: ["a", "b"] }, null],
      ["2", null, { city: "Porto" }, "2999-01-01T00:00:00Z"],
    ]);
    await send(house.url, "name=trips", '{"id":1,"fare":10}\n{"id":2,"fare":20}\n{"id":7,"fare":5}');
    const { results } = await calls.search("city-notes", { vector: [1, 0], k: 1 });
    const joined = await sql(house, {
      sql: "SELECT t.id, t.fare, v.metadata->>'city' AS city FROM trips t JOIN Vectors('city-notes') v ON v.id = t.id::VARCHAR WHERE list_contains($ids, v.id)",
      params: { ids: idsOf(results) },
    });
    expect(joined.rows).toEqual([[1, 10, "Oslo"]]);
    expect(Object.keys(joined.snapshot_ids)).toEqual(["trips"]);
    const counts =
      "SELECT count(*), count(b.id) FROM vectors('city-notes') a LEFT JOIN vectors('city-notes') b ON a.id < b.id";
    expect((await sql(house, counts)).rows).toEqual([[2, 1]]);
    for (const accept of ["application/x-ndjson", "text/csv", "application/vnd.apache.parquet"]) {
      const response = await sendSql(house, "SELECT id FROM vectors('city-notes')", accept);
      expect([accept, response.status]).toEqual([accept, 200]);
      expect((await response.bytes()).length).toBeGreaterThan(5);
    }
  }, 30_000);

  test("a statement that names vector has the vectors, of each index as long as they are; any other goes without", async () => {
    const house = await start();
    const calls = vectorsAt(house.url);
    await calls.create("flat", 2);
    await calls.add("flat", [
      { id: "east", vector: [1, 0] },
      { id: "north", vector: [0, 2] },
      { id: "gone", vector: [1, 1], expires_at: "2001-01-01T00:00:00.000Z" },
    ]);
    await calls.create("deep", 3);
    await calls.add("deep", [{ id: "up", vector: [0, 0, 0.5] }]);
    const named = await sql(house, "SELECT Vector, id FROM vectors('flat') ORDER BY id");
    expect(named.columns).toEqual([
      { name: "vector", type: "FLOAT[2]" },
      { name: "id", type: "VARCHAR" },
    ]);
    expect(named.rows).toEqual([
      [[1, 0], "east"],
      [[0, 2], "north"],
    ]);
    const nearest = (similarity: string) =>
      sql(house, {
        sql: `SELECT id, round(${similarity}, 3) AS s FROM vectors('flat') ORDER BY s DESC`,
        params: { asked: { type: "FLOAT[2]", value: [3, 4] } },
      });
    for (const name of ["array_cosine_similarity", "list_cosine_similarity"])
      expect((await nearest(`${name}(vector, $asked)`)).rows).toEqual([
        ["north", 0.8],
        ["east", 0.6],
      ]);
    const both = await sql(house, {
      sql: "SELECT a.id, b.id, a.vector, b.vector FROM vectors('flat') a, vectors('deep') b WHERE a.id = 'east'",
    });
    expect(both.columns.map(({ type }) => type)).toEqual(["VARCHAR", "VARCHAR", "FLOAT[2]", "FLOAT[3]"]);
    expect(both.rows).toEqual([["east", "up", [1, 0], [0, 0, 0.5]]]);
    const paired = "SELECT a.id FROM vectors('flat') a JOIN vectors('flat') b USING (vector) ORDER BY 1";
    expect((await sql(house, paired)).rows).toEqual([["east"], ["north"]]);
    const all = await sql(house, "SELECT * EXCLUDE (vector) FROM vectors('flat')");
    expect(all.columns.map(({ name }) => name)).toEqual(["id", "text", "metadata", "expires_at"]);
    const without = ["SELECT *, 'vector' AS word FROM vectors('flat')", "FROM vectors('flat')"];
    for (const statement of without)
      expect((await sql(house, statement)).columns.map(({ name }) => name)).not.toContain("vector");

    // Each form is as new as the other, and an empty index has its type as well.
    await calls.add("flat", [{ id: "east", vector: [-1, 0] }]);
    const one = "SELECT vector FROM vectors('flat') WHERE id = 'east'";
    expect((await sql(house, one)).rows).toEqual([[[-1, 0]]]);
    await calls.remove("deep", { ids: ["up"] });
    expect(await sql(house, "SELECT vector FROM vectors('deep')")).toMatchObject({
      columns: [{ name: "vector", type: "FLOAT[3]" }],
      rows: [],
    });
    expect(await refused(house, 'SELECT * FROM "index:flat"')).toMatchObject({ code: "sql_refused" });
    expect(await refused(house, "SELECT * FROM query_table('index:flat')")).toMatchObject({
      code: "sql_refused",
    });
    for (const accept of ["application/x-ndjson", "text/csv", "application/vnd.apache.parquet"])
      expect((await sendSql(house, "SELECT id, vector FROM vectors('flat')", accept)).status).toBe(200);
  }, 30_000);

  test("any query sees all that was acknowledged before it, whatever else asks meanwhile", async () => {
    const house = await start();
    const calls = vectorsAt(house.url);
    const step = fc.oneof(
      fc.record({ add: fc.uniqueArray(fc.nat({ max: 9 }), { minLength: 1, maxLength: 3 }) }),
      fc.record({ remove: fc.nat({ max: 9 }) }),
      fc.record({ anew: fc.constant(true) }),
    );
    const read = async () =>
      (await sql(house, "SELECT id, text FROM vectors('seen') ORDER BY id")).rows as [string, string][];
    await calls.create("seen", 1);
    let version = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 6 }), async (steps) => {
        const model = new Map(await read());
        for (const it of steps) {
          // It may meet the index between two of its lives.
          const meanwhile = read().catch((error) => expect(String(error)).toContain("404"));
          if ("add" in it) {
            const items = it.add.map((id) => ({ id: `${id}`, vector: [1], text: `v${version++}` }));
            await calls.add("seen", items);
            for (const { id, text } of items) model.set(id, text);
          } else if ("remove" in it) {
            await calls.remove("seen", { ids: [`${it.remove}`] });
            model.delete(`${it.remove}`);
          } else {
            await calls.send("DELETE", "/seen");
            await calls.create("seen", 1);
            model.clear();
          }
          expect(await read()).toEqual([...model].toSorted(([a], [b]) => (a < b ? -1 : 1)));
          await meanwhile;
        }
      }),
      { numRuns: 3 },
    );
    const folder = readdirSync(join(house.data_dir, "query")).find((it) => it.includes("-indexes-"));
    expect(readdirSync(join(house.data_dir, "query", folder as string))).toHaveLength(1);
  }, 60_000);

  test("no copy stays of what is erased: one that no query reads goes", async () => {
    const house = await start({ LAKEHOUSE_QUERYD_INDEX_IDLE_MS: "300" });
    const calls = vectorsAt(house.url);
    await calls.create("notes", 1);
    await calls.add("notes", [{ id: "1", vector: [1], text: "a secret" }]);
    expect((await sql(house, "SELECT text FROM vectors('notes')")).rows).toEqual([["a secret"]]);
    const query = join(house.data_dir, "query");
    const copies = () =>
      readdirSync(query).flatMap((it) => (it.includes("-indexes-") ? readdirSync(join(query, it)) : []));
    while (copies().length > 0) await Bun.sleep(20);
    expect((await sql(house, "SELECT text FROM vectors('notes')")).rows).toEqual([["a secret"]]);
    await calls.remove("notes", { ids: ["1"], erase: true });
    expect((await sql(house, "SELECT text FROM vectors('notes')")).rows).toEqual([]);
  }, 30_000);

  test("a missing one is told with those that may be meant; as_of is for tables; too large a one is refused", async () => {
    const house = await start({ LAKEHOUSE_QUERYD_INDEX_CACHE_MIB: "1" });
    const calls = vectorsAt(house.url);
    await calls.create("articles", 1);
    expect(await refused(house, "SELECT 1\nFROM vectors('artcles')")).toMatchObject({
      status: 404,
      code: "not_found",
      detail: 'There is no index "artcles": did you mean articles?',
      candidates: ["articles"],
      position: { line: 2, column: 6, offset: 14 },
    });
    expect((await sql(house, "FROM vectors('articles')")).rows).toEqual([]);
    expect(await refused(house, "FROM vectors('_memory')")).toMatchObject({ code: "sql_refused" });
    const then = { sql: "FROM vectors('articles')", as_of: "2999-01-01T00:00:00Z" };
    expect(await refused(house, then)).toMatchObject({ status: 400, code: "invalid" });
    const lent = { sql: "SELECT ?", params: [{ type: "INTEGER) FROM vectors('articles') --", value: 1 }] };
    expect(await refused(house, lent)).toMatchObject({ code: "invalid" });

    const noise = () => crypto.getRandomValues(Buffer.alloc(150_000)).toString("base64");
    const large = Array.from({ length: 8 }, (_, id) => ({ id: `${id}`, vector: [1], text: noise() }));
    await calls.create("large", 1);
    await calls.add("large", large);
    expect(await refused(house, "SELECT id FROM vectors('large')")).toMatchObject({ code: "resource_limit" });
    // Each fits, both do not: the one longer unused makes room, and comes back.
    for (const name of ["one", "two"]) {
      await calls.create(name, 1);
      await calls.add(name, large.slice(0, 4));
    }
    for (const name of ["one", "two", "one", "two"])
      expect((await sql(house, `SELECT count(*) FROM vectors('${name}')`)).rows).toEqual([[4]]);
    const joined = "SELECT count(*) FROM vectors('one') JOIN vectors('two') USING (id)";
    expect((await sql(house, joined)).rows).toEqual([[4]]);
  }, 60_000);

  test("reading an index by SQL needs vectord:read, too, and from_table needs queryd:read", async () => {
    const house = await start({ LAKEHOUSE_KEYS: KEYS });
    const as = (key: string, path: string, body: object) =>
      fetch(`${house.url}/v1${path}`, {
        method: "POST",
        headers: { "content-type": "application/json", authorization: `Bearer ${key}` },
        body: JSON.stringify(body),
      });
    expect((await as(both.key, "/vectors/index", { name: "notes", dimension: 1 })).status).toBe(201);
    const statement = { sql: "SELECT count(*) FROM vectors('notes')" };
    expect((await as(both.key, "/sql", statement)).status).toBe(200);
    const answer = await as(lake.key, "/sql", statement);
    expect(answer.status).toBe(403);
    expect(await answer.json()).toMatchObject({ code: "forbidden", position: { offset: 21 } });
    expect((await as(lake.key, "/sql", { sql: "SELECT 1" })).status).toBe(200);
    const load = { table: "trips", id: "id", text: "city" };
    expect((await as(writer.key, "/vectors/index/notes/from_table", load)).status).toBe(403);
    expect((await as(both.key, "/vectors/index/notes/from_table", load)).status).toBe(404);
  }, 30_000);
});
