/** matrixd at the wire, in both compositions: corpora, searches over them, warnings, scopes, budgets. */
import { beforeAll, expect, test } from "bun:test";
import type { CorpusInfo, CorpusPage, MatrixFound, MatrixQuery } from "../../src/services/matrixd/schema.ts";
import { createKey } from "../../src/shared/keys.ts";
import { inBothCompositions, type RunningHouse } from "../support/house.ts";
import { type MatrixCalls, matrixAt } from "../support/matrix.ts";
import { type Problem, vectorsAt } from "../support/vectors.ts";

const FOXES = [
  { id: "fox", text: "a quick fox jumps over the lazy dog", metadata: { kind: "animal" } },
  { id: "river", text: "the river runs through the valley", metadata: { kind: "place" } },
  { id: "bread", text: "bread is made of flour, water and salt", metadata: { kind: "food" } },
];
const MONEY = [
  { id: "rates", text: "interest rates of the central bank", metadata: { kind: "money" } },
  { id: "loan", text: "a loan for a house is a mortgage", metadata: { kind: "money" } },
  { id: "copy", text: "A quick fox jumps over the lazy dog!", metadata: { kind: "animal" } },
];

inBothCompositions("matrixd", (start) => {
  let house: RunningHouse;
  let calls: MatrixCalls;
  beforeAll(async () => {
    house = await start({ LAKEHOUSE_MATRIXD_MAX_CORPORA: "4" });
    calls = matrixAt(house.url);
    await calls.fill("animals", FOXES);
    await calls.fill("money", MONEY);
  });

  test("a corpus is registered once, told, listed by pages and forgotten", async () => {
    const made = await calls.send<CorpusInfo>("POST", "/corpora", {
      name: "extra",
      kind: "index",
      index: "animals",
      description: "beasts",
    });
    expect(made).toMatchObject({
      status: 201,
      body: { name: "extra", weight: 1, state: "ready", items: 3, model: "lakehouse-static-en-v1" },
    });
    const again = await calls.send<CorpusInfo>("POST", "/corpora", {
      name: "extra",
      kind: "index",
      index: "animals",
      description: "beasts",
    });
    expect(again).toMatchObject({ status: 200, body: { existing: true, created_at: made.body.created_at } });
    const other = await calls.send<Problem>("POST", "/corpora", {
      name: "extra",
      kind: "index",
      index: "money",
    });
    expect([other.status, other.body.code]).toEqual([409, "conflict"]);

    const first = await calls.send<CorpusPage>("GET", "/corpora?limit=2");
    expect(first.body.corpora.map((it) => it.name)).toEqual(["animals", "extra"]);
    const second = await calls.send<CorpusPage>("GET", `/corpora?cursor=${first.body.next_cursor}`);
    expect(second.body).toMatchObject({ corpora: [{ name: "money" }], next_cursor: null });

    expect((await calls.send("DELETE", "/corpora/extra")).status).toBe(204);
    expect((await calls.send("DELETE", "/corpora/extra")).status).toBe(404);
    expect((await calls.send("GET", "/corpora/extra")).status).toBe(404);
  });

  test("what a corpus can't be is refused", async () => {
    await vectorsAt(house.url).create("bare", 3);
    for (const [body, status] of [
      [{ name: "no", kind: "index" }, 400],
      [{ name: "no", kind: "index", index: "bare" }, 400],
      [{ name: "no", kind: "index", index: "missing" }, 404],
      [{ name: "No", kind: "index", index: "money" }, 400],
      [{ name: "no", kind: "book", index: "money" }, 400],
      [{ name: "no", kind: "index", index: "money", weight: 0 }, 400],
      [{ name: "no", kind: "index", index: "money", more: 1 }, 400],
    ] as const)
      expect({ body, status: (await calls.send("POST", "/corpora", body)).status }).toEqual({ body, status });
    const races = await Promise.all(
      ["a", "b", "c"].map((name) => calls.send("POST", "/corpora", { name, kind: "index", index: "money" })),
    );
    expect(races.map((it) => it.status).sort()).toEqual([201, 201, 400]);
    for (const name of ["a", "b", "c"]) await calls.send("DELETE", `/corpora/${name}`);
  });

  test("one question is asked of all corpora, and each hit says where it comes from", async () => {
    const { results, warnings, explain } = await calls.search({
      query: "which bank sets rates?",
      explain: true,
    });
    expect(warnings).toEqual([]);
    expect(results[0]).toMatchObject({
      corpus: "money",
      id: "rates",
      text: MONEY[0]?.text,
      metadata: { kind: "money" },
      provenance: { ranks: { bm25: 1, vector: 1 }, tokens: 9 },
    });
    expect(results[0]?.provenance.stages.map((it) => it.stage)).toEqual(["retrieved", "merged", "reranked"]);
    expect(explain?.corpora.map((it) => [it.corpus, it.hits])).toEqual([
      ["animals", 3],
      ["money", 3],
    ]);
    const plain = await calls.search({ query: "which bank sets rates?", rerank: false, k: 1 });
    expect(plain.results).toHaveLength(1);
    expect(plain.results[0]?.provenance.stages.map((it) => it.stage)).toEqual(["retrieved", "merged"]);
    const one = await calls.search({ query: "fox", corpora: ["money"] });
    expect(new Set(one.results.map((it) => it.corpus))).toEqual(new Set(["money"]));
  });

  test("a near-duplicate of another corpus is told once, with its double", async () => {
    const { results } = await calls.search({ query: "quick fox" });
    const foxes = results.filter(({ id }) => id === "fox" || id === "copy");
    expect(foxes).toHaveLength(1);
    expect(foxes[0]?.provenance.duplicates).toMatchObject([{ similarity: 1 }]);
    expect(results).toHaveLength(5);
  });

  test("a filter holds in every corpus, and a bad one is refused", async () => {
    const filter = { must: [{ key: "kind", match: "animal" }] };
    const { results } = await calls.search({ query: "rates", filter });
    expect(results.map((it) => it.id)).toEqual(["fox"]);
    const bad = { query: "rates", filter: { must: [{ key: "kind", matches: "animal" }] } };
    expect((await calls.send("POST", "/search", bad)).status).toBe(400);
  });

  test("a budget takes whole hits, and says what was left out", async () => {
    const { results, budget } = await calls.search({ query: "quick fox", budget_tokens: 20 });
    const tokens = results.reduce((sum, it) => sum + it.provenance.tokens, 0);
    expect(tokens).toBeLessThanOrEqual(20);
    expect(budget?.tokens).toBe(tokens);
    expect(results.length + (budget?.left_out.length ?? 0)).toBe(5);
  });

  test("a corpus that is gone costs its own share", async () => {
    await calls.fill("doomed", FOXES);
    expect((await vectorsAt(house.url).send("DELETE", "/doomed")).status).toBe(204);
    const { results, warnings } = await calls.search({ query: "bank rates", corpora: ["money", "doomed"] });
    expect(results[0]?.id).toBe("rates");
    expect(warnings).toEqual([
      { corpus: "doomed", code: "not_found", message: expect.stringContaining('"doomed"') },
    ]);
    const alone = await calls.send<Problem>("POST", "/search", { query: "bank", corpora: ["doomed"] });
    expect([alone.status, alone.body.code]).toEqual([503, "unavailable"]);
    const told = await calls.send<CorpusInfo>("GET", "/corpora/doomed");
    expect(told.body).toMatchObject({ state: "unavailable", items: null });

    // Made anew with vectors of another length: the first search that meets it looks again.
    await vectorsAt(house.url).send("POST", "", { name: "doomed" });
    await vectorsAt(house.url).add("doomed", FOXES);
    const back = await calls.search({ query: "fox", corpora: ["doomed"], k: 1 });
    expect(back.results[0]?.id).toBe("fox");

    // Made anew without a model, behind our back: it costs its own share, and the question is not to blame.
    await vectorsAt(house.url).send("DELETE", "/doomed");
    await vectorsAt(house.url).create("doomed", 3);
    const modelless = await calls.search({ query: "bank rates", corpora: ["money", "doomed"] });
    expect(modelless.results[0]?.id).toBe("rates");
    expect(modelless.warnings.map(({ corpus, code }) => [corpus, code])).toEqual([["doomed", "unavailable"]]);
    await calls.send("DELETE", "/corpora/doomed");
  });

  test("what a search can't be is refused", async () => {
    for (const [body, status] of [
      [{}, 400],
      [{ query: " " }, 400],
      [{ query: "a", k: 0 }, 400],
      [{ query: "a", corpora: [] }, 400],
      [{ query: "a", corpora: ["nowhere"] }, 404],
      [{ query: "a", timeout_ms: 3_600_000 }, 400],
      [{ query: "a", more: 1 }, 400],
    ] as const)
      expect({ body, status: (await calls.send("POST", "/search", body)).status }).toEqual({ body, status });
  });

  test("with no corpus there is nothing to find", async () => {
    const { url } = await start();
    const found = await matrixAt(url).search({ query: "anything" } satisfies MatrixQuery);
    expect(found).toMatchObject({ results: [], warnings: [] } satisfies Partial<MatrixFound>);
  });

  test("a key reads only what it could read at the service that holds it", async () => {
    const { key, sha256 } = createKey("half");
    const admin = createKey("admin");
    const { url } = await start({
      LAKEHOUSE_KEYS: JSON.stringify([
        { name: "half", sha256, scopes: ["matrixd:read"] },
        { name: "admin", sha256: admin.sha256, scopes: ["*"] },
      ]),
    });
    const whole = matrixAt(url, admin.key);
    await whole.fill("secret", FOXES);
    expect((await whole.search({ query: "fox" })).results).toHaveLength(3);
    const half = matrixAt(url, key);
    expect(await half.search({ query: "fox" })).toMatchObject({
      results: [],
      warnings: [{ corpus: "secret", code: "forbidden", message: expect.stringContaining("vectord:read") }],
    });
    const named = await half.send<Problem>("POST", "/search", { query: "fox", corpora: ["secret"] });
    expect([named.status, named.body.detail]).toEqual([403, expect.stringContaining("vectord:read")]);
    expect((await half.send("DELETE", "/corpora/secret")).status).toBe(403);
  });
});
