/** A second look at what was merged: soft matches of single words, by embedd; no model is asked to judge. */
import type { Embedd } from "../embedd/schema.ts";
import { byScore, type Merged } from "./merge.ts";

/** Looked at again, unless more hits are wanted. */
const RERANKED = 100;
/** Texts of up to so many tokens weigh in full: in long ones every word has something near it. */
const SHORT_TOKENS = 48;
const WEIGHT = 1;
/** Keeps the texts of one call well within a JSON body. */
const CHARS_AT_ONCE = 500_000;

/**
 * Adds each of the first candidates' soft match to its score, as vectord's hybrid search does in one index; those
 * after them keep their order behind.
 * @throws LakeError embedd's
 */
export async function rerank(
  embedd: Embedd,
  query: string,
  hits: readonly Merged[],
  k: number,
): Promise<Merged[]> {
  const first = hits.slice(0, Math.max(RERANKED, k));
  const worded = first.filter(({ candidate }) => (candidate.text ?? "").trim() !== "");
  if (worded.length === 0) return [...hits];
  const chars = Math.floor(CHARS_AT_ONCE / worded.length);
  const texts = worded.map(({ candidate }) => candidate.text?.slice(0, chars) ?? "");
  const { scores, mean_tokens } = await embedd.match({ query, texts, truncate: true });
  const weight = WEIGHT * Math.min(1, SHORT_TOKENS / Math.max(1, mean_tokens));
  const soft = new Map(worded.map((it, at) => [it, weight * (scores[at] ?? 0)]));
  const ordered = first.map((it) => ({ ...it, score: it.score + (soft.get(it) ?? 0) })).sort(byScore);
  return [...ordered, ...hits.slice(first.length)];
}
