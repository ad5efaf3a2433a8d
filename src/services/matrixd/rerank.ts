/**
 * A second look at what was merged: soft matches of single words, by embedd; no language model is asked. Soft matches of
 * long texts are weak evidence (something in them is near any word), and those of each corpus are trusted by how long its
 * texts are; what is added is the part above the mean of all, so that no corpus gains by being trusted.
 */
import type { Embedd } from "../embedd/schema.ts";
import { tokensOf } from "./budget.ts";
import { byScore, type Merged } from "./merge.ts";

/** Texts of up to so many tokens weigh in full. */
const SHORT_TOKENS = 48;
/** Keeps the texts of one call well within a JSON body. */
const CHARS_AT_ONCE = 500_000;

/**
 * Adds to each candidate's score: the trust in its corpus × (its soft match − the mean of all).
 * @throws LakeError embedd's
 */
export async function rerank(embedd: Embedd, query: string, hits: readonly Merged[]): Promise<Merged[]> {
  const worded = hits.filter((it) => it.candidate.text?.trim());
  if (worded.length === 0) return [...hits];
  const chars = Math.floor(CHARS_AT_ONCE / worded.length);
  const texts = worded.map(({ candidate }) => candidate.text?.slice(0, chars) ?? "");
  const { scores } = await embedd.match({ query, texts, truncate: true });
  const mean = scores.reduce((sum, score) => sum + score, 0) / scores.length;
  const trust = trustIn(worded);
  const added = new Map(
    worded.map((it, at) => [it, trust(it.candidate.corpus) * ((scores[at] ?? mean) - mean)]),
  );
  return hits.map((it) => ({ ...it, score: it.score + (added.get(it) ?? 0) })).sort(byScore);
}

/** By corpus: the less, the longer its texts are. */
function trustIn(hits: readonly Merged[]): (corpus: string) => number {
  const lengths = new Map<string, { tokens: number; texts: number }>();
  for (const { candidate } of hits) {
    const length = lengths.get(candidate.corpus) ?? { tokens: 0, texts: 0 };
    lengths.set(candidate.corpus, length);
    length.tokens += tokensOf(candidate.text ?? null);
    length.texts++;
  }
  return (corpus) => {
    const { tokens = 0, texts = 0 } = lengths.get(corpus) ?? {};
    return tokens === 0 ? 0 : Math.min(1, (SHORT_TOKENS * texts) / tokens);
  };
}
