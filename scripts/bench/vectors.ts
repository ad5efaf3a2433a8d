/**
 * vectord over HTTP, single runtime, against usearch called in this process by one thread: recall, searches a
 * second, bulk load, how long searches take while a load runs, and a start. `--real FOLDER` names real
 * embeddings (scripts/distill/real_vectors.py makes them); without it the vectors are made, points around
 * centres, so that near and far differ as they do for texts. `--items N` sets how many.
 */
import { rmSync } from "node:fs";
import { join } from "node:path";
import type { Index } from "usearch";
import { emptyIndex } from "../../src/services/vectord/graph_index.ts";
import type { IndexInfo } from "../../src/services/vectord/schema.ts";
import { unitOf } from "../../src/services/vectord/vectors.ts";
import { ConfigSchema } from "../../src/settings.ts";
import { type RunningProcesses, startProcesses } from "../../test/support/processes.ts";
import { idsOf, seeded, type VectorCalls, vectorsAt } from "../../test/support/vectors.ts";
import { option } from "./peers/install.ts";
import { DIMENSION, type Rows, realFolder, realTexts, realVectors, rowsOf } from "./real.ts";
import { median, printRows, type Row } from "./row.ts";

const CENTRES = 1000;
const SPREAD = 0.9;
const QUERIES = 1000;
const RECALL_QUERIES = 100;
const ROUNDS = 3;
/** Of searches more, since it takes thousands until all that serves them is compiled. */
const SEARCH_ROUNDS = 7;
const CLIENTS = 8;
const BATCH = 2000;
const K = 10;
const EF: number = ConfigSchema.properties.vectord.properties.ef_search.default;
const NAME = "bench";
const SHARES = [0.001, 0.01, 0.1, 0.5];
const USERS = 200;
const POLL_MS = 100;
const ITEMS = Number(option("items") ?? 100_000);

interface Data {
  readonly what: string;
  readonly items: Rows;
  readonly queries: Rows;
  /** Of the items, then of the queries; none of made vectors. */
  readonly texts: readonly string[] | undefined;
}

export async function run(): Promise<Row[]> {
  const data = await given();
  let lake = await startProcesses("mounted");
  try {
    const calls = vectorsAt(lake.url);
    const made = await calls.create(NAME, DIMENSION, { indexed: ["rank", "group"] });
    const loaded = await load(calls, data);
    const reference = new Reference(data.items, made);
    const rows = [
      ...(await recalls(calls, data)),
      await searchesASecond(calls, data, reference),
      ratio("vectors a second, bulk load until the graph holds all", 0.6, loaded, reference.adds),
      await searchesDuringLoad(calls, data),
      ...(await filtered(calls, data)),
      ...(data.texts ? await hybrid(calls, data, data.texts) : []),
    ];
    await lake.stop();
    const { row, again } = await start(lake.data_dir, data);
    lake = again;
    return [...rows, row].map((it) => ({ detail: data.what, ...it }));
  } finally {
    await lake.stop();
    rmSync(lake.data_dir, { recursive: true, force: true });
  }
}

async function given(): Promise<Data> {
  const what = `${ITEMS.toLocaleString("en")} × ${DIMENSION}, default settings`;
  if (option("real") === undefined)
    return {
      what: `made vectors, ${what}`,
      items: made(1, ITEMS),
      queries: made(2, QUERIES),
      texts: undefined,
    };
  const folder = realFolder("vectors");
  if (folder === undefined) throw new Error(`there are no vectors in ${option("real")}`);
  const texts = realTexts(folder, Number.MAX_SAFE_INTEGER);
  const rows = realVectors(folder, ITEMS, QUERIES);
  return {
    what: `real embeddings of texts, ${what}`,
    ...rows,
    texts: [...texts.slice(0, ITEMS), ...texts.slice(texts.length - QUERIES)],
  };
}

function made(seed: number, count: number): Rows {
  const centred = seeded(1);
  const centres = Float32Array.from({ length: CENTRES * DIMENSION }, () => centred() - 0.5);
  const random = seeded(seed);
  const flat = new Float32Array(count * DIMENSION);
  for (let at = 0; at < count; at++) {
    const centre = Math.floor(random() * CENTRES) * DIMENSION;
    for (let d = 0; d < DIMENSION; d++)
      flat[at * DIMENSION + d] = (centres[centre + d] as number) + SPREAD * (random() - 0.5);
  }
  return rowsOf(flat);
}

/** usearch in this process, as an index has it by default: the same graph, as many candidates. */
class Reference {
  readonly #index: Index;
  /** Vectors a second. */
  readonly adds: number;

  constructor(items: Rows, settings: IndexInfo) {
    this.#index = emptyIndex(settings);
    const keys = BigUint64Array.from({ length: items.count }, (_, at) => BigInt(at));
    const units = Float32Array.from(items.flat);
    for (let at = 0; at < items.count; at++) units.set(unitOf(items.row(at)), at * DIMENSION);
    const from_ms = performance.now();
    this.#index.add(keys, units, 1);
    this.adds = (1000 * items.count) / (performance.now() - from_ms);
  }

  searchesASecond(queries: readonly Float32Array[]): number {
    const from_ms = performance.now();
    for (const query of queries) this.#index.search(query, EF, 1);
    return (1000 * queries.length) / (performance.now() - from_ms);
  }
}

/** One item a line. `rank` lies evenly from 0 to 1; `group` is one of USERS. */
function linesOf({ items, texts }: Data, from: number, to: number, prefix = ""): string {
  return Array.from({ length: to - from }, (_, offset) => {
    const at = from + offset;
    const rank = ((at * 7919) % items.count) / items.count;
    const metadata = { rank, group: `g${at % USERS}`, part: prefix };
    const text = texts?.[at];
    return JSON.stringify({
      id: `${prefix}${at}`,
      vector: items.base64(at),
      metadata,
      ...(text ? { text } : {}),
    });
  }).join("\n");
}

/** @returns vectors a second */
async function load(calls: VectorCalls, data: Data): Promise<number> {
  const from_ms = performance.now();
  for (let from = 0; from < data.items.count; from += BATCH)
    await send(calls, linesOf(data, from, Math.min(data.items.count, from + BATCH)));
  while ((await calls.info(NAME)).state !== "ready") await Bun.sleep(POLL_MS);
  return (1000 * data.items.count) / (performance.now() - from_ms);
}

async function send(calls: VectorCalls, lines: string): Promise<void> {
  const { status } = await calls.send("POST", `/${NAME}/add`, lines, "application/x-ndjson");
  if (status !== 200) throw new Error(`a load was answered ${status}`);
}

/** How long each took, in ms, by so many clients at once. */
async function times(calls: VectorCalls, bodies: readonly object[], clients: number): Promise<number[]> {
  const took_ms: number[] = [];
  const rest = bodies.values();
  const client = async () => {
    for (const body of rest) {
      const from_ms = performance.now();
      await calls.search(NAME, { k: K, ...body });
      took_ms.push(performance.now() - from_ms);
    }
  };
  await Promise.all(Array.from({ length: clients }, client));
  return took_ms;
}

const plain = ({ queries }: Data) =>
  Array.from({ length: queries.count }, (_, at) => ({ vector: queries.base64(at) }));

async function searchesASecond(calls: VectorCalls, data: Data, reference: Reference): Promise<Row> {
  const queries = Array.from({ length: data.queries.count }, (_, at) => data.queries.row(at).slice());
  const bodies = plain(data);
  const rounds: { served: number; alone: number }[] = [];
  for (let round = 0; round < SEARCH_ROUNDS; round++) {
    const alone = reference.searchesASecond(queries);
    const from_ms = performance.now();
    await times(calls, bodies, CLIENTS);
    rounds.push({ served: (1000 * bodies.length) / (performance.now() - from_ms), alone });
  }
  rounds.sort((a, b) => a.served / a.alone - b.served / b.alone);
  const { served, alone } = rounds[rounds.length >> 1] as (typeof rounds)[number];
  return ratio(`searches a second, ${CLIENTS} clients`, 0.6, served, alone);
}

/** Into the same index: what the graph does not hold yet is compared, too. */
async function searchesDuringLoad(calls: VectorCalls, data: Data): Promise<Row> {
  const bodies = plain(data);
  const idle = percentile(await times(calls, bodies, CLIENTS), 0.99);
  // Made before, so that making them takes no time from the clients that search.
  const batches: string[] = [];
  for (let from = 0; from < data.items.count / 5; from += BATCH)
    batches.push(linesOf(data, from, Math.min(data.items.count, from + BATCH), "more "));
  let is_over = false;
  const loading = (async () => {
    for (const lines of batches) await send(calls, lines);
    is_over = true;
  })();
  const busy_ms: number[] = [];
  while (!is_over) busy_ms.push(...(await times(calls, bodies.slice(0, 100), CLIENTS)));
  await loading;
  while ((await calls.info(NAME)).state !== "ready") await Bun.sleep(POLL_MS);
  await calls.remove(NAME, { filter: { must: [{ key: "part", match: "more " }] } });
  const busy = percentile(busy_ms, 0.99);
  return {
    what: `p99 of searches while a bulk load into the same index runs, ${CLIENTS} clients`,
    target: "≤ 5 × idle",
    measured: `${(busy / idle).toFixed(1)} × (${busy.toFixed(1)} ms to ${idle.toFixed(1)} ms)`,
    met: busy <= 5 * idle,
  };
}

const lower = (share: number) => ({ must: [{ key: "rank", range: { lt: share } }] });

async function recalls(calls: VectorCalls, data: Data): Promise<Row[]> {
  const rows: Row[] = [];
  for (const share of [1, ...SHARES]) {
    const some = share === 1 ? {} : { filter: lower(share) };
    let found = 0;
    let wanted = 0;
    for (const { vector } of plain(data).slice(0, RECALL_QUERIES)) {
      const all = new Set(idsOf((await calls.search(NAME, { vector, k: K, exact: true, ...some })).results));
      const near = await calls.search(NAME, { vector, k: K, ...some });
      found += idsOf(near.results).filter((id) => all.has(id)).length;
      wanted += all.size;
    }
    const recall = found / wanted;
    const what = `recall@${K} against exact${share === 1 ? "" : `, a filter that lets ${100 * share} % through`}`;
    rows.push({ what, target: "≥ 0.97", measured: recall.toFixed(3), met: recall >= 0.97 });
  }
  return rows;
}

/** By one client, as a ratio to searching without a filter: how much a filter costs. */
async function filtered(calls: VectorCalls, data: Data): Promise<Row[]> {
  const bodies = plain(data).slice(0, 200);
  const without = median(await times(calls, bodies, 1));
  const rows: Row[] = [];
  for (const share of SHARES) {
    const took = median(
      await times(
        calls,
        bodies.map((it) => ({ ...it, filter: lower(share) })),
        1,
      ),
    );
    rows.push({
      what: `p50 with an indexed filter that lets ${100 * share} % through, 1 client`,
      target: "≤ 5 × without a filter",
      measured: `${(took / without).toFixed(1)} × (${took.toFixed(2)} ms to ${without.toFixed(2)} ms)`,
      met: took <= 5 * without,
    });
  }
  return rows;
}

const HYBRID_MS = 10;

async function hybrid(calls: VectorCalls, data: Data, texts: readonly string[]): Promise<Row[]> {
  const asked = plain(data)
    .slice(0, 200)
    .map((it, at) => ({ ...it, hybrid: { text: texts[data.items.count + at] } }));
  const own = (it: object, at: number) => ({
    ...it,
    filter: { must: [{ key: "group", match: `g${at % USERS}` }] },
  });
  const rows: Row[] = [];
  for (const [what, bodies] of [
    ["hybrid with soft matches", asked],
    [`hybrid with soft matches among one of ${USERS} groups, an indexed field`, asked.map(own)],
  ] as const) {
    const took = median(await times(calls, bodies, 1));
    rows.push({
      what: `p50, ${what}, 1 client`,
      target: `≤ ${HYBRID_MS} ms`,
      measured: `${took.toFixed(1)} ms`,
      met: took <= HYBRID_MS,
    });
  }
  return rows;
}

/** From the start of the process to the first answer, with and without a graph on the disk. */
async function start(data_dir: string, data: Data): Promise<{ row: Row; again: RunningProcesses }> {
  const [body] = plain(data);
  const first = async () => {
    const from_ms = performance.now();
    const lake = await startProcesses("mounted", {}, data_dir);
    const { exact } = await vectorsAt(lake.url).search(NAME, { k: K, vector: body?.vector as string });
    return { lake, exact, took_ms: performance.now() - from_ms };
  };
  const took: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const { lake, exact, took_ms } = await first();
    if (exact) throw new Error("the graph was not read back");
    took.push(took_ms);
    await lake.stop();
  }
  rmSync(join(data_dir, "vector", NAME, "graph.json"));
  const bare = await first();
  const ms = median(took);
  const row = {
    what: "start to the first answered search, from a good snapshot",
    target: "≤ 2000 ms",
    measured: `${Math.round(ms)} ms`,
    met: ms <= 2000 && bare.exact,
    detail: `${data.what}; with no snapshot ${Math.round(bare.took_ms)} ms, that search being exact: ${bare.exact}`,
  };
  return { row, again: bare.lake };
}

function ratio(what: string, target: number, measured: number, reference: number): Row {
  return {
    what,
    target: `≥ ${target} × usearch in process, one thread`,
    measured: `${(measured / reference).toFixed(2)} × (${Math.round(measured)} to ${Math.round(reference)} a second)`,
    met: measured >= target * reference,
  };
}

const percentile = (values: number[], share: number): number =>
  values.sort((a, b) => a - b)[Math.floor(share * (values.length - 1))] as number;

if (import.meta.main) printRows(await run());
