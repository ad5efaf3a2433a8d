/** vectord at the wire, in both compositions: indexes, items, what is refused, searches, filters, fusion. */
import { beforeAll, describe, expect, test } from "bun:test";
import { compose } from "../../src/compose.ts";
import { parseConfig } from "../../src/config.ts";
import type { IndexInfo, Items, SearchQuery } from "../../src/services/vectord/schema.ts";
import { createLog } from "../../src/shared/log.ts";
import { inBothCompositions, type RunningHouse } from "../support/house.ts";
import {
  base64Of,
  idsOf,
  type Problem,
  randomVector,
  seeded,
  settled,
  type VectorCalls,
  vectorsAt,
} from "../support/vectors.ts";

const x = [1, 0, 0];
const y = [0, 1, 0];
const z = [0, 0, 1];

inBothCompositions("vectord", (start) => {
  let house: RunningHouse;
  let calls: VectorCalls;
  beforeAll(async () => {
    house = await start({ LAKEHOUSE_VECTORD_EXPIRE_EVERY_MS: "20", LAKEHOUSE_VECTORD_MAX_ITEMS: "5000" });
    calls = vectorsAt(house.url);
  });

  test("an index is made once, told, listed by pages and deleted", async () => {
    const made = await calls.send<IndexInfo>("POST", "", { name: "made", dimension: 3 });
    expect(made.status).toBe(201);
    expect(made.body).toMatchObject({
      name: "made",
      metric: "cosine",
      quantization: "f16",
      items: 0,
      state: "ready",
    });
    expect((await calls.send("POST", "", { name: "made", dimension: 3 })).status).toBe(409);
    await calls.create("made2", 4, { metric: "l2", quantization: "i8" });
    const first = await calls.send<{ indexes: IndexInfo[]; next_cursor: string }>("GET", "?limit=1");
    expect(first.body.indexes.map((it) => it.name)).toEqual(["made"]);
    const second = await calls.send<{ indexes: IndexInfo[]; next_cursor: string | null }>(
      "GET",
      `?cursor=${first.body.next_cursor}`,
    );
    expect(second.body.indexes.map((it) => it.name)).toEqual(["made2"]);
    expect(second.body.next_cursor).toBeNull();
    for (const name of ["made", "made2"]) expect((await calls.send("DELETE", `/${name}`)).status).toBe(204);
    expect((await calls.send("GET", "/made")).status).toBe(404);
    expect((await calls.send("DELETE", "/made")).status).toBe(404);
    await calls.create("made", 5);
    expect((await calls.info("made")).items).toBe(0);
    expect((await calls.send("DELETE", "/made")).status).toBe(204);
  });

  test("what an index can't be is refused", async () => {
    for (const body of [
      { name: "Bad", dimension: 3 },
      { name: "bad", dimension: 0 },
      { name: "bad", dimension: 4097 },
      { name: "bad", dimension: 3, metric: "manhattan" },
      { name: "bad", dimension: 3, more: 1 },
      { name: "../bad", dimension: 3 },
    ])
      expect((await calls.send("POST", "", body)).status).toBe(400);
  });

  test("items are upserted, read and deleted by id; the next search knows", async () => {
    await calls.create("items", 3);
    const items = [
      { id: "a", vector: x, metadata: { n: 1 }, text: "first" },
      { id: "b", vector: base64Of(y) },
    ];
    expect(await calls.add("items", items)).toEqual({ added: 2, replaced: 0 });
    expect(idsOf((await calls.search("items", { vector: x, k: 1 })).results)).toEqual(["a"]);
    expect(await calls.add("items", [{ id: "a", vector: z, metadata: { n: 2 } }])).toEqual({
      added: 0,
      replaced: 1,
    });
    const { results } = await calls.search("items", {
      vector: z,
      k: 5,
      include: ["metadata", "text", "vector"],
    });
    expect(results[0]).toEqual({ id: "a", score: 1, distance: 0, metadata: { n: 2 }, text: null, vector: z });
    expect(results).toHaveLength(2);
    const got = await calls.send<Items>("POST", "/items/get", {
      ids: ["b", "none", "a"],
      include: ["vector"],
    });
    expect(got.body.items).toEqual([
      { id: "b", vector: y },
      { id: "a", vector: z },
    ]);
    expect(await calls.remove("items", { ids: ["a", "a", "none"] })).toEqual({ deleted: 1 });
    expect(idsOf((await calls.search("items", { vector: z, k: 5 })).results)).toEqual(["b"]);
    expect(await calls.info("items")).toMatchObject({ items: 1 });
  });

  test("NDJSON loads a line for each item, and names the line that is none", async () => {
    await calls.create("lines", 3);
    const lines = `${JSON.stringify({ id: "1", vector: x })}\n\n${JSON.stringify({ id: "2", vector: y })}\n`;
    const loaded = await calls.send("POST", "/lines/add", lines, "application/x-ndjson");
    expect(loaded).toEqual({ status: 200, body: { added: 2, replaced: 0 } });
    const torn = await calls.send<Problem>("POST", "/lines/add", `${lines}{"id":`, "application/x-ndjson");
    expect(torn.status).toBe(400);
    expect(torn.body.detail).toContain("line 4");
    const bad = await calls.send<Problem>("POST", "/lines/add", `${lines}{"id":7}`, "application/x-ndjson");
    expect(bad.body.detail).toMatch(/^line 4: id: must be a string of 1 to \d+ bytes; got 7\.$/);
    const csv = await calls.send<Problem>("POST", "/lines/add", "id\n1\n", "text/csv");
    expect(csv.body.detail).toContain("a Parquet file as application/vnd.apache.parquet");
    expect((await calls.send("POST", "/lines/add", lines, "text/plain")).status).toBe(400);
  });

  test("the first fault refuses the whole batch, by item and reason", async () => {
    await calls.create("strict", 3);
    const good = { id: "good", vector: x };
    for (const [bad, reason] of [
      [{ id: "b", vector: [1, 2] }, "item 1: vector must have 3 numbers"],
      [{ id: "b", vector: [1, null, 2] }, "item 1: vector must hold numbers only"],
      [{ id: "b", vector: [1e300, 0, 0] }, "no finite 32-bit number at position 0"],
      [{ id: "b", vector: base64Of([0, Number.NaN, 1]) }, "no finite 32-bit number at position 1"],
      [{ id: "b", vector: base64Of([0, 1, Number.POSITIVE_INFINITY]) }, "position 2"],
      [{ id: "b", vector: "AAA" }, "base64 of whole 32-bit numbers"],
      [{ id: "b", vector: [0, 0, 0] }, "all zeros"],
      [{ id: "good", vector: y }, 'item 1: id: "good" is item 0'],
      [{ id: "b", vector: y, colour: "red" }, 'item 1 has an unknown member "colour"'],
      [{ id: "", vector: y }, "item 1: id"],
      [{ vector: y }, /^item 1: id: must be a string of 1 to \d+ bytes; got nothing\.$/],
      [{ id: "b" }, "item 1: vector"],
      [{ id: "b", vector: y, metadata: [1] }, "item 1: metadata"],
      [{ id: "b", vector: y, metadata: { long: "x".repeat(20_000) } }, "vectord.max_metadata_bytes"],
      [{ id: "b", vector: y, text: 7 }, "item 1: text"],
      [{ id: "b", vector: y, expires_at: "tomorrow" }, "item 1: expires_at"],
      ["b", "item 1 must be an object"],
    ] as const) {
      const { status, body } = await calls.send<Problem>("POST", "/strict/add", { items: [good, bad] });
      expect({ status, detail: body.detail }).toEqual({
        status: 400,
        detail: typeof reason === "string" ? expect.stringContaining(reason) : expect.stringMatching(reason),
      });
    }
    for (const body of ["{", "[]", '{"items":[]}', '{"items":[],"more":1}', '{"items":{}}'])
      expect((await calls.send("POST", "/strict/add", body)).status).toBe(400);
    const many = Array.from({ length: 5001 }, (_, at) => ({ id: `${at}`, vector: x }));
    expect((await calls.send<Problem>("POST", "/strict/add", { items: many })).body.detail).toContain(
      "at most 5000 items",
    );
    expect((await calls.info("strict")).items).toBe(0);
    expect((await calls.send("POST", "/none/add", { items: [good] })).status).toBe(404);
  });

  test("what a search can't be is refused", async () => {
    await calls.create("asked", 3);
    for (const query of [
      {},
      { vector: [1, 2] },
      { vector: x, k: 1001 },
      { vector: x, k: 0 },
      { vector: x, include: ["all"] },
      { vector: x, filter: { must: [{ key: "a" }] } },
      { vector: x, filter: { must: [{ key: "a", match: 1, any: [1] }] } },
      { vector: x, filter: { must: [{ key: "a", range: {} }] } },
      { vector: x, filter: { may: [] } },
      { vector: x, filter: { must: [{ should: [{ key: "a", matches: 1 }] }] } },
      { vector: x, more: 1 },
    ])
      expect((await calls.send("POST", "/asked/search", query)).status).toBe(400);
  });

  test("a name that is not known is told with the one that was likely meant", async () => {
    await calls.create("articles", 3);
    const { status, body } = await calls.send<Problem>("POST", "/artcles/search", { vector: x });
    expect([status, body.detail]).toEqual([404, 'There is no index "artcles" (did you mean "articles"?).']);
    const far = await calls.send<Problem>("POST", "/zzzzzzzzzzzz/search", { vector: x });
    expect(far.body.detail).toBe('There is no index "zzzzzzzzzzzz".');
  });

  test("a cosine lies within −1 and 1, whatever its rounding", async () => {
    await calls.create("round", 3);
    const vectors = Array.from({ length: 50 }, (_, at) => [Math.sin(at + 1), Math.cos(3 * at), at / 7]);
    const items = vectors.map((vector, at) => ({ id: `${at}`, vector }));
    await calls.send("POST", "/round/add", { items });
    for (const vector of vectors)
      for (const sign of [1, -1]) {
        const { results } = await calls.search("round", { vector: vector.map((it) => sign * it), k: 50 });
        const within = results.filter(
          ({ distance, score }) => distance >= 0 && distance <= 2 && Math.abs(score) <= 1,
        );
        expect(within).toHaveLength(50);
      }
  });

  test("score and distance are those of each metric, best first", async () => {
    for (const [metric, expected] of [
      [
        "cosine",
        [
          ["near", 1, 0],
          ["far", 0, 1],
        ],
      ],
      [
        "l2",
        [
          ["near", 0.5, 1],
          ["far", 1 / (1 + Math.sqrt(5)), Math.sqrt(5)],
        ],
      ],
      [
        "dot",
        [
          ["near", 2, -2],
          ["far", 0, 0],
        ],
      ],
    ] as const) {
      await calls.create(`by_${metric}`, 3, { metric });
      await calls.add(`by_${metric}`, [
        { id: "far", vector: y.map((it) => it * 2) },
        { id: "near", vector: x.map((it) => it * 2) },
      ]);
      const { results } = await calls.search(`by_${metric}`, { vector: x, include: [] });
      for (const [at, [id, score, distance]] of expected.entries()) {
        expect(results[at]?.id).toBe(id);
        expect(results[at]?.score).toBeCloseTo(score, 6);
        expect(results[at]?.distance).toBeCloseTo(distance, 6);
      }
    }
  });

  test("an item is gone once its time has passed", async () => {
    await calls.create("timed", 3);
    const soon = new Date(Date.now() + 150).toISOString();
    await calls.add("timed", [
      { id: "brief", vector: x, expires_at: soon },
      { id: "lasting", vector: y, expires_at: "2999-01-01T00:00:00Z" },
    ]);
    await Bun.sleep(160);
    expect(idsOf((await calls.search("timed", { vector: x })).results)).toEqual(["lasting"]);
    while ((await calls.info("timed")).items > 1) await Bun.sleep(10);
    const got = await calls.send<Items>("POST", "/timed/get", { ids: ["brief", "lasting"] });
    expect(got.body.items).toEqual([
      { id: "lasting", metadata: null, expires_at: "2999-01-01T00:00:00.000Z" },
    ]);
  });

  describe("filters", () => {
    const rows = [
      { id: "oslo", metadata: { city: "Oslo", n: 1, tags: ["a", "b"], deep: { level: 1 }, gone: null } },
      { id: "bergen", metadata: { city: "Bergen", n: 2, tags: ["b"], deep: { level: 2 } } },
      { id: "bare", metadata: null },
      {
        id: "list",
        metadata: { n: 3, parts: [{ size: 1 }, { size: 9 }], "deep.level": 5, at: "2026-11-23" },
      },
    ];
    beforeAll(async () => {
      await calls.create("filtered", 3);
      await calls.add(
        "filtered",
        rows.map((it, at) => ({ ...it, vector: [1, at / 10, 0] })),
      );
    });
    for (const [name, filter, ids] of [
      ["match", { must: [{ key: "city", match: "Oslo" }] }, ["oslo"]],
      ["match in an array", { must: [{ key: "tags", match: "b" }] }, ["oslo", "bergen"]],
      ["any", { must: [{ key: "n", any: [1, 3] }] }, ["oslo", "list"]],
      ["range", { must: [{ key: "n", range: { gt: 1, lte: 3 } }] }, ["bergen", "list"]],
      ["range of texts", { must: [{ key: "at", range: { gte: "2026-01-01", lt: "2027" } }] }, ["list"]],
      ["a nested path", { must: [{ key: "deep.level", match: 2 }] }, ["bergen"]],
      ["a name with a dot", { must: [{ key: "deep.level", match: 5 }] }, ["list"]],
      ["a path through an array", { must: [{ key: "parts.size", range: { gte: 9 } }] }, ["list"]],
      ["exists", { must: [{ key: "city", exists: true }] }, ["oslo", "bergen"]],
      ["exists not", { must: [{ key: "city", exists: false }] }, ["bare", "list"]],
      ["is_null", { must: [{ key: "gone", is_null: true }] }, ["oslo"]],
      [
        "must_not",
        {
          must_not: [
            { key: "city", match: "Oslo" },
            { key: "n", match: 3 },
          ],
        },
        ["bergen", "bare"],
      ],
      [
        "should",
        {
          should: [
            { key: "n", match: 1 },
            { key: "n", match: 2 },
          ],
        },
        ["oslo", "bergen"],
      ],
      [
        "nested filters",
        { must: [{ should: [{ key: "n", match: 1 }, { must: [{ key: "n", match: 3 }] }] }] },
        ["oslo", "list"],
      ],
      ["nothing asked", {}, ["oslo", "bergen", "bare", "list"]],
    ] as const)
      test(name, async () => {
        const query = { vector: x, filter } as unknown as SearchQuery;
        expect(idsOf((await calls.search("filtered", query)).results)).toEqual([...ids]);
      });

    test("delete by filter takes what it lets through, and says how many", async () => {
      await calls.create("swept", 3);
      await calls.add(
        "swept",
        rows.map((it) => ({ ...it, vector: x })),
      );
      expect(await calls.remove("swept", { filter: { must: [{ key: "tags", match: "b" }] } })).toEqual({
        deleted: 2,
      });
      expect(idsOf((await calls.search("swept", { vector: x })).results).sort()).toEqual(["bare", "list"]);
      for (const query of [{}, { ids: ["a"], filter: {} }, { filter: { must: [{ key: "n" }] } }])
        expect((await calls.send("POST", "/swept/delete", query)).status).toBe(400);
      const all = { key: "n", exists: true };
      for (const filter of [{}, { must: [] }, { must_not: [{}] }, { must: [all, { should: [] }] }])
        expect(await calls.send<Problem>("POST", "/swept/delete", { filter })).toMatchObject({
          status: 400,
          body: { code: "invalid", detail: expect.stringContaining("DELETE /v1/vectors/index/swept") },
        });
      expect((await calls.info("swept")).items).toBe(2);
    });
  });

  test("hybrid fuses words and vectors by weights, and tells each side's rank", async () => {
    await calls.create("hybrid", 3);
    await calls.add("hybrid", [
      { id: "words", vector: z, text: "the fox jumps over foxes" },
      { id: "vector", vector: x, text: "nothing of the kind" },
      { id: "both", vector: [0.8, 0.6, 0], text: "a fox sleeps beside a long river in the north" },
    ]);
    const search = (hybrid: object, more: object = {}) =>
      calls.search("hybrid", {
        vector: x,
        hybrid: { text: "fox?", soft: 0, ...hybrid },
        ...more,
      } as SearchQuery);
    const { results } = await search({});
    expect(idsOf(results)).toEqual(["both", "vector", "words"]);
    expect(results.map((it) => it.ranks)).toEqual([
      { vector: 2, bm25: 2 },
      { vector: 1 },
      { vector: 3, bm25: 1 },
    ]);
    expect(idsOf((await search({ bm25: 1, vector: 0 })).results)[0]).toBe("words");
    expect(idsOf((await search({ bm25: 0, vector: 1 })).results)[0]).toBe("vector");
    expect(idsOf((await search({}, { k: 1 })).results)).toEqual(["both"]);
    // Second on each side, it is not among what is fused.
    expect(idsOf((await search({ depth: 1 }, { k: 1 })).results)).toEqual(["vector"]);
    await calls.remove("hybrid", { ids: ["both"] });
    await calls.add("hybrid", [{ id: "words", vector: z, text: "no animal at all" }]);
    expect((await search({})).results.flatMap((it) => it.ranks?.bm25 ?? [])).toEqual([]);
    expect((await search({ text: '" OR NEAR(' })).results).toHaveLength(2);
  });

  test("texts become vectors by the index's model, for items and queries", async () => {
    const made = await calls.send<IndexInfo>("POST", "", { name: "texts" });
    expect(made.body).toMatchObject({ dimension: 256, model: "lakehouse-static-en-v1" });
    const items = [
      { id: "fox", text: "a quick fox jumps over the dog" },
      { id: "bank", text: "interest rates of the central bank", metadata: { topic: "money" } },
      { id: "given", vector: Array.from({ length: 256 }, (_, at) => (at === 0 ? 1 : 0)) },
    ];
    expect(await calls.add("texts", items)).toEqual({ added: 3, replaced: 0 });
    const { results } = await calls.search("texts", { text: "monetary policy and loans", k: 1 });
    expect(results).toMatchObject([{ id: "bank", metadata: { topic: "money" } }]);
    const long = { id: "long", text: "word ".repeat(10_000) };
    expect(await calls.add("texts", [long])).toEqual({ added: 1, replaced: 0, truncated: 1 });

    const heavy = Array.from({ length: 30 }, (_, at) => ({
      id: `heavy ${at}`,
      text: `tree ${"\n".repeat(200_000)}`,
    }));
    const lines = heavy.map((it) => JSON.stringify(it)).join("\n");
    const loaded = await calls.send("POST", "/texts/add", lines, "application/x-ndjson");
    expect(loaded).toEqual({ status: 200, body: { added: 30, replaced: 0, truncated: 30 } });
    expect((await calls.search("texts", { text: "tree", hybrid: {} })).results).toHaveLength(10);
    await calls.remove("texts", { ids: heavy.map((it) => it.id) });

    const plain = await calls.search("texts", { text: "fox", hybrid: { soft: 0 }, include: ["text"] });
    const soft = await calls.search("texts", { text: "fox", hybrid: {}, include: ["text"] });
    expect(soft.results[0]).toMatchObject({ id: "fox", text: items[0]?.text, ranks: { bm25: 1, vector: 1 } });
    expect(soft.results[0]?.score).toBeGreaterThan(plain.results[0]?.score as number);
    const bare = await calls.search("texts", { text: "fox", hybrid: {}, k: 2 });
    expect(bare.results).toHaveLength(2);
    expect(bare.results[0]).not.toHaveProperty("text");
  });

  test("what has no vector and can't get one is refused, and leaves nothing", async () => {
    await calls.create("vectors_only", 3);
    await calls.create("both_ways", 256, { model: "lakehouse-static-en-v1" });
    for (const [name, item, reason] of [
      ["vectors_only", { id: "a", text: "words" }, "has no model"],
      ["both_ways", { id: "a", text: " " }, "there is no text"],
    ] as const) {
      const { status, body } = await calls.send<Problem>("POST", `/${name}/add`, { items: [{ ...item }] });
      expect({ status, detail: body.detail }).toEqual({
        status: 400,
        detail: expect.stringContaining(reason),
      });
      expect((await calls.info(name)).items).toBe(0);
    }
    for (const body of [
      { name: "bad", dimension: 3, model: "lakehouse-static-en-v1" },
      { name: "bad", model: "" },
    ])
      expect((await calls.send("POST", "", body)).status).toBe(400);
    expect((await calls.send("POST", "", { name: "bad", model: "no such model" })).status).toBe(404);
    for (const query of [{ text: "words" }, { vector: x, hybrid: {} }, { vector: x, text: "words" }])
      expect((await calls.send("POST", "/vectors_only/search", query)).status).toBe(400);
  });

  test("a graph finds what comparing all finds, with and without a filter, for every quantization", async () => {
    const random = seeded(7);
    const items = Array.from({ length: 6000 }, (_, at) => ({
      id: `${at}`,
      vector: randomVector(16, random),
      metadata: { part: at % 10 },
    }));
    for (const quantization of ["f32", "f16", "i8"]) {
      const name = `graph_${quantization}`;
      await calls.create(name, 16, { quantization });
      await calls.add(name, items.slice(0, 3000));
      await calls.add(name, items.slice(3000));
      await settled(calls, name);
      let found = 0;
      for (let at = 0; at < 20; at++) {
        const vector = randomVector(16, random);
        const some = at % 2 === 0 ? {} : { filter: { must_not: [{ key: "part", match: 3 }] } };
        const all = await calls.search(name, { vector, exact: true, ...some });
        const near = await calls.search(name, { vector, ef: 64, ...some });
        expect([all.exact, near.exact]).toEqual([true, false]);
        const wanted = new Set(idsOf(all.results));
        found += idsOf(near.results).filter((id) => wanted.has(id)).length;
      }
      expect(found / 200).toBeGreaterThanOrEqual(0.97);
    }
    const rare = { vector: randomVector(16, random), filter: { must: [{ key: "part", match: 3 }] }, k: 1000 };
    expect((await calls.search("graph_f16", rare)).results).toHaveLength(600);
  }, 60_000);

  test("a second process on the same folder is told who holds it", async () => {
    const health = (await (await fetch(`${house.url}/health`)).json()) as {
      services: Record<string, { status: string }>;
    };
    expect(health.services.vectord?.status).toBe("ok");
    const config = parseConfig("", {
      LAKEHOUSE_DATA_DIR: house.data_dir,
      LAKEHOUSE_DRAIN_MS: "0",
      LAKEHOUSE_VECTORD_BIND: "127.0.0.1:0",
    });
    const second = compose(config, "vectord", createLog("silent"));
    await expect(second).rejects.toThrow("vectord's folder is in use");
  });
});
