/** Indexed fields: what a filter finds by them is what it finds by asking every item, whatever was written. */
import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { Bits, SlotSet } from "../../src/services/vectord/bits.ts";
import type { Filter, IndexInfo } from "../../src/services/vectord/schema.ts";
import { Shelf } from "../../src/services/vectord/shelf.ts";
import { readFilter } from "../../src/shared/filter.ts";
import { inBothCompositions, startHouse } from "../support/house.ts";
import { idsOf, type Problem, seeded, settled, vectorsAt } from "../support/vectors.ts";

const KEYS = ["a", "b", "deep.level", "list.n"];
const scalar = fc.oneof(
  fc.integer({ min: -3, max: 3 }),
  fc.constantFrom("", "1", "x", "y", "2026-11-23", "2026-12-01"),
  fc.boolean(),
  fc.constantFrom(0.5, -0, 1e300),
);
const value = fc.oneof(
  { weight: 4, arbitrary: scalar },
  fc.constant(null),
  fc.array(fc.oneof(scalar, fc.constant(null)), { maxLength: 3 }),
  fc.record({ n: scalar }),
);
const metadata = fc.option(
  fc.record(
    {
      a: value,
      b: value,
      deep: fc.oneof(scalar, fc.record({ level: value })),
      "deep.level": value,
      list: fc.array(fc.record({ n: value }), { maxLength: 2 }),
    },
    { requiredKeys: [] },
  ),
);
const bound = fc.oneof(fc.integer({ min: -3, max: 3 }), fc.constantFrom("", "2026-11-30", "x"));
const key = fc.constantFrom(...KEYS, "never");
const condition = fc.oneof(
  fc.record({ key, match: scalar }),
  fc.record({ key, any: fc.array(scalar, { maxLength: 3 }) }),
  fc.record({
    key,
    range: fc
      .record({ gt: bound, gte: bound, lt: bound, lte: bound }, { requiredKeys: [] })
      .filter((it) => Object.keys(it).length > 0),
  }),
  fc.record({ key, exists: fc.boolean() }),
  fc.record({ key, is_null: fc.boolean() }),
);
const { filter } = fc.letrec((tie) => ({
  clause: fc.oneof({ maxDepth: 2, withCrossShrink: true }, condition, tie("filter")),
  filter: fc.record(
    {
      must: fc.array(tie("clause"), { maxLength: 3 }),
      should: fc.array(tie("clause"), { maxLength: 3 }),
      must_not: fc.array(tie("clause"), { maxLength: 2 }),
    },
    { requiredKeys: [] },
  ),
})) as { filter: fc.Arbitrary<Filter> };
const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ id: fc.integer({ min: 0, max: 40 }), metadata }) },
  { weight: 2, arbitrary: fc.record({ remove: fc.nat(60) }) },
  { weight: 3, arbitrary: fc.record({ filter }) },
  { weight: 1, arbitrary: fc.record({ declare: fc.subarray(KEYS) }) },
  { weight: 1, arbitrary: fc.constant({ fill: true as const }) },
);

test("a filter by postings finds what asking every item finds, after any writes and declarations", () => {
  fc.assert(
    fc.property(
      fc.subarray(KEYS),
      fc.array(step, { minLength: 20, maxLength: 120 }),
      fc.array(filter, { minLength: 5, maxLength: 5 }),
      (declared, steps, last) => {
        const asked = new Shelf(1);
        const indexed = new Shelf(1);
        indexed.declare(declared);
        const compare = (it: Filter) =>
          expect(indexed.passing(readFilter(it)).list()).toEqual(asked.passing(readFilter(it)).list());
        let last_key = 0;
        for (const it of steps)
          if ("metadata" in it) {
            const item = {
              key: ++last_key,
              id: `${it.id}`,
              vector: new Uint8Array(4),
              metadata: it.metadata === null ? null : JSON.stringify(it.metadata),
              expires_ms: null,
            };
            asked.put(item);
            indexed.put(item);
          } else if ("remove" in it) {
            asked.remove(it.remove);
            indexed.remove(it.remove);
          } else if ("declare" in it) indexed.declare(it.declare);
          else if ("fill" in it) while (indexed.step());
          else compare(it.filter);
        for (const it of last) compare(it);
      },
    ),
    { numRuns: 300 },
  );
});

test("a range finds values that came and went after the values were put in order", () => {
  const asked = new Shelf(1);
  const indexed = new Shelf(1);
  indexed.declare(["n"]);
  const next = seeded(5);
  const random = () => Math.floor(next() * 5000);
  for (let key = 1; key <= 12_000; key++) {
    const item = { key, id: `${key % 4000}`, vector: new Uint8Array(4), expires_ms: null };
    const metadata = JSON.stringify({ n: key % 2 === 0 ? random() : `${random()}` });
    for (const shelf of [asked, indexed]) shelf.put({ ...item, metadata });
    if (key % 1500 !== 0) continue;
    for (const range of [{ gte: 100, lt: 900 }, { gt: "3", lte: "4" }, { gt: 4990 }, { lt: 5 }]) {
      const tree = readFilter({ must: [{ key: "n", range }] });
      expect(indexed.passing(tree).list()).toEqual(asked.passing(tree).list());
    }
  }
});

test("sets of slots hold what was put and not taken, few or many", () => {
  const change = fc.record({ slot: fc.nat(3000), is_put: fc.boolean() });
  fc.assert(
    fc.property(fc.array(change, { maxLength: 400 }), fc.constantFrom(100, 3000), (changes, slots) => {
      const model = new Set<number>();
      const set = new SlotSet();
      for (const { slot, is_put } of changes) {
        if (is_put) {
          model.add(slot);
          set.add(slot, slots);
        } else {
          model.delete(slot);
          set.delete(slot);
        }
      }
      const bits = new Bits(0);
      set.addTo(bits);
      expect(bits.list()).toEqual([...model].sort((a, b) => a - b));
      expect([set.size, bits.count()]).toEqual([model.size, model.size]);
    }),
  );
});

inBothCompositions("indexed fields", (start) => {
  test("are declared at creation or later, told, and change no answer", async () => {
    const house = await start();
    const calls = vectorsAt(house.url);
    await calls.create("declared", 2, { indexed: ["city", "author.name"] });
    const items = Array.from({ length: 3000 }, (_, at) => ({
      id: `${at}`,
      vector: [1, at / 3000],
      metadata: { city: at % 3 === 0 ? "Oslo" : "Bergen", author: { name: `n${at % 100}` }, at },
    }));
    await calls.add("declared", items);
    const filter = {
      must: [
        { key: "city", match: "Oslo" },
        { key: "author.name", match: "n3" },
        { key: "at", range: { lt: 1000 } },
      ],
    };
    const wanted = items.filter(
      ({ metadata: { city, author, at } }) => city === "Oslo" && author.name === "n3" && at < 1000,
    );
    const search = async () =>
      idsOf((await calls.search("declared", { vector: [1, 0], k: 100, filter })).results);
    expect(await search()).toEqual(wanted.map((it) => it.id));
    const change = (body: unknown) => calls.send<IndexInfo & Problem>("POST", "/declared/fields", body);
    expect((await change({ add: ["at", "city"], remove: ["author.name"] })).body.indexed).toEqual([
      "city",
      "at",
    ]);
    expect(await search()).toEqual(wanted.map((it) => it.id));
    await settled(calls, "declared");
    expect(await search()).toEqual(wanted.map((it) => it.id));
    for (const bad of [{}, { add: [""] }, { add: ["a", "a"] }, { more: [] }, { add: "city" }])
      expect((await change(bad)).status).toBe(400);
    const many = Array.from({ length: 63 }, (_, at) => `field ${at}`);
    expect((await change({ add: many })).body).toMatchObject({ code: "resource_limit" });
    expect((await calls.send("POST", "/none/fields", { add: ["a"] })).status).toBe(404);
  });
});

test("what is indexed is known after a restart", async () => {
  const data_dir = mkdtempSync(join(tmpdir(), "lakehouse-"));
  let house = await startHouse("mounted", {}, data_dir);
  try {
    let calls = vectorsAt(house.url);
    await calls.create("kept", 2, { indexed: ["a"] });
    await calls.add("kept", [{ id: "1", vector: [1, 0], metadata: { a: 1, b: 2 } }]);
    await calls.send("POST", "/kept/fields", { add: ["b"] });
    await house.stop();
    house = await startHouse("mounted", {}, data_dir);
    calls = vectorsAt(house.url);
    expect((await calls.send<IndexInfo>("GET", "/kept")).body.indexed).toEqual(["a", "b"]);
    const filter = { must: [{ key: "b", match: 2 }], must_not: [{ key: "a", match: 2 }] };
    expect(idsOf((await calls.search("kept", { vector: [1, 0], filter })).results)).toEqual(["1"]);
  } finally {
    await house.stop();
    rmSync(data_dir, { recursive: true, force: true });
  }
});
