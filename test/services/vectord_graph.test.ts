/** Graphs from elsewhere: those that are sound are taken, and no other ever reaches usearch. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Index, MetricKind, type ScalarKind } from "usearch";
import { Graph } from "../../src/services/vectord/graph.ts";
import { isSoundGraph } from "../../src/services/vectord/graph_check.ts";
import { checksumOf, writeGraphManifest } from "../../src/services/vectord/graph_file.ts";
import { emptyIndex, OVERWRITTEN } from "../../src/services/vectord/graph_index.ts";
import { type IndexSettings, METRICS, QUANTIZATIONS } from "../../src/services/vectord/schema.ts";
import { Shelf } from "../../src/services/vectord/shelf.ts";
import { distanceOf, normOf } from "../../src/services/vectord/vectors.ts";
import { randomVector, seeded } from "../support/vectors.ts";

const DIMENSION = 8;
const COUNT = 300;
/** Where what usearch trusts begins: behind the vectors. */
const headOf = (bytes: Buffer) => bytes.indexOf("usearch");
const all = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, at) => from + at);

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "lakehouse-graph-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const settingsOf = (more: Partial<IndexSettings> = {}): IndexSettings => ({
  dimension: DIMENSION,
  model: null,
  metric: "cosine",
  quantization: "f16",
  connectivity: 5,
  ef_construction: 32,
  indexed: [],
  ...more,
});

/** A graph with keys up to COUNT, of which 7 is overwritten and 9 removed. */
function make(settings: IndexSettings): { bytes: Buffer; size: number; live: number[] } {
  const random = seeded(11);
  const vector = () => Float32Array.from(randomVector(settings.dimension, random));
  const index = emptyIndex(settings);
  for (let key = 1; key <= COUNT; key++) index.add(BigInt(key), vector(), 1);
  for (const key of [7, 9]) index.remove(BigInt(key));
  index.add(BigInt(7 + OVERWRITTEN), vector(), 1);
  const path = join(folder, "made.usearch");
  index.save(path);
  return {
    bytes: readFileSync(path),
    size: index.size(),
    live: all(1, COUNT).filter((it) => it !== 7 && it !== 9),
  };
}

const judge = (bytes: Buffer, settings: IndexSettings, size: number, live: number[], covers_key = COUNT) => {
  const path = join(folder, "judged.usearch");
  writeFileSync(path, bytes);
  return isSoundGraph(path, settings, { covers_key, size }, live);
};

test("what usearch writes is sound, of every kind, and no other kind's", () => {
  for (const metric of METRICS)
    for (const quantization of QUANTIZATIONS) {
      const settings = settingsOf({ metric, quantization });
      const { bytes, size, live } = make(settings);
      expect(judge(bytes, settings, size, live)).toBe(true);
      const others: Partial<IndexSettings>[] = [
        { metric: metric === "l2" ? "dot" : "l2" },
        { quantization: quantization === "i8" ? "f16" : "i8" },
        { dimension: DIMENSION + 1 },
        { connectivity: 6 },
      ];
      for (const other of others) expect(judge(bytes, { ...settings, ...other }, size, live)).toBe(false);
    }
});

test("a graph that lacks an item, or holds what there never was, is none", () => {
  const settings = settingsOf();
  const { bytes, size, live } = make(settings);
  expect(judge(bytes, settings, size, [...live, COUNT + 1], COUNT + 1)).toBe(false);
  expect(judge(bytes, settings, size, all(1, COUNT))).toBe(false);
  expect(judge(bytes, settings, size, live, COUNT - 1)).toBe(false);
  expect(judge(bytes, settings, size + 1, live)).toBe(false);
  expect(judge(bytes, settings, size, live.slice(50))).toBe(true);
  for (const cut of [1, 100, bytes.length - 4, bytes.length])
    expect(judge(bytes.subarray(0, bytes.length - cut), settings, size, live)).toBe(false);
  expect(judge(Buffer.concat([bytes, Buffer.alloc(1)]), settings, size, live)).toBe(false);
});

test("of damaged ones, those taken can be loaded, searched and added to", () => {
  const settings = settingsOf();
  const { bytes, size, live } = make(settings);
  const random = seeded(12);
  let taken = 0;
  for (let round = 0; round < 600; round++) {
    const damaged = Buffer.from(bytes);
    const from = headOf(bytes);
    for (let flips = 1 + (round % 3); flips > 0; flips--) {
      const at = from + Math.floor(random() * (bytes.length - from));
      damaged[at] = Math.floor(random() * 256);
    }
    if (!judge(damaged, settings, size, live)) continue;
    taken++;
    const index = emptyIndex(settings);
    index.load(join(folder, "judged.usearch"));
    for (let query = 0; query < 3; query++)
      index.search(Float32Array.from(randomVector(DIMENSION, random)), 10, 1);
    index.add(BigInt(COUNT + 1), Float32Array.from(randomVector(DIMENSION, random)), 1);
  }
  // A link to another node of the same level is as good as any.
  expect(taken).toBeGreaterThan(20);
  expect(taken).toBeLessThan(500);
});

test("a graph that an older version filled by usearch's cosine serves on", () => {
  const root = mkdtempSync(join(tmpdir(), "lakehouse-graph-"));
  try {
    for (const quantization of QUANTIZATIONS) {
      const settings = settingsOf({ quantization });
      const random = seeded(13);
      const shelf = new Shelf(DIMENSION);
      const put = (key: number, vector: Float32Array) => {
        const bytes = new Uint8Array(vector.buffer);
        shelf.put({ key, id: `${key}`, vector: bytes, metadata: null, expires_ms: null });
      };
      const before = new Index({
        dimensions: DIMENSION,
        metric: MetricKind.Cos,
        quantization: quantization as ScalarKind,
        connectivity: 5,
        expansion_add: 32,
        expansion_search: 96,
        multi: false,
      });
      const vectorOf = () => Float32Array.from(randomVector(DIMENSION, random), (it) => it * 20 * random());
      for (const key of all(1, COUNT)) {
        put(key, vectorOf());
        before.add(BigInt(key), shelf.vectorOf(key), 1);
      }
      const path = join(root, "0-0.usearch");
      before.save(path);
      const size = before.size();
      writeGraphManifest(root, { file: "0-0.usearch", covers_key: COUNT, size, checksum: checksumOf(path) });
      const graph = new Graph(root, settings, shelf, COUNT);
      expect(graph.waiting).toHaveLength(0);
      for (const key of all(COUNT + 1, 2 * COUNT)) {
        put(key, vectorOf());
        graph.put(key);
      }
      while (graph.step());
      let found = 0;
      for (let query = 0; query < 50; query++) {
        const vector = vectorOf();
        const far = (key: number) =>
          distanceOf("cosine", vector, normOf(vector), shelf.lying(shelf.slot(key, 0) as number));
        const nearest = all(1, 2 * COUNT).sort((a, b) => far(a) - far(b));
        if (graph.nearest(vector, 32).includes(nearest[0] as number)) found++;
      }
      expect(found).toBeGreaterThanOrEqual(48);
    }
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
});
