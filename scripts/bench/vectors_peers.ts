/**
 * vectord over HTTP, single runtime, beside Chroma's server and LanceDB in process: searches a second on real
 * embeddings, at no less recall than ours, asked by the same client in turns.
 * `bun scripts/bench.ts vectors_peers --real FOLDER [--items N] [--venv FOLDER] [--peers FOLDER]`; the folder
 * is made by scripts/distill/real_vectors.py.
 */
import { chroma } from "./peers/chroma.ts";
import { option } from "./peers/install.ts";
import { lakehouse } from "./peers/lakehouse.ts";
import { lancedb } from "./peers/lancedb.ts";
import type { Store, Way } from "./peers/vector_store.ts";
import { DIMENSION, nearest, realFolder, realVectors } from "./real.ts";
import { median, printRows, type Row } from "./row.ts";

const ITEMS = Number(option("items") ?? 100_000);
const QUERIES = 1000;
/** Queries that recall is taken from. */
const JUDGED = 300;
const K = 10;
const ROUNDS = 3;
const CLIENTS = [1, 8] as const;
const TARGET = 3;

interface Tried {
  readonly way: Way;
  readonly recall: number;
  readonly speed: number;
}
interface Tuned {
  readonly name: string;
  readonly store: Store;
  readonly best: Tried;
  readonly tried: readonly Tried[];
}

export async function run(): Promise<Row[]> {
  const folder = realFolder("vectors_peers");
  if (folder === undefined) return [];
  const { items, queries } = realVectors(folder, ITEMS, QUERIES);
  const truth = nearest(items, queries, JUDGED, K);
  const ours = await lakehouse(items, queries, K);
  const stores = [ours];
  try {
    const own_ways = await tried(ours, truth);
    const wanted = Math.max(...own_ways.map(({ recall }) => recall));
    const rows: Row[] = [];
    for (const [name, load, sent] of [
      ["Chroma's server", chroma, "arrays of numbers"],
      ["LanceDB in process", lancedb, "base64"],
    ] as const) {
      let store: Store;
      try {
        store = await load(items, queries, K);
      } catch (error) {
        console.error(`vectors_peers: ${name} NOT MEASURED: ${(error as Error).message}`);
        continue;
      }
      stores.push(store);
      const peer = await tune(name, store, truth, wanted);
      for (const own of own_ways.filter(({ way }) => way.name.endsWith(sent)))
        rows.push(...(await compare(ours, own, peer)));
    }
    return rows;
  } finally {
    for (const store of stores) await store.stop();
  }
}

async function tried(store: Store, truth: Set<string>[]): Promise<Tried[]> {
  const all: Tried[] = [];
  for (const way of store.ways) {
    await way.prepare?.();
    const recall = await recallOf(way, truth);
    all.push({ way, recall, speed: await searchesPerSecond(way, 8) });
  }
  return all;
}

/** The fastest way that finds as much as ours; where none does, the one that finds most. */
async function tune(name: string, store: Store, truth: Set<string>[], wanted: number): Promise<Tuned> {
  const all = await tried(store, truth);
  const enough = all.filter(({ recall }) => recall >= wanted).sort((a, b) => b.speed - a.speed)[0];
  const best = enough ?? all.toSorted((a, b) => b.recall - a.recall)[0];
  if (best === undefined) throw new Error(`${name} has no way of searching`);
  await best.way.prepare?.();
  return { name, store, best, tried: all };
}

const told = (all: readonly Tried[]) =>
  all.map(({ way, recall, speed }) => `${way.name}: ${recall.toFixed(3)}, ${Math.round(speed)}/s`).join("; ");

/** In turns, so that whatever else the machine does falls on both. */
async function compare(ours: Store, { way, recall }: Tried, peer: Tuned): Promise<Row[]> {
  const recalls =
    `${ITEMS.toLocaleString("en")} real vectors of ${DIMENSION} numbers; recall@${K} ours ${recall.toFixed(3)}, ` +
    `${peer.name} ${peer.best.recall.toFixed(3)} (${peer.best.way.name})`;
  const loads =
    `loaded until the index holds all: ours ${Math.round(ours.loaded_per_s)}, ` +
    `theirs ${Math.round(peer.store.loaded_per_s)} vectors a second`;
  const rows: Row[] = [];
  for (const clients of CLIENTS) {
    const own: number[] = [];
    const theirs: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      own.push(await searchesPerSecond(way, clients));
      theirs.push(await searchesPerSecond(peer.best.way, clients));
    }
    const [a, b] = [median(own), median(theirs)];
    const speeds = `ours ${list(own)}, theirs ${list(theirs)} a second`;
    rows.push({
      what: `searches a second, ${clients} ${clients === 1 ? "client" : "clients"}, against ${peer.name}, ${way.name}`,
      target: `≥ ${TARGET} ×`,
      measured: `${(a / b).toFixed(2)} × (${Math.round(a)} to ${Math.round(b)} a second)`,
      met: a >= TARGET * b,
      detail: `${recalls}; ${speeds}; ${clients === 1 ? loads : `other ways of theirs, recall and searches a second: ${told(peer.tried)}`}`,
    });
  }
  return rows;
}

const list = (speeds: readonly number[]) => speeds.map(Math.round).join(", ");

async function recallOf(way: Way, truth: readonly Set<string>[]): Promise<number> {
  let found = 0;
  for (const [at, near] of truth.entries()) found += (await way.ask(at)).filter((id) => near.has(id)).length;
  return found / (truth.length * K);
}

async function searchesPerSecond(way: Way, clients: number): Promise<number> {
  const rest = Array.from({ length: QUERIES }, (_, at) => at).values();
  const client = async () => {
    for (const at of rest) await way.ask(at);
  };
  const from_ms = performance.now();
  await Promise.all(Array.from({ length: clients }, client));
  return (1000 * QUERIES) / (performance.now() - from_ms);
}

if (import.meta.main) printRows(await run());
