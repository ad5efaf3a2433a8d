/**
 * Tells chunks about the focus from chunks that are merely near it in embedding space: the neighbour module, another
 * customer. Deterministic, and without a model beyond the vectors given: words and names weighted by rarity, and the
 * company that a chunk keeps among the others, summed with fixed weights and read through a logistic function.
 */

import { pauser } from "../../shared/pause.ts";
import { type Company, companyOf, supportOf } from "./company.ts";
import { GIVEN_WEIGHTS, givenSignals } from "./given.ts";
import { Frequencies, rarityInEnglish } from "./rarity.ts";
import type { Focus, RelevanceChunk } from "./schema.ts";
import { type Terms, termsOf } from "./terms.ts";

/** What was found of each chunk by its text alone, in this order. */
export const TEXT_SIGNALS = ["embedding", "words", "coverage", "names"] as const;
/** What its company adds: the scores of chunks with its words, of chunks with its vector's direction, and of all. */
export const COMPANY_SIGNALS = ["by_words", "by_vector", "of_all"] as const;
const ROUNDS = 3;

/** A logistic model: a weight for each signal, and what they are added to. */
export interface Fitted {
  readonly bias: number;
  readonly weights: readonly number[];
}

export interface RelevanceModel {
  /** Of TEXT_SIGNALS: the first guess. */
  readonly alone: Fitted;
  /** Of TEXT_SIGNALS and COMPANY_SIGNALS: each further round. */
  readonly together: Fitted;
}

/** Fitted on the training half of scripts/bench/relevance.ts (`--fit`), which measures it on the other half. */
export const MODEL: RelevanceModel = {
  alone: { bias: -3.03, weights: [1.49, 6.94, 1.62, 1.94] },
  together: { bias: -2.01, weights: [1.63, 4.29, 0.97, 1.7, 2.67, 1.95, -7.41] },
};
/** Where F1 was highest on the same half. */
export const DEFAULT_THRESHOLD = 0.24;

export interface Judged {
  /** In [0, 1]. */
  readonly score: number;
  readonly components: Readonly<Record<string, number>>;
}

/** Unit vectors by one model. */
export interface RelevanceVectors {
  readonly focus: Float32Array;
  readonly chunks: readonly Float32Array[];
}

/**
 * Scores each chunk, in the order given. The chunks are judged together: what is rare, and what company a chunk
 * keeps, depends on the others.
 */
export async function judgeRelevance(
  focus: Focus,
  chunks: readonly RelevanceChunk[],
  vectors: RelevanceVectors,
  model: RelevanceModel = MODEL,
): Promise<Judged[]> {
  const { signals, company } = await signalsOf(focus, chunks, vectors);
  const given = chunks.map((chunk) => givenSignals(focus, chunk));
  const offsets = given.map((it) =>
    Object.entries(it).reduce(
      (sum, [name, value]) => sum + value * GIVEN_WEIGHTS[name as keyof typeof it],
      0,
    ),
  );
  let scores = signals.map((it, at) => logistic(model.alone, it, offsets[at]));
  let together: number[][] = [];
  for (let round = 0; round < ROUNDS; round++) {
    together = withCompany(signals, company, scores);
    scores = together.map((it, at) => logistic(model.together, it, offsets[at]));
  }
  const names = [...TEXT_SIGNALS, ...COMPANY_SIGNALS];
  return scores.map((score, at) => {
    const told = names.map((name, of) => [name, rounded(together[at]?.[of] ?? 0)]);
    return { score: rounded(score), components: { ...Object.fromEntries(told), ...given[at] } };
  });
}

/** The signals of each chunk by its text alone, and what the chunks are to each other. */
export async function signalsOf(
  focus: Focus,
  chunks: readonly RelevanceChunk[],
  vectors: RelevanceVectors,
): Promise<{ signals: number[][]; company: Company }> {
  const pause = pauser();
  const of_focus = termsOf([focus.text, ...(focus.symbols ?? [])].join(" "));
  const of_chunks: Terms[] = [];
  for (const { text, symbols } of chunks) {
    of_chunks.push(termsOf([text, ...(symbols ?? [])].join(" ")));
    await pause();
  }
  const all = [of_focus, ...of_chunks];
  const words = new Frequencies();
  const names = new Frequencies();
  for (const terms of all) {
    words.add(terms.words.keys());
    names.add(terms.identifiers);
    await pause();
  }
  const weigh = (stem: string) => Math.sqrt(rarityInEnglish(stem) * words.rarity(stem));
  const focus_weights = unitWeights(of_focus, weigh);
  const nameWeight = (of: Iterable<string>) => [...of].reduce((sum, name) => sum + names.rarity(name), 0);
  const of_names = nameWeight(of_focus.identifiers);
  const chunk_weights: Map<string, number>[] = [];
  const signals: number[][] = [];
  for (const [at, terms] of of_chunks.entries()) {
    const weights = unitWeights(terms, weigh);
    const shared = of_focus.identifiers.intersection(terms.identifiers);
    chunk_weights.push(weights);
    signals.push([
      dot(vectors.focus, vectors.chunks[at] as Float32Array),
      product(focus_weights, weights),
      coverage(of_focus, terms, (stem) => words.rarity(stem)),
      shared.size === 0 ? 0 : nameWeight(shared) / Math.sqrt(of_names * nameWeight(terms.identifiers)),
    ]);
    await pause();
  }
  return { signals, company: await companyOf(chunk_weights, vectors.chunks, pause) };
}

/** The signals of each chunk, its company's by the scores of the round before. */
export function withCompany(
  signals: readonly (readonly number[])[],
  company: Company,
  scores: readonly number[],
): number[][] {
  const mean = scores.reduce((sum, score) => sum + score, 0) / scores.length;
  return signals.map((own, at) => [
    ...own,
    supportOf(company.by_words, scores, at, mean),
    supportOf(company.by_vector, scores, at, mean),
    mean,
  ]);
}

export function logistic({ bias, weights }: Fitted, signals: readonly number[], offset = 0): number {
  const sum = weights.reduce((total, weight, at) => total + weight * (signals[at] ?? 0), bias + offset);
  return 1 / (1 + Math.exp(-sum));
}

/** A text as a direction: (1 + ln count) × weight for each word, brought to unit length. */
function unitWeights({ words }: Terms, weigh: (stem: string) => number): Map<string, number> {
  const out = new Map<string, number>();
  let square = 0;
  for (const [stem, count] of words) {
    const weight = (1 + Math.log(count)) * weigh(stem);
    out.set(stem, weight);
    square += weight * weight;
  }
  for (const [stem, weight] of out) out.set(stem, weight / Math.sqrt(square));
  return out;
}

/** The share of the focus' words, by rarity, that the chunk has; a word that it repeats counts for more. */
function coverage(focus: Terms, chunk: Terms, rarity: (stem: string) => number): number {
  let found = 0;
  let total = 0;
  for (const stem of focus.words.keys()) {
    const count = chunk.words.get(stem) ?? 0;
    total += rarity(stem);
    found += (rarity(stem) * count) / (count + 1);
  }
  return total === 0 ? 0 : found / total;
}

function product(a: ReadonlyMap<string, number>, b: ReadonlyMap<string, number>): number {
  const [few, many] = a.size <= b.size ? [a, b] : [b, a];
  let sum = 0;
  for (const [stem, weight] of few) sum += weight * (many.get(stem) ?? 0);
  return sum;
}

function dot(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let at = 0; at < a.length; at++) sum += (a[at] as number) * (b[at] as number);
  return sum;
}

/** Six decimals do, and read better. */
function rounded(value: number): number {
  return Math.round(value * 1e6) / 1e6;
}
