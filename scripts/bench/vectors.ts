/**
 * vectord over HTTP, single runtime, against usearch called in this process by one thread: recall, searches a
 * second, bulk load, and how long searches take while a load runs. The vectors are made: points around
 * centres, so that near and far differ as they do for texts; `--items N` sets how many.
 */
import { rmSync } from "node:fs";
import { Index, MetricKind, ScalarKind } from "usearch";
import { startProcesses } from "../../test/support/processes.ts";
import { base64Of, idsOf, seeded, settled, type VectorCalls, vectorsAt } from "../../test/support/vectors.ts";
import { printRows, type Row } from "./row.ts";

const DIMENSION = 384;
const CENTRES = 1000;
const SPREAD = 0.9;
const QUERIES = 1000;
const CLIENTS = 8;
const BATCH = 2000;
const K = 10;
const NAME = "bench";
const GROUPS = [0.001, 0.01, 0.1, 0.5];

const given = process.argv.indexOf("--items");
const ITEMS = given < 0 ? 100_000 : Number(process.argv[given + 1]);

export async function run(): Promise<Row[]> {
  const random = seeded(1);
  const around = () => random() - 0.5;
  const centres = Array.from({ length: CENTRES }, () => Array.from({ length: DIMENSION }, around));
  const make = () => {
    const centre = centres[Math.floor(random() * CENTRES)] as number[];
    return centre.map((value) => Math.fround(value + SPREAD * around()));
  };
  const vectors = Array.from({ length: ITEMS }, () => base64Of(make()));
  const queries = Array.from({ length: QUERIES }, () => base64Of(make()));
  const reference = inProcess(vectors, queries);
  const lake = await startProcesses("mounted");
  const calls = vectorsAt(lake.url);
  try {
    await calls.create(NAME, DIMENSION);
    let from_ms = performance.now();
    await load(calls, NAME, vectors);
    await settled(calls, NAME);
    const loaded = (1000 * ITEMS) / (performance.now() - from_ms);
    from_ms = performance.now();
    const idle_ms = await searches(calls, queries);
    const searched = (1000 * QUERIES) / (performance.now() - from_ms);

    await calls.create("other", DIMENSION);
    const loading = load(calls, "other", vectors.slice(0, ITEMS / 5)).then(() => settled(calls, "other"));
    const busy_ms = await searches(calls, queries);
    await loading;
    const [idle, busy] = [percentile(idle_ms, 0.99), percentile(busy_ms, 0.99)];
    return [
      ...(await recalls(calls, queries.slice(0, 100))),
      ratio(`searches a second, ${CLIENTS} clients`, 0.6, searched, reference.searches),
      ratio("vectors a second, bulk load until the graph holds all", 0.6, loaded, reference.adds),
      {
        what: "p99 of searches while a bulk load runs",
        target: "≤ 5 × idle",
        measured: `${(busy / idle).toFixed(1)} × (${busy.toFixed(1)} ms to ${idle.toFixed(1)} ms)`,
        met: busy <= 5 * idle,
      },
    ];
  } finally {
    await lake.stop();
    rmSync(lake.data_dir, { recursive: true, force: true });
  }
}

const vectorOf = (base64: string) => new Float32Array(Uint8Array.from(Buffer.from(base64, "base64")).buffer);

function inProcess(vectors: string[], queries: string[]): { adds: number; searches: number } {
  const index = new Index({
    dimensions: DIMENSION,
    metric: MetricKind.Cos,
    quantization: ScalarKind.F16,
    connectivity: 16,
    expansion_add: 128,
    expansion_search: 128,
    multi: false,
  });
  const flat = new Float32Array(vectors.length * DIMENSION);
  for (const [at, it] of vectors.entries()) flat.set(vectorOf(it), at * DIMENSION);
  const keys = BigUint64Array.from(vectors, (_, at) => BigInt(at));
  let from_ms = performance.now();
  index.add(keys, flat, 1);
  const adds = (1000 * vectors.length) / (performance.now() - from_ms);
  const asked = queries.map(vectorOf);
  from_ms = performance.now();
  for (const query of asked) index.search(query, K, 1);
  return { adds, searches: (1000 * queries.length) / (performance.now() - from_ms) };
}

async function load(calls: VectorCalls, name: string, vectors: string[]): Promise<void> {
  for (let from = 0; from < vectors.length; from += BATCH) {
    const lines = vectors.slice(from, from + BATCH).map((vector, at) => {
      const rank = ((from + at) * 7919) % vectors.length;
      return JSON.stringify({ id: `${from + at}`, vector, metadata: { rank: rank / vectors.length } });
    });
    const { status } = await calls.send("POST", `/${name}/add`, lines.join("\n"), "application/x-ndjson");
    if (status !== 200) throw new Error(`a load was answered ${status}`);
  }
}

/** How long each took, in ms. */
async function searches(calls: VectorCalls, queries: string[]): Promise<number[]> {
  const took_ms: number[] = [];
  const rest = queries.values();
  const client = async () => {
    for (const vector of rest) {
      const from_ms = performance.now();
      await calls.search(NAME, { vector, k: K });
      took_ms.push(performance.now() - from_ms);
    }
  };
  await Promise.all(Array.from({ length: CLIENTS }, client));
  return took_ms;
}

async function recalls(calls: VectorCalls, queries: string[]): Promise<Row[]> {
  const rows: Row[] = [];
  for (const share of [1, ...GROUPS]) {
    const some = share === 1 ? {} : { filter: { must: [{ key: "rank", range: { lt: share } }] } };
    let found = 0;
    let wanted = 0;
    for (const vector of queries) {
      const all = new Set(idsOf((await calls.search(NAME, { vector, k: K, exact: true, ...some })).results));
      found += idsOf((await calls.search(NAME, { vector, k: K, ...some })).results).filter((id) =>
        all.has(id),
      ).length;
      wanted += all.size;
    }
    const recall = found / wanted;
    const what = `recall@${K} against exact${share === 1 ? "" : `, a filter that lets ${100 * share} % through`}`;
    rows.push({ what, target: "≥ 0.97", measured: recall.toFixed(3), met: recall >= 0.97 });
  }
  const detail = `${ITEMS.toLocaleString("en")} made vectors of ${DIMENSION} numbers, default settings`;
  return rows.map((row) => ({ ...row, detail }));
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
