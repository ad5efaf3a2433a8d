/**
 * The cases of the relevance benchmark: a focus out of one source, and the chunks nearest to it in embedding space,
 * labelled by whether they are of the same source. The sources are split in two halves before anything is looked for,
 * so that neither a test focus nor any of its neighbours was seen when weights and thresholds were chosen.
 */
import { Database } from "bun:sqlite";
import type { StaticModel } from "../../src/services/embedd/static_model.ts";
import type { Chunk, Neighbourhood } from "./relevance_sources.ts";

const FOCI = 6;
export const CHUNKS = 20;
/** Every other focus is a short one, as a question is. */
const SHORT_WORDS = 16;
const SEED = "relevance 1 ";

export interface Case {
  readonly neighbourhood: string;
  readonly source: string;
  readonly focus: Chunk;
  readonly chunks: readonly Chunk[];
  readonly labels: readonly boolean[];
  readonly vectors: { readonly focus: Float32Array; readonly chunks: readonly Float32Array[] };
  readonly cosines: readonly number[];
  /** FTS5's BM25 of the focus' words over all chunks of this half, with Porter stemming. */
  readonly bm25: readonly number[];
}

export interface Halves {
  readonly training: Case[];
  /** The same foci with chunks that are far beside the near ones, so that a fit sees what distance means. */
  readonly mixed: Case[];
  readonly test: Case[];
}

export function halvesOf(neighbourhoods: readonly Neighbourhood[], model: StaticModel): Halves {
  const halves: Halves = { training: [], mixed: [], test: [] };
  for (const { name, chunks } of neighbourhoods) {
    const sources = shuffled([...new Set(chunks.map(({ source }) => source))], (it) => it);
    for (const [at, half] of [halves.training, halves.test].entries()) {
      const own = new Set(sources.filter((_, place) => place % 2 === at));
      const pool = chunks.filter(({ source }) => own.has(source));
      half.push(...cases(name, pool, model));
      if (half === halves.training) halves.mixed.push(...cases(name, pool, model, CHUNKS / 2));
    }
  }
  return halves;
}

/** @param pool the chunks of every source of one half @param near how many of the chunks are the nearest ones */
export function cases(
  neighbourhood: string,
  pool: readonly Chunk[],
  model: StaticModel,
  near = CHUNKS,
): Case[] {
  const vectors = pool.map(({ text }) => model.embed([text]));
  const foci = [...Map.groupBy(pool, ({ source }) => source).values()].flatMap((own) =>
    shuffled(own, ({ text }) => text)
      .slice(0, FOCI)
      .map((chunk, at) => ({ chunk, text: at % 2 === 1 ? firstWords(chunk.text) : chunk.text })),
  );
  const bm25 = bm25Of(
    pool.map(({ text }) => text),
    foci.map(({ text }) => text),
  );
  return foci.map(({ chunk, text }, f) => {
    const focus = model.embed([text]);
    const cosines = vectors.map((vector) =>
      vector.reduce((sum, value, d) => sum + value * (focus[d] as number), 0),
    );
    const ranked = [...pool.keys()]
      .filter((at) => pool[at] !== chunk)
      .sort((a, b) => (cosines[b] as number) - (cosines[a] as number) || a - b);
    const step = Math.floor((ranked.length - near) / Math.max(1, CHUNKS - near));
    const far = Array.from({ length: CHUNKS - near }, (_, at) => ranked[near + at * step] as number);
    const nearest = [...ranked.slice(0, near), ...far];
    const chosen = nearest.map((at) => pool[at] as Chunk);
    return {
      neighbourhood,
      source: chunk.source,
      focus: { ...chunk, text },
      chunks: chosen,
      labels: chosen.map(({ source }) => source === chunk.source),
      vectors: { focus, chunks: nearest.map((at) => vectors[at] as Float32Array) },
      cosines: nearest.map((at) => cosines[at] as number),
      bm25: nearest.map((at) => bm25[f]?.[at] as number),
    };
  });
}

const firstWords = (text: string) => text.split(" ").slice(0, SHORT_WORDS).join(" ");

/** In an order that depends on nothing but what is ordered. */
function shuffled<T>(items: readonly T[], keyOf: (item: T) => string): T[] {
  return items
    .map((item) => ({ item, key: Bun.hash.xxHash32(SEED + keyOf(item)) }))
    .sort((a, b) => a.key - b.key)
    .map(({ item }) => item);
}

function bm25Of(texts: readonly string[], queries: readonly string[]): Float32Array[] {
  const db = new Database(":memory:");
  db.run("CREATE VIRTUAL TABLE texts USING fts5(text, tokenize = 'porter unicode61')");
  const insert = db.prepare("INSERT INTO texts (rowid, text) VALUES (?, ?)");
  db.transaction(() => {
    for (const [at, text] of texts.entries()) insert.run(at + 1, text);
  })();
  const search = db.prepare<{ rowid: number; score: number }, [string]>(
    "SELECT rowid, bm25(texts) AS score FROM texts WHERE texts MATCH ?",
  );
  const all = queries.map((query) => {
    const scores = new Float32Array(texts.length);
    const words = new Set(query.toLowerCase().match(/[\p{L}\p{N}_]+/gu));
    const either = [...words].map((word) => `"${word}"`).join(" OR ");
    for (const { rowid, score } of either === "" ? [] : search.all(either)) scores[rowid - 1] = -score;
    return scores;
  });
  db.close();
  return all;
}
