/** A lake table's columns into an index: a job with progress, repeated without harm, and joined back in SQL's terms. */
import { expect, test } from "bun:test";
import type { LoadJob } from "../../src/services/vectord/tables_schema.ts";
import { inBothCompositions, type RunningHouse } from "../support/house.ts";
import { send } from "../support/ingest.ts";
import { sql } from "../support/sql.ts";
import { idsOf, type Problem, vectorsAt } from "../support/vectors.ts";

const ARTICLES = [
  { id: 1, title: "Snow falls on the mountains", city: "Oslo", price: 12.5 },
  { id: 2, title: "A ship sails into the harbour", city: "Bergen", price: 3 },
  { id: 3, title: "The bank raises its interest rate", city: "Oslo", price: null },
  { id: 4, title: " ", city: "Nowhere", price: 0 },
];
const lines = (rows: readonly object[]) => rows.map((row) => JSON.stringify(row)).join("\n");
const TYPES = "types=id:long,price:double";

function tablesAt(house: RunningHouse) {
  const calls = vectorsAt(house.url);
  const begin = <T = LoadJob>(index: string, body: object) =>
    calls.send<T>("POST", `/${index}/from_table`, body);
  const job = async (job_id: string) =>
    (await (await fetch(`${house.url}/v1/vectors/jobs/${job_id}`)).json()) as LoadJob;
  const ended = async (job_id: string): Promise<LoadJob> => {
    for (;;) {
      const it = await job(job_id);
      if (it.status === "done" || it.status === "failed") return it;
      await Bun.sleep(20);
    }
  };
  const load = async (index: string, body: object) => {
    const { status, body: begun } = await begin(index, body);
    expect({ status, begun }).toMatchObject({ status: 202 });
    return ended(begun.job_id);
  };
  return { ...calls, begin, ended, job, load };
}

inBothCompositions("vectord: from a table", (start) => {
  test("texts are embedded, hits join back to rows, and the index tells what it was read from", async () => {
    const house = await start();
    const { load, begin, search, send: ask, info } = tablesAt(house);
    const made = await send(house.url, `name=news.articles&${TYPES}`, lines(ARTICLES));
    expect(made.status).toBe(201);
    const request = { table: "news.articles", id: "id", text: "title", metadata: ["city", "price"] };
    const first = await load("articles", { ...request, index: { indexed: ["city"] } });
    expect(first).toMatchObject({
      status: "done",
      percent: 100,
      rows: 4,
      rows_done: 4,
      result: { existing: false, added: 3, replaced: 0, unchanged: 0, skipped: 1, removed: 0 },
    });
    const { snapshot_id } = made.body;
    const at = expect.stringMatching(/^\d{4}-.*Z$/);
    expect(await info("articles")).toMatchObject({
      items: 3,
      indexed: ["city"],
      source: { table: "news.articles", snapshot_id, at },
    });
    const { results } = await search("articles", { text: "winter weather", k: 1 });
    expect(results[0]).toMatchObject({ id: "1", metadata: { city: "Oslo", price: 12.5 } });
    const joined = await sql(house, {
      sql: "SELECT a.title FROM news.articles a JOIN (SELECT unnest($ids) AS id) h ON a.id::VARCHAR = h.id",
      params: { ids: idsOf(results) },
    });
    expect(joined.rows).toEqual([["Snow falls on the mountains"]]);

    // The same snapshot again: told so. Once an item has changed: only that one is made again.
    expect((await load("articles", request)).result).toMatchObject({ existing: true, added: 0 });
    await ask("POST", "/articles/delete", { ids: ["2"] });
    expect((await load("articles", request)).result).toMatchObject({
      existing: false,
      added: 1,
      unchanged: 2,
    });

    // A newer snapshot: what changed is replaced, and what is gone is removed where that is asked for.
    const changed = [{ ...ARTICLES[0], title: "Rain falls on the hills" }, ARTICLES[1]] as object[];
    expect((await send(house.url, "name=news.articles&mode=overwrite", lines(changed))).status).toBe(200);
    expect((await load("articles", request)).result).toMatchObject({ replaced: 1, unchanged: 1, removed: 0 });
    const pruned = await load("articles", { ...request, remove_missing: true });
    expect(pruned.result).toMatchObject({ replaced: 0, unchanged: 2, removed: 1 });
    expect((await info("articles")).items).toBe(2);
    const older = await load("articles", { ...request, snapshot_id, remove_missing: true });
    expect(older.result).toMatchObject({ snapshot_id, added: 1, replaced: 1, unchanged: 1 });

    const missing = await begin<Problem>("articles", { ...request, table: "news.papers" });
    expect(missing).toMatchObject({ status: 404, body: { code: "not_found" } });
  }, 60_000);

  test("only the rows that `where` lets through are taken, counted and kept", async () => {
    const house = await start();
    const { load, begin, info, send: ask } = tablesAt(house);
    const rows = [
      { id: 1, title: "snow on the roofs", city: "Oslo", day: "2026-01-05", price: 1.5, tags: ["cold"] },
      {
        id: 2,
        title: "rain on the roofs",
        city: "Bergen",
        day: "2026-01-06",
        price: 2,
        tags: ["wet", "cold"],
      },
      { id: 3, title: "sun on the roofs", city: "O'Hara\"; --", day: "2026-02-01", price: null, tags: [] },
      { id: 3, title: "a second three", city: "Twice", day: "2026-02-02", price: 4, tags: null },
    ];
    const types = "types=id:long,price:double,day:date";
    expect((await send(house.url, `name=weather&${types}`, lines(rows))).status).toBe(201);
    const request = { table: "weather", id: "id", text: "title", metadata: ["city"], remove_missing: true };
    const must = (...clauses: object[]) => ({ ...request, where: { must: clauses } });
    const ids = async () => {
      const { body } = await ask<{ items: { id: string }[] }>("POST", "/weather/get", {
        ids: ["1", "2", "3"],
        include: [],
      });
      return body.items.map(({ id }) => id);
    };
    const taken = async (body: object) => {
      const { status, result } = await load("weather", body);
      expect(status).toBe("done");
      return { rows: result?.rows, existing: result?.existing, ids: await ids() };
    };
    // Twice the same id, of which the rows taken have it once.
    const not_twice = { ...request, where: { must_not: [{ key: "city", match: "Twice" }] } };
    expect(await taken(not_twice)).toEqual({ rows: 3, existing: false, ids: ["1", "2", "3"] });
    expect(await taken(not_twice)).toMatchObject({ existing: true });
    const january = must({ key: "DAY", range: { lt: "2026-02-01" } });
    expect(await taken(january)).toEqual({ rows: 2, existing: false, ids: ["1", "2"] });
    expect(await taken(must({ key: "tags", match: "wet" }))).toMatchObject({ ids: ["2"] });
    const quoted = must({ key: "city", match: "O'Hara\"; --" });
    expect(await taken(quoted)).toEqual({ rows: 1, existing: false, ids: ["3"] });
    const none = must({ key: "city", match: "' OR true OR '" });
    expect(await taken(none)).toEqual({ rows: 0, existing: false, ids: [] });
    expect((await info("weather")).items).toBe(0);

    const refused = async (where: unknown) => {
      const { status, body } = await begin<Problem>("weather", { ...request, where });
      expect([status, body.code]).toEqual([400, "invalid"]);
      return body.detail;
    };
    const one = (clause: object) => refused({ must: [clause] });
    expect(await one({ key: 'city" OR true --', match: "Oslo" })).toContain("There is no column");
    expect(await one({ key: "id", match: "1; DROP TABLE x" })).toContain("takes a number");
    expect(await one({ key: "city", match: 1 })).toContain("takes a text (got 1)");
    expect(await one({ key: "day", range: { gte: "soon" } })).toContain("a day (2026-01-31)");
    expect(await one({ key: "city.name", exists: true })).toContain('nothing in a string by the name "name"');
    expect(await one({ key: "city", like: "%" })).toStartWith("The where is not valid: where/must/0");
    expect(await refused("city = 'Oslo'")).toContain("where");
    let deep: object = { key: "city", exists: true };
    for (let depth = 0; depth < 9; depth++) deep = { must: [deep] };
    expect(await refused(deep)).toContain("nests deeper than 8");
  }, 60_000);

  test("vectors of a table need no model; faults end the job in words, and leave what was there", async () => {
    const house = await start();
    const { load, begin, search, send: ask } = tablesAt(house);
    const rows = [
      { key: "a", v: [1, 0], kind: "x" },
      { key: "b", v: [0, 1], kind: "y" },
      { key: "c", v: null, kind: "y" },
    ];
    await send(house.url, "name=points", lines(rows));
    const request = { table: "points", id: "KEY", vector: "v", metadata: ["kind"] };
    expect((await load("points", request)).result).toMatchObject({ added: 2, skipped: 1 });
    const filter = { must: [{ key: "kind", match: "y" }] };
    const { results } = await search("points", { vector: [1, 0.1], filter });
    expect(idsOf(results)).toEqual(["b"]);
    expect((await ask<{ dimension: number; model: null }>("GET", "/points")).body).toMatchObject({
      dimension: 2,
      model: null,
    });

    const failed = async (body: object, index = "points") => (await load(index, body)).error;
    expect(await failed({ ...request, id: "kind" })).toMatchObject({
      code: "invalid",
      detail: 'id: "y" is the id of 2 rows; an id may be there once.',
    });
    await send(house.url, "name=odd", lines([{ key: "a", v: [1, 2, 3] }]));
    expect(await failed({ ...request, table: "odd", metadata: [] })).toMatchObject({
      detail: "row 1: vector must have 2 numbers, as the index's dimension says (got 3).",
    });
    expect((await ask<{ items: number }>("GET", "/points")).body.items).toBe(2);
    // An index that a load made itself, and could not fill, is gone.
    await send(
      house.url,
      "name=uneven",
      lines([
        { key: "a", v: [1, 2] },
        { key: "b", v: [1, 2, 3] },
      ]),
    );
    const uneven = { ...request, table: "uneven", metadata: [] };
    expect(await failed(uneven, "uneven")).toMatchObject({
      detail: expect.stringContaining("row 2: vector"),
    });
    expect((await ask("GET", "/uneven")).status).toBe(404);
    await ask("POST", "", { name: "uneven", dimension: 4 });
    expect(await failed(uneven, "uneven")).toMatchObject({
      detail: expect.stringContaining("row 1: vector"),
    });
    expect((await ask("GET", "/uneven")).status).toBe(200);

    expect((await begin("points", { table: "points", id: "key" })).status).toBe(400);
    expect((await begin("points", { ...request, table: "a/../b" })).status).toBe(400);
    expect((await begin("points", { ...request, as_of: "2001-01-01T00:00:00Z" })).status).toBe(404);
    expect((await begin("_points", request)).status).toBe(403);
    expect((await fetch(`${house.url}/v1/vectors/jobs/none`)).status).toBe(404);
  }, 60_000);

  test("what can be known before a row is read is refused at once, and makes no job and no index", async () => {
    const house = await start();
    const { load, begin, send: ask } = tablesAt(house);
    await send(house.url, "name=points", lines([{ key: "a", v: [1, 0], kind: "x", n: 0.5 }]));
    const request = { table: "points", id: "key", vector: "v" };
    const words = { table: "points", id: "key", text: "kind" };
    const refused = async (body: object, index = "new") => {
      const answer = await begin<Problem>(index, body);
      expect([answer.status, answer.body.code]).toEqual([400, "invalid"]);
      return answer.body.detail;
    };
    expect(await refused({ ...request, vector: "w" })).toBe(
      'There is no column "w"; there are key, v, kind, n.',
    );
    expect(await refused({ ...request, metadata: ["kind", "w"] })).toContain('no column "w"');
    expect(await refused({ ...request, vector: "kind" })).toContain("a list of numbers (it is string)");
    expect(await refused({ ...request, id: "n" })).toContain("(it is double)");
    expect(await refused({ ...words, text: "v" })).toContain("(it is list of long)");
    expect(await refused({ ...words, index: { dimension: 3 } })).toContain("no model");
    expect(await begin<Problem>("new", { ...words, index: { model: "nope" } })).toMatchObject({
      status: 404,
      body: { detail: expect.stringContaining("nope") },
    });
    expect(await refused({ ...request, index: { dimension: 65_536 } })).toContain("vectord.max_dimension");
    expect((await ask("GET", "/new")).status).toBe(404);

    expect((await load("points", { ...request, index: { metric: "l2", indexed: ["kind"] } })).status).toBe(
      "done",
    );
    expect(await refused(words, "points")).toContain('Index "points" has no model');
    const other = (index: object) => begin<Problem>("points", { ...request, index });
    for (const [index, why] of [
      [{ metric: "cosine" }, 'metric is "l2", not "cosine"'],
      [{ dimension: 3 }, "dimension is 2, not 3"],
      [{ indexed: ["n"] }, 'indexed is ["kind"], not ["n"]'],
    ] as const)
      expect(await other(index)).toMatchObject({
        status: 409,
        body: { code: "conflict", detail: expect.stringContaining(why) },
      });
    // Told so at once, whether or not the settings that it has are said again.
    for (const more of [{}, { index: { metric: "l2", indexed: ["kind"], dimension: 2 } }])
      expect(await begin("points", { ...request, ...more })).toMatchObject({
        status: 202,
        body: { status: "done", result: { existing: true, rows: 0 } },
      });
  }, 60_000);

  test("one table at a time; progress is told as events, and after a restart what became of it", async () => {
    const house = await start({ LAKEHOUSE_VECTORD_MAX_ITEMS: "500" });
    const { begin } = tablesAt(house);
    const rows = Array.from({ length: 3000 }, (_, id) => ({ id, title: `article number ${id} of many` }));
    await send(house.url, "name=many", lines(rows));
    const request = { table: "many", id: "id", text: "title" };
    const { body: begun } = await begin("many", request);
    expect(await begin<Problem>("many", request)).toMatchObject({ status: 409, body: { code: "conflict" } });
    const events = await (await fetch(`${house.url}/v1/vectors/jobs/${begun.job_id}/events`)).text();
    const told = [...events.matchAll(/^data: (.*)$/gm)].map(
      ([, json]) => JSON.parse(json as string) as LoadJob,
    );
    expect(events).toContain("event: progress");
    expect(events).toEndWith(`${JSON.stringify(told.at(-1))}\n\n`);
    expect(told.at(-1)).toMatchObject({ status: "done", rows: 3000, rows_done: 3000 });
    expect(told.some((it) => it.rows_done > 0 && it.rows_done < 3000)).toBe(true);
    const done = told.map((it) => it.rows_done);
    expect(done).toEqual(done.toSorted((a, b) => a - b));

    await send(house.url, "name=many&mode=append", lines([{ id: 3000, title: "the last one" }]));
    const { body: second } = await begin("many", request);
    await house.stop();
    const again = await start({}, house.data_dir);
    const { job, load } = tablesAt(again);
    expect(["done", "failed"]).toContain((await job(second.job_id)).status);
    expect((await load("many", request)).status).toBe("done");
    expect((await tablesAt(again).info("many")).items).toBe(3001);
    await again.stop();
  }, 60_000);
});
