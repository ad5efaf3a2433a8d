/**
 * The retrieval sets through a running lake, as its users ask: loaded and searched over HTTP, with the built-in model
 * and, given `--onnx FOLDER`, with a sentence encoder.
 */
import { rmSync } from "node:fs";
import { startProcesses } from "../../test/support/processes.ts";
import { idsOf, type VectorCalls, vectorsAt } from "../../test/support/vectors.ts";
import { ENCODER, encoderSettings, referenceRows } from "./encoder.ts";
import { type Part, qualityOf, type SetFile, TARGETS, textOf } from "./retrieval_sets.ts";
import type { Row } from "./row.ts";

const BATCH = 1000;
/** An encoder takes seconds for so many long texts. */
const ENCODER_BATCH = 32;
const CLIENTS = 4;
const K = 10;
/** Of a set or a conversation; of one with more every second, third … is asked. */
const MAX_QUERIES = 800;

type Hybrid = { bm25?: number; vector?: number; soft?: number };
/** Several ways of weighing both sides; the first is what a query gets that says nothing. */
const WAYS = {
  hybrid: {},
  bm25: { bm25: 1, vector: 0, soft: 0 },
  vector: { bm25: 0, vector: 1, soft: 0 },
} satisfies Record<string, Hybrid>;
type Qualities = Record<keyof typeof WAYS, number>;

export async function servedRows(sets: readonly SetFile[]): Promise<Row[]> {
  const with_encoder = encoderSettings();
  const lake = await startProcesses("mounted", with_encoder ?? {});
  const calls = vectorsAt(lake.url);
  try {
    const rows: Row[] = [];
    for (const set of sets) {
      rows.push(rowOf(set, await qualities(calls, set)));
      if (!with_encoder) continue;
      rows.push(...(await referenceRows(lake, set)));
      rows.push(rowOf(set, await qualities(calls, set, ENCODER), ENCODER));
    }
    return rows;
  } finally {
    await lake.stop();
    rmSync(lake.data_dir, { recursive: true, force: true });
  }
}

function rowOf({ name, metric, parts }: SetFile, { hybrid, bm25, vector }: Qualities, model?: string): Row {
  const target = TARGETS[name]?.[model === undefined ? "built_in" : "teacher"] ?? bm25;
  const documents = parts.reduce((sum, part) => sum + part.documents.length, 0);
  return {
    what: `${name} ${metric}, through vectord: hybrid, ${model === undefined ? "built-in model" : "a transformer by ONNX"}`,
    target: `≥ ${target.toFixed(3)}${name in TARGETS ? "" : ", BM25 alone"}`,
    measured: hybrid.toFixed(3),
    met: hybrid >= target,
    detail: `${documents} documents over HTTP; BM25 alone ${bm25.toFixed(3)}, vectors alone ${vector.toFixed(3)}`,
  };
}

/** The mean over all queries that have an answer, for each way. */
export async function qualities(calls: VectorCalls, set: SetFile, model?: string): Promise<Qualities> {
  const sums: Qualities = { hybrid: 0, bm25: 0, vector: 0 };
  let judged = 0;
  for (const [at, part] of set.parts.entries()) {
    const index = `${set.name.toLowerCase().replace(/[^a-z0-9_-]/g, "-")}-${at}-${model ?? "built-in"}`;
    await load(calls, index, part, model);
    const all = part.queries.filter(({ relevant }) => relevant.length > 0);
    const every = Math.ceil(all.length / MAX_QUERIES);
    const rest = all.filter((_, nth) => nth % every === 0).values();
    const client = async () => {
      for (const { text, relevant } of rest) {
        judged += 1;
        for (const way of Object.keys(WAYS) as (keyof typeof WAYS)[]) {
          const { results } = await calls.search(index, { text, k: K, hybrid: WAYS[way], include: [] });
          const found = idsOf(results).map((id) => relevant.includes(id));
          sums[way] += qualityOf(set.metric, found, relevant.length);
        }
      }
    };
    await Promise.all(Array.from({ length: CLIENTS }, client));
  }
  return { hybrid: sums.hybrid / judged, bm25: sums.bm25 / judged, vector: sums.vector / judged };
}

async function load(
  calls: VectorCalls,
  index: string,
  { documents }: Part,
  model: string | undefined,
): Promise<void> {
  const made = { name: index, ...(model === undefined ? {} : { model }) };
  const { status, body } = await calls.send("POST", "", made);
  if (status !== 201) throw new Error(`${index} was not made: ${status} ${JSON.stringify(body)}`);
  // Cranfield has two documents of which only the number is known.
  const worded = documents.filter(({ text }) => text !== "");
  const batch = model === undefined ? BATCH : ENCODER_BATCH;
  for (let from = 0; from < worded.length; from += batch) {
    const items = worded.slice(from, from + batch).map((it) => ({ id: it.id, text: textOf(it) }));
    await calls.add(index, items);
  }
}
