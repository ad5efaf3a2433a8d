/** vectord against a model in memory: random writes, deletes and restarts; every answer is the model's. */
import { expect, test } from "bun:test";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { compositions, type RunningHouse, startHouse } from "../support/house.ts";
import { idsOf, randomVector, seeded, settled, type VectorCalls, vectorsAt } from "../support/vectors.ts";

const DIMENSION = 4;
const IDS = 12;
const RUNS = 10;
const NAME = "model";

interface Kept {
  readonly vector: number[];
  readonly group: number;
}
type Model = Map<string, Kept>;

const id = fc.integer({ min: 0, max: IDS - 1 }).map((it) => `id ${it}`);
const group = fc.integer({ min: 0, max: 3 });
const number = fc.integer({ min: -50, max: 50 });
const vector = fc.array(number, { minLength: DIMENSION, maxLength: DIMENSION });
const step = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      add: fc.uniqueArray(fc.record({ id, vector, group }), {
        minLength: 1,
        maxLength: 6,
        selector: (it) => it.id,
      }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ remove: fc.array(id, { minLength: 1, maxLength: 3 }) }) },
  { weight: 1, arbitrary: fc.record({ sweep: group }) },
  {
    weight: 4,
    arbitrary: fc.record({ near: vector, k: fc.integer({ min: 1, max: 8 }), group: fc.option(group) }),
  },
  { weight: 1, arbitrary: fc.constant({ restart: true as const }) },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

/** The k nearest by Euclidean distance, as distances: equals may come in any order. */
function nearest(model: Model, to: number[], k: number, only: number | null): number[] {
  return [...model.values()]
    .filter((it) => only === null || it.group === only)
    .map((it) => Math.sqrt(it.vector.reduce((sum, value, at) => sum + (value - (to[at] as number)) ** 2, 0)))
    .sort((a, b) => a - b)
    .slice(0, k);
}

const inGroup = (value: number) => ({ must: [{ key: "group", match: value }] });

async function take(calls: VectorCalls, model: Model, it: Step): Promise<void> {
  if ("add" in it) {
    const replaced = it.add.filter((item) => model.has(item.id)).length;
    const items = it.add.map((item) => ({
      id: item.id,
      vector: item.vector,
      metadata: { group: item.group },
    }));
    expect(await calls.add(NAME, items)).toEqual({ added: items.length - replaced, replaced });
    for (const item of it.add) model.set(item.id, item);
  } else if ("remove" in it) {
    const gone = [...new Set(it.remove)].filter((name) => model.delete(name));
    expect(await calls.remove(NAME, { ids: it.remove })).toEqual({ deleted: gone.length });
  } else if ("sweep" in it) {
    const gone = [...model].filter(([, kept]) => kept.group === it.sweep);
    for (const [name] of gone) model.delete(name);
    expect(await calls.remove(NAME, { filter: inGroup(it.sweep) })).toEqual({ deleted: gone.length });
  } else if ("near" in it) {
    const filter = it.group === null ? {} : { filter: inGroup(it.group) };
    const { results } = await calls.search(NAME, {
      vector: it.near,
      k: it.k,
      include: ["vector"],
      ...filter,
    });
    const wanted = nearest(model, it.near, it.k, it.group);
    expect(results.map((hit) => hit.distance)).toEqual(wanted);
    for (const hit of results) expect(hit.vector).toEqual(model.get(hit.id)?.vector as number[]);
  }
}

for (const composition of compositions)
  test(`vectord answers as its model does (${composition})`, async () => {
    const data_dir = mkdtempSync(join(tmpdir(), "lakehouse-"));
    let house: RunningHouse = await startHouse(composition, {}, data_dir);
    let calls = vectorsAt(house.url);
    try {
      await fc.assert(
        fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 25 }), async (steps) => {
          await calls.create(NAME, DIMENSION, { metric: "l2", quantization: "f32" });
          const model: Model = new Map();
          for (const it of steps) {
            if ("restart" in it) {
              await house.stop();
              house = await startHouse(composition, {}, data_dir);
              calls = vectorsAt(house.url);
            }
            await take(calls, model, it);
            expect((await calls.info(NAME)).items).toBe(model.size);
          }
          await calls.send("DELETE", `/${NAME}`);
        }),
        { numRuns: RUNS, endOnFailure: true },
      );
    } finally {
      await house.stop();
      rmSync(data_dir, { recursive: true, force: true });
    }
  }, 120_000);

test("a graph is read back after a restart, and built anew where it is damaged, missing or mostly masked", async () => {
  const data_dir = mkdtempSync(join(tmpdir(), "lakehouse-"));
  const folder = join(data_dir, "vector", NAME);
  const random = seeded(3);
  const items = Array.from({ length: 4000 }, (_, at) => ({ id: `${at}`, vector: randomVector(16, random) }));
  let house = await startHouse("mounted", {}, data_dir);
  let calls = vectorsAt(house.url);
  const again = async () => {
    await house.stop();
    house = await startHouse("mounted", {}, data_dir);
    calls = vectorsAt(house.url);
  };
  const graphs = () => readdirSync(folder).filter((file) => file.endsWith(".usearch"));
  const query = { vector: randomVector(16, random), k: 10 };
  const answers = async () => idsOf((await calls.search(NAME, query)).results);
  try {
    await calls.create(NAME, 16);
    await calls.add(NAME, items);
    await settled(calls, NAME);
    const before = await answers();
    await again();
    expect(await calls.info(NAME)).toMatchObject({ waiting: 0, items: 4000 });
    expect(await answers()).toEqual(before);
    expect(graphs()).toHaveLength(1);

    await house.stop();
    writeFileSync(join(folder, graphs()[0] as string), "not a graph");
    house = await startHouse("mounted", {}, data_dir);
    calls = vectorsAt(house.url);
    expect((await calls.info(NAME)).waiting).toBeGreaterThan(0);
    expect(await answers()).toEqual(before);
    await settled(calls, NAME);
    expect(await answers()).toEqual(before);

    await calls.add(NAME, items.slice(0, 2000));
    await settled(calls, NAME);
    expect(await calls.info(NAME)).toMatchObject({ masked: 0, items: 4000 });
    expect((await answers()).sort()).toEqual([...before].sort());
  } finally {
    await house.stop();
    rmSync(data_dir, { recursive: true, force: true });
  }
}, 60_000);
