/** LanceDB, of npm, called in this process: no server, no HTTP. In Python it was slower, by threads and by asyncio. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Rows } from "../real.ts";
import { npmPackage } from "./install.ts";
import { batches, range, type Store, type Way } from "./vector_store.ts";

const VERSION = "0.37.1";
const BATCH = 5000;

/** What is used of @lancedb/lancedb, which is not among our dependencies. */
interface LanceQuery {
  distanceType(metric: "cosine"): LanceQuery;
  nprobes(partitions: number): LanceQuery;
  ef(candidates: number): LanceQuery;
  refineFactor(times: number): LanceQuery;
  fastSearch(): LanceQuery;
  select(columns: string[]): LanceQuery;
  limit(k: number): LanceQuery;
  toArray(): Promise<{ id: string }[]>;
}
interface LanceTable {
  add(rows: object[]): Promise<unknown>;
  createIndex(column: string, options: { config: unknown }): Promise<void>;
  prewarmIndex(name: string): Promise<void>;
  search(vector: Float32Array): LanceQuery;
}
interface Lance {
  connect(folder: string): Promise<{ createTable(name: string, rows: object[]): Promise<LanceTable> }>;
  Index: { hnswSq(options: object): unknown };
}

/**
 * Its HNSW with scalar quantization: of its kinds of index (IVF_FLAT, IVF_PQ, IVF_RQ, HNSW_SQ) the one that
 * answered most searches a second at this recall, in one partition and otherwise as it is by default.
 */
export async function lancedb(items: Rows, queries: Rows, k: number): Promise<Store> {
  const lance = (await import(await npmPackage("@lancedb/lancedb", VERSION))) as Lance;
  const folder = mkdtempSync(join(tmpdir(), "lakehouse-lancedb-"));
  const database = await lance.connect(folder);
  const rows = (from: number, to: number) =>
    range(from, to).map((at) => ({ id: `${at}`, vector: Array.from(items.row(at)) }));
  const from_ms = performance.now();
  const table = await database.createTable("peers", rows(0, BATCH));
  for (const [from, to] of batches(items.count, BATCH).slice(1)) await table.add(rows(from, to));
  const config = lance.Index.hnswSq({ distanceType: "cosine", numPartitions: 1 });
  await table.createIndex("vector", { config });
  const loaded_per_s = (1000 * items.count) / (performance.now() - from_ms);
  await table.prewarmIndex("vector_idx");
  const way = (ef: number, refine: number): Way => ({
    name: `ef ${ef}${refine > 0 ? `, refined from ${refine} × k` : ""}`,
    ask: async (at) => {
      const plain = table.search(queries.row(at)).distanceType("cosine").nprobes(1).ef(ef).fastSearch();
      const query = refine > 0 ? plain.refineFactor(refine) : plain;
      return (await query.select(["id", "_distance"]).limit(k).toArray()).map(({ id }) => id);
    },
  });
  return {
    loaded_per_s,
    ways: [way(64, 0), way(128, 0), way(256, 0), way(64, 2), way(128, 2), way(256, 2)],
    stop: async () => rmSync(folder, { recursive: true, force: true }),
  };
}
