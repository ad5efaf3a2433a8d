/** Indexes out as Parquet and in again: the same answers, readable by any DuckDB, and faults that name row and column. */
import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { inBothCompositions, type RunningHouse } from "../support/house.ts";
import { duck } from "../support/ingest.ts";
import { type Problem, vectorsAt } from "../support/vectors.ts";

const folder = mkdtempSync(join(tmpdir(), "lakehouse-parquet-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const PARQUET = "application/vnd.apache.parquet";

async function exported(house: RunningHouse, name: string, query = ""): Promise<string> {
  const response = await fetch(`${house.url}/v1/vectors/index/${name}/export${query}`);
  expect(response.status).toBe(200);
  expect(response.headers.get("content-type")).toBe(PARQUET);
  const path = join(folder, `${Bun.randomUUIDv7()}.parquet`);
  await Bun.write(path, await response.bytes());
  return path;
}

async function add<T = Problem>(house: RunningHouse, name: string, path: string) {
  const response = await fetch(`${house.url}/v1/vectors/index/${name}/add`, {
    method: "POST",
    headers: { "content-type": PARQUET },
    body: Bun.file(path),
  });
  return { status: response.status, body: (await response.json()) as T };
}

/** A Parquet file of a SELECT. */
async function written(select: string): Promise<string> {
  const path = join(folder, `${Bun.randomUUIDv7()}.parquet`);
  await duck(`COPY (${select}) TO '${path}' (FORMAT parquet)`);
  return path;
}

const DIMENSION = 3;
const coordinate = fc.float({ noNaN: true, noDefaultInfinity: true, min: -1e6, max: 1e6 });
const anItem = fc.record({
  id: fc.string({ unit: "grapheme", minLength: 1, maxLength: 12 }).filter((it) => it.isWellFormed()),
  vector: fc.tuple(coordinate, coordinate, coordinate).filter((it) => it.some((n) => Math.abs(n) > 1e-3)),
  metadata: fc.option(
    fc.dictionary(
      fc.constantFrom("city", "n", "deep", "__proto__", "a b"),
      fc.oneof(
        fc.string({ unit: "grapheme" }),
        fc.integer(),
        fc.boolean(),
        fc.constant(null),
        fc.array(fc.integer()),
      ),
    ),
  ),
  text: fc.option(fc.string({ unit: "grapheme" })),
  expires_at: fc.option(fc.constantFrom("2999-01-01T00:00:00.000Z", "2100-05-05T05:05:05.005Z")),
});

inBothCompositions("vectord: Parquet", (start) => {
  test("an index comes back as it went out, with the same answers", async () => {
    const house = await start();
    const calls = vectorsAt(house.url);
    let run = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(anItem, { selector: (it) => it.id, minLength: 1, maxLength: 40 }),
        async (items) => {
          const [from, to] = [`from${run}`, `to${run++}`];
          await calls.create(from, DIMENSION);
          await calls.create(to, DIMENSION);
          await calls.add(from, items);
          const path = await exported(house, from);
          expect(await add<object>(house, to, path)).toEqual({
            status: 200,
            body: { added: items.length, replaced: 0 },
          });
          const ids = items.map((it) => it.id);
          const all = (name: string) =>
            calls.send("POST", `/${name}/get`, { ids, include: ["vector", "metadata", "text"] });
          expect(await all(to)).toEqual(await all(from));
          const query = {
            vector: [0.1, -2, 3],
            k: 10,
            hybrid: { text: items[0]?.text || "a", soft: 0 },
            include: ["metadata", "text", "vector"] as ("metadata" | "text" | "vector")[],
          };
          const { results } = await calls.search(from, query);
          expect((await calls.search(to, query)).results).toEqual(results);
        },
      ),
      { numRuns: 5 },
    );
  }, 60_000);

  test("the file is any DuckDB's to read; its version says when it must be fetched anew", async () => {
    const house = await start();
    const calls = vectorsAt(house.url);
    await calls.create("cities", 2);
    await calls.add("cities", [
      { id: "oslo", vector: [1, 0.5], metadata: { country: "no" }, text: "fjord" },
      { id: "porto", vector: [0, 1], expires_at: "2999-01-01T00:00:00.000Z" },
      { id: "gone", vector: [1, 1], expires_at: "2001-01-01T00:00:00.000Z" },
    ]);
    const path = await exported(house, "cities");
    expect(await duck(`SELECT id, vector, text, metadata, expires_at FROM '${path}'`)).toEqual([
      ["oslo", [1, 0.5], "fjord", '{"country":"no"}', null],
      ["porto", [0, 1], null, null, "2999-01-01 00:00:00+00"],
    ]);
    expect(await duck(`SELECT DISTINCT typeof(vector), typeof(metadata) FROM '${path}'`)).toEqual([
      ["FLOAT[]", "VARCHAR"],
    ]);
    const slim = await exported(house, "cities", "?vectors=false");
    expect(await duck(`SELECT column_name FROM (DESCRIBE FROM '${slim}')`)).toEqual([
      ["id"],
      ["text"],
      ["metadata"],
      ["expires_at"],
    ]);
    const ask = (etag: string) =>
      fetch(`${house.url}/v1/vectors/index/cities/export`, { headers: { "if-none-match": etag } });
    const etag = (await ask("")).headers.get("etag") as string;
    expect((await ask(etag)).status).toBe(304);
    await calls.remove("cities", { ids: ["gone"] });
    expect((await ask(etag)).status).toBe(200);
    await calls.send("DELETE", "/cities");
    await calls.create("cities", 2);
    expect((await ask(etag)).status).toBe(200);
    expect((await fetch(`${house.url}/v1/vectors/index/towns/export`)).status).toBe(404);
  }, 30_000);

  test("columns of a foreign file become items: ids as text, other columns members of the metadata", async () => {
    const house = await start();
    const calls = vectorsAt(house.url);
    await calls.create("cities", 2, { indexed: ["country"] });
    const path = await written(
      `SELECT * FROM (VALUES
        (9007199254740993, [1.0, 0.5]::DOUBLE[], 'no', 12.50::DECIMAL(9,2), TIMESTAMP '2026-01-02 03:04:05', {'a': [1]}, '{"country": "own"}', TIMESTAMPTZ '2999-01-01'),
        (2, [0, 1], 'pt', NULL, NULL, NULL, NULL, 'infinity'))
       AS t("ID", vector, country, price, seen, deep, metadata, expires_at)`,
    );
    expect(await add<object>(house, "cities", path)).toEqual({
      status: 200,
      body: { added: 2, replaced: 0 },
    });
    const { body } = await calls.send("POST", "/cities/get", { ids: ["9007199254740993", "2"] });
    expect(body).toEqual({
      items: [
        {
          id: "9007199254740993",
          metadata: { country: "own", price: "12.50", seen: "2026-01-02T03:04:05", deep: { a: [1] } },
          expires_at: "2999-01-01T00:00:00.000Z",
        },
        { id: "2", metadata: { country: "pt", price: null, seen: null, deep: null } },
      ],
    });
  }, 30_000);

  test("texts become vectors by the index's model, as those of any other batch do", async () => {
    const house = await start();
    const calls = vectorsAt(house.url);
    await calls.send("POST", "", { name: "notes" });
    const path = await written("SELECT 'n' || range AS id, 'note number ' || range AS text FROM range(300)");
    expect(await add<object>(house, "notes", path)).toEqual({
      status: 200,
      body: { added: 300, replaced: 0 },
    });
    const { results } = await calls.search("notes", { text: "note number 77", k: 1, include: ["text"] });
    expect(results[0]).toMatchObject({ id: "n77", text: "note number 77" });
  }, 30_000);

  test("a fault names its row and column and nothing is written; what is no Parquet is refused", async () => {
    const house = await start({
      LAKEHOUSE_VECTORD_MAX_ITEMS: "2",
      LAKEHOUSE_VECTORD_MAX_IMPORT_BYTES: "100000",
    });
    const calls = vectorsAt(house.url);
    await calls.create("cities", 2);
    const good = "SELECT 'a' || range AS id, [1, range]::FLOAT[] AS vector FROM range(1, 8)";
    const faults: [string, string][] = [
      [`${good} UNION ALL SELECT 'z', [1]`, "row 8: vector must have 2 numbers"],
      [`${good} UNION ALL SELECT 'z', [1, NULL]`, "row 8: vector must hold numbers only"],
      [`${good} UNION ALL SELECT 'z', ['NaN'::FLOAT, 1]`, "row 8: vector has no finite 32-bit number"],
      [`${good} UNION ALL SELECT NULL, [1, 1]`, "row 8: id: must be a string"],
      [`${good} UNION ALL SELECT 'a3', [1, 1]`, 'id: "a3" is the id of 2 rows'],
      ["SELECT 'a' AS id, [1, 1] AS vector, '{' AS metadata", "row 1: metadata: is not valid JSON"],
      ["SELECT 'a' AS id, [1, 1] AS vector, '[]' AS metadata", "row 1: metadata: must be an object"],
      ["SELECT 'a' AS id, [1, 1] AS vector, 'soon' AS expires_at", "row 1: expires_at: must be a time"],
      [
        "SELECT 'a' AS id, 'no' AS vector",
        'Column "vector" can\'t be the vector: it must be a list of numbers',
      ],
      ["SELECT 1.5 AS id, [1, 1] AS vector", 'Column "id" can\'t be the id'],
      ["SELECT 'a' AS name, [1, 1] AS vector", 'There is no column "id"; there are name, vector'],
      ["SELECT 'a' AS id, 1 AS n", "The file needs a column vector"],
      ["SELECT 'a' AS id, [1, 1] AS vector LIMIT 0", "The file has no rows"],
      ["SELECT 'a' AS id, 'words' AS text", "the index has no model"],
    ];
    for (const [select, why] of faults) {
      const answer = await add(house, "cities", await written(select));
      expect(answer).toMatchObject({ status: 400, body: { code: "invalid" } });
      expect(answer.body.detail).toContain(why);
    }
    const whole = await Bun.file(await written(good)).bytes();
    const bad = join(folder, "bad.parquet");
    for (const bytes of ["", "PAR1", whole.subarray(0, whole.length - 20), whole.toReversed()]) {
      await Bun.write(bad, bytes);
      const answer = await add(house, "cities", bad);
      expect(answer).toMatchObject({ status: 400, body: { code: "invalid" } });
      expect(answer.body.detail).not.toContain(house.data_dir);
    }
    await Bun.write(bad, new Uint8Array(100_001));
    expect((await add(house, "cities", bad)).status).toBe(413);
    expect((await add(house, "towns", await written(good))).status).toBe(404);
    expect((await calls.info("cities")).items).toBe(0);
    // In batches of two, in the end all of them.
    expect((await add<object>(house, "cities", await written(good))).body).toEqual({ added: 7, replaced: 0 });
    expect((await calls.info("cities")).items).toBe(7);
  }, 60_000);
});
