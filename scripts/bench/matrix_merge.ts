/**
 * How well many corpora are merged: nDCG@10 through the API, beside the best single corpus, plain reciprocal rank
 * fusion of their rankings, and one index that holds everything. `bun scripts/bench/matrix_merge.ts --sets FOLDER
 * [--queries 200]`; the folder as for scripts/bench/retrieval.ts. Each set is split into corpora (its conversations, or
 * five parts by chance, by size and by topic), and searched alone and beside the corpora of all other sets.
 */
import { rmSync } from "node:fs";
import type { MatrixFound } from "../../src/services/matrixd/schema.ts";
import { startHouse } from "../../test/support/house.ts";
import { type MatrixCalls, matrixAt } from "../../test/support/matrix.ts";
import { type Document, type JudgedSet, layoutsOf, readSets } from "./matrix_sets.ts";
import { printRows, type Row } from "./row.ts";

const K = 10;
/** Taken of each corpus for reciprocal rank fusion, as the merge takes them. */
const DEPTH = 50;
/** The constant of reciprocal rank fusion (Cormack, Clarke and Büttcher 2009). */
const RRF = 60;
const BATCH = 500;
const CLIENTS = 4;
const TEXTS = 256;

type Query = JudgedSet["queries"][number];

/** Corpora by the names they are registered under. */
interface Registered {
  readonly layout: string;
  readonly names: string[];
}

export async function run(folder = option("--sets")): Promise<Row[]> {
  if (folder === undefined) {
    console.error("matrix_merge: not measured; name a folder of retrieval sets with --sets FOLDER");
    return [];
  }
  const sets = await readSets(folder, Number(option("--queries") ?? 200));
  const house = await startHouse("mounted", { LAKEHOUSE_VECTORD_MAX_INDEXES: "1000" });
  const calls = matrixAt(house.url);
  try {
    const registered = new Map<string, Registered[]>();
    for (const set of sets) {
      const layouts = await layoutsOf(set, (texts) => embed(house.url, texts));
      const all: Registered[] = [];
      for (const { name, corpora } of layouts) {
        const names = corpora.map((_, at) => slug(`${set.name} ${name} ${at}`));
        for (const [at, corpus] of names.entries()) await fill(calls, corpus, corpora[at] ?? []);
        all.push({ layout: name, names });
      }
      await fill(calls, slug(`${set.name} one`), set.parts.flat());
      registered.set(set.name, all);
    }
    await fill(
      calls,
      "everything",
      sets.flatMap(({ parts }) => parts.flat()),
    );
    const rows: Row[] = [];
    for (const set of sets) {
      const others = sets
        .filter((it) => it !== set)
        .flatMap((it) => registered.get(it.name)?.[0]?.names ?? []);
      for (const { layout, names } of registered.get(set.name) ?? []) {
        if (names.length > 1) rows.push(await judged(calls, set, layout, names, slug(`${set.name} one`)));
        if (others.length > 0)
          rows.push(
            await judged(calls, set, `${layout}, beside others`, [...names, ...others], "everything"),
          );
      }
    }
    return rows;
  } finally {
    await house.stop();
    rmSync(house.data_dir, { recursive: true, force: true });
  }
}

/** @param whole a corpus that holds all that the others hold together */
async function judged(
  calls: MatrixCalls,
  set: JudgedSet,
  layout: string,
  names: string[],
  whole: string,
): Promise<Row> {
  const sums = { merged: 0, plain: 0, fused: 0, whole: 0 };
  const singles = names.map(() => 0);
  await each(set.queries, async ({ text: query, relevant }) => {
    const alone = await Promise.all(names.map((name) => rankedAlone(calls, query, name)));
    const merged = idsOf(await calls.search({ query, corpora: names, k: K }));
    const plain = idsOf(await calls.search({ query, corpora: names, k: K, rerank: false }));
    const one = await rankedAlone(calls, query, whole);
    // Added only now: `+=` reads its left side before it waits for its right one.
    sums.merged += gain(merged, relevant);
    sums.plain += gain(plain, relevant);
    sums.whole += gain(one, relevant);
    sums.fused += gain(reciprocal(alone), relevant);
    for (const [at, ids] of alone.entries()) singles[at] = (singles[at] ?? 0) + gain(ids, relevant);
  });
  const mean = (sum: number) => sum / set.queries.length;
  const best = mean(Math.max(...singles));
  const [merged, fused] = [mean(sums.merged), mean(sums.fused)];
  return {
    what: `${set.name} ${layout}: nDCG@10 of ${names.length} corpora merged`,
    target: `≥ best corpus alone ${show(best)}, ≥ plain RRF ${show(fused)}`,
    measured: show(merged),
    met: merged >= best && merged >= fused,
    detail: `${set.queries.length} queries; not reranked ${show(mean(sums.plain))}; one index that holds all ${show(mean(sums.whole))}`,
  };
}

/** The same question to the same corpus comes up in several layouts. */
const known = new Map<string, Promise<string[]>>();
function rankedAlone(calls: MatrixCalls, query: string, corpus: string): Promise<string[]> {
  const key = `${corpus} ${query}`;
  const ranked =
    known.get(key) ?? calls.search({ query, corpora: [corpus], k: DEPTH, per_corpus_k: DEPTH }).then(idsOf);
  known.set(key, ranked);
  return ranked;
}

const idsOf = ({ results }: MatrixFound) => results.map(({ id }) => id);

/** Each corpus's first is as good as any other's first: ties go by the order of the corpora. */
function reciprocal(rankings: readonly string[][]): string[] {
  const scores = new Map<string, number>();
  for (const ids of rankings)
    for (const [at, id] of ids.entries()) scores.set(id, (scores.get(id) ?? 0) + 1 / (RRF + at + 1));
  return [...scores].sort((a, b) => b[1] - a[1]).map(([id]) => id);
}

function gain(ids: readonly string[], relevant: Query["relevant"]): number {
  const at = (place: number) => 1 / Math.log2(place + 2);
  let got = 0;
  for (const [place, id] of ids.slice(0, K).entries()) if (relevant.has(id)) got += at(place);
  let ideal = 0;
  for (let place = 0; place < Math.min(K, relevant.size); place++) ideal += at(place);
  return got / ideal;
}

async function fill(calls: MatrixCalls, name: string, documents: readonly Document[]): Promise<void> {
  await calls.fill(name, documents.slice(0, BATCH));
  for (let from = BATCH; from < documents.length; from += BATCH)
    await calls.add(name, documents.slice(from, from + BATCH));
}

async function embed(url: string, texts: string[]): Promise<Float32Array[]> {
  const vectors: Float32Array[] = [];
  for (let from = 0; from < texts.length; from += TEXTS) {
    const response = await fetch(`${url}/v1/embed`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ texts: texts.slice(from, from + TEXTS), truncate: true }),
    });
    const made = (await response.json()) as { vectors: number[][] };
    vectors.push(...made.vectors.map((it) => Float32Array.from(it)));
  }
  return vectors;
}

async function each<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const left = [...items];
  const client = async () => {
    for (let item = left.pop(); item !== undefined; item = left.pop()) await work(item);
  };
  await Promise.all(Array.from({ length: CLIENTS }, client));
}

const slug = (text: string) => text.toLowerCase().replace(/[^a-z0-9]+/g, "-");
const show = (value: number) => value.toFixed(4);

function option(name: string): string | undefined {
  const at = process.argv.indexOf(name);
  return at < 0 ? undefined : process.argv[at + 1];
}

if (import.meta.main) printRows(await run());
