/** Vectors of differing lengths in graphs of one byte a number: what l2 and dot find must not hang on directions alone. */
import { afterEach, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { Graph } from "../../src/services/vectord/graph.ts";
import { emptyIndex } from "../../src/services/vectord/graph_index.ts";
import { Scale, type Vectors } from "../../src/services/vectord/graph_scale.ts";
import type { IndexSettings, Metric } from "../../src/services/vectord/schema.ts";
import { Shelf } from "../../src/services/vectord/shelf.ts";
import { distanceOf, normOf } from "../../src/services/vectord/vectors.ts";
import { clustered } from "../support/clusters.ts";
import { inBothCompositions, type RunningHouse } from "../support/house.ts";
import { idsOf, seeded, settled, type VectorCalls, vectorsAt } from "../support/vectors.ts";

const DIMENSION = 24;
const COUNT = 2500;
const QUERIES = 25;
const K = 10;
const CANDIDATES = 28;
const METRICS = ["l2", "dot"] as const;

const settingsOf = (metric: Metric): IndexSettings => ({
  dimension: DIMENSION,
  model: null,
  metric,
  quantization: "i8",
  connectivity: 16,
  ef_construction: 64,
  indexed: [],
});

inBothCompositions("vectord scales", (start) => {
  let house: RunningHouse;
  let calls: VectorCalls;
  const made = clustered({ dimension: DIMENSION, count: COUNT + QUERIES, longest: 10 }, seeded(31));
  const items = made.slice(0, COUNT).map((vector, at) => ({ id: `${at}`, vector: Array.from(vector) }));

  beforeAll(async () => {
    house = await start({ LAKEHOUSE_VECTORD_SAVE_AFTER_MS: "1" });
    calls = vectorsAt(house.url);
  });

  /** The share of the nearest that the graph finds. */
  async function recallOf(name: string): Promise<number> {
    let found = 0;
    for (const query of made.slice(COUNT)) {
      const vector = Array.from(query);
      const all = await calls.search(name, { vector, k: K, exact: true });
      const near = await calls.search(name, { vector, k: K });
      expect([all.exact, near.exact]).toEqual([true, false]);
      const wanted = new Set(idsOf(all.results));
      found += idsOf(near.results).filter((id) => wanted.has(id)).length;
    }
    return found / (K * QUERIES);
  }

  for (const metric of METRICS)
    test(`by ${metric}, i8 finds what f16 finds among vectors whose lengths differ tenfold`, async () => {
      const recall: Record<string, number> = {};
      for (const quantization of ["f16", "i8"]) {
        const name = `${metric}_${quantization}`;
        await calls.create(name, DIMENSION, { metric, quantization });
        await calls.add(name, items);
        await settled(calls, name);
        recall[quantization] = await recallOf(name);
      }
      expect(recall.f16).toBeGreaterThanOrEqual(0.95);
      expect(recall.i8).toBeGreaterThanOrEqual((recall.f16 as number) - 0.03);
    });

  test("a restored graph keeps its factor", async () => {
    const manifest = join(house.data_dir, "vector", "l2_i8", "graph.json");
    const saved = () => JSON.parse(readFileSync(manifest, "utf8")) as { covers_key: number; scale: number };
    while (!existsSync(manifest) || saved().covers_key < COUNT) await Bun.sleep(5);
    const { scale } = saved();
    expect(scale).toBeGreaterThan(0);
    const { key } = await calls.snapshot("l2_i8");
    await calls.restore({ key, name: "twin" });
    expect(await Bun.file(join(house.data_dir, "vector", "twin", "graph.json")).json()).toMatchObject({
      scale,
    });
    expect(await recallOf("twin")).toBeGreaterThanOrEqual(0.95);
    const object = Buffer.from(await (await fetch(`${house.url}/v1/storage/get/${key}`)).arrayBuffer());
    const at = object.indexOf('"scale": ') + '"scale": '.length;
    // As many characters in its place, so that the tar stays one.
    for (const forged of ["-1", "0.0", "null", "1e999"]) {
      object.write(forged.padEnd(String(scale).length), at, "latin1");
      await fetch(`${house.url}/v1/storage/put/${key}`, { method: "PUT", body: object as BodyInit });
      expect(await calls.tryRestore({ key, name: "forged" })).toMatchObject({
        status: 400,
        body: { detail: expect.stringContaining("none of a snapshot") },
      });
    }
    object.write("1e-30".padEnd(String(scale).length), at, "latin1");
    await fetch(`${house.url}/v1/storage/put/${key}`, { method: "PUT", body: object as BodyInit });
    await calls.restore({ key, name: "useless" });
    await settled(calls, "useless");
    expect(await recallOf("useless")).toBeGreaterThanOrEqual(0.95);
  });
});

describe("a factor", () => {
  const listed = (vectors: readonly Float32Array[]): Vectors => ({
    size: vectors.length,
    all: () => vectors.map((_, at) => at),
    vector: (slot) => vectors[slot] as Float32Array,
  });

  test("is one that can be used, and clamps few numbers, whatever the vectors are", () => {
    const number = fc.float({ noNaN: true, noDefaultInfinity: true });
    const some = fc.array(fc.array(number, { minLength: 4, maxLength: 4 }), { maxLength: 19 });
    fc.assert(
      fc.property(some, fc.constantFrom(...METRICS), (rows, metric) => {
        const vectors = rows.map((it) => Float32Array.from(it));
        const scale = Scale.chosen(listed(vectors), metric);
        expect(Number.isFinite(scale.factor) && scale.factor > 0).toBe(true);
        expect(Scale.kept(scale.factor, listed(vectors), metric)?.factor).toBe(scale.factor);
        // Of so few none may be too large.
        for (const vector of vectors)
          for (const [at, byte] of scale.held(vector).entries())
            expect(byte).toBe(Math.round((vector[at] as number) * scale.factor) | 0);
      }),
      { numRuns: 300 },
    );
  });

  test("leaves a few outliers out by l2, and hardly any by dot", () => {
    const made = clustered({ dimension: DIMENSION, count: 4000, longest: 1 }, seeded(4));
    const vectors = made.map((it, at) => (at % 2000 === 7 ? it.map((number) => number * 1000) : it));
    const plain = Scale.chosen(listed(made), "l2").factor;
    expect(Scale.chosen(listed(vectors), "l2").factor).toBeGreaterThan(plain / 2);
    expect(Scale.chosen(listed(vectors), "dot").factor).toBeLessThan(plain / 100);
  });

  test("keeps what usearch holds: bytes as they were given, and lengths in its distances", () => {
    for (const metric of METRICS) {
      const index = emptyIndex(settingsOf(metric));
      const scale = Scale.chosen(listed([new Float32Array(DIMENSION).fill(127)]), metric);
      for (const [at, size] of [100, 10, 50].entries())
        index.add(BigInt(at), scale.held(new Float32Array(DIMENSION).fill(size)), 1);
      const { keys, distances } = index.search(scale.asked(new Float32Array(DIMENSION).fill(20)), 3, 1);
      expect(Array.from(keys, Number)).toEqual(metric === "l2" ? [1, 2, 0] : [0, 2, 1]);
      if (metric === "l2")
        expect(Array.from(distances)).toEqual([10, 30, 80].map((it) => DIMENSION * it ** 2));
    }
  });
});

describe("a graph whose vectors change their size", () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "lakehouse-scale-"));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  const made = clustered({ dimension: DIMENSION, count: 3000, longest: 3 }, seeded(8));
  const keyOf = (at: number) => at + 1;

  function put(shelf: Shelf, at: number, vector: Float32Array): void {
    const bytes = new Uint8Array(vector.slice().buffer);
    shelf.put({ key: keyOf(at), id: `${at}`, vector: bytes, metadata: null, expires_ms: null });
  }

  function grow(graph: Graph): void {
    for (let is_left = true; is_left; ) is_left = graph.step();
  }

  function fill(metric: Metric, sizeOf: (at: number) => number) {
    const shelf = new Shelf(DIMENSION);
    const graph = new Graph(folder, settingsOf(metric), shelf, 0);
    const vectors = made.map((it, at) => it.map((number) => number * sizeOf(at)));
    for (const [at, vector] of vectors.entries()) {
      put(shelf, at, vector);
      graph.put(keyOf(at));
      if (at % 100 === 99) grow(graph);
    }
    grow(graph);
    return { shelf, graph, vectors };
  }

  /** For how many of a hundred vectors the graph finds the nearest. */
  function found({ shelf, graph, vectors }: ReturnType<typeof fill>, metric: Metric): number {
    const asked = vectors.filter((_, at) => at % (made.length / 100) === 0);
    return asked.filter((vector) => {
      const norm = normOf(vector);
      const distances = shelf.all().map((slot) => distanceOf(metric, vector, norm, shelf.lying(slot)));
      const nearest = distances.indexOf(Math.min(...distances));
      return graph.nearest(vector, CANDIDATES).includes(shelf.key(nearest));
    }).length;
  }

  const factorOf = (graph: Graph) => {
    graph.save();
    return (JSON.parse(readFileSync(join(folder, "graph.json"), "utf8")) as { scale: number }).scale;
  };

  for (const metric of METRICS)
    for (const [name, sizeOf] of [
      ["grow", (at: number) => 1.001 ** at],
      ["become long at once", (at: number) => (at < 1500 ? 1 : 20)],
      ["become short", (at: number) => (at < 60 ? 1000 : 1)],
    ] as const)
      test(`finds them by ${metric} where they ${name}`, () => {
        const it = fill(metric, sizeOf);
        const off = factorOf(it.graph) / Scale.chosen(it.shelf, metric).factor;
        expect(off).toBeGreaterThan(1 / 4);
        expect(off).toBeLessThan(4);
        expect(found(it, metric)).toBeGreaterThanOrEqual(95);
      });

  test("takes up a saved graph with its factor, and builds one anew whose factor is none or suits no more", () => {
    const { shelf, graph } = fill("l2", () => 1);
    const scale = factorOf(graph);
    const path = join(folder, "graph.json");
    const manifest = JSON.parse(readFileSync(path, "utf8")) as object;
    const files = () => readdirSync(folder).filter((it) => it.endsWith(".usearch"));
    const reopened = (changed: object) => {
      writeFileSync(path, JSON.stringify({ ...manifest, ...changed }));
      return new Graph(folder, settingsOf("l2"), shelf, Number.POSITIVE_INFINITY);
    };
    expect(reopened({}).waiting).toHaveLength(0);
    expect(reopened({ scale: scale * 1.5 }).waiting).toHaveLength(0);
    for (const forged of [scale * 10, scale / 10, 1e300, 1e-300])
      expect(reopened({ scale: forged }).waiting).toHaveLength(made.length);
    expect(files()).toHaveLength(1);
    for (const none of [undefined, 0, -1, null, "1", [1]])
      expect(reopened({ scale: none }).waiting).toHaveLength(made.length);
  });
});
