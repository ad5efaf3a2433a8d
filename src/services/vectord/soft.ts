/** The third score of a hybrid search: soft matches of single words, by embedd (measured: docs/vectors.md). */
import type { Embedd } from "../embedd/schema.ts";
import { CHARS_AT_ONCE } from "./embed.ts";
import type { Hit } from "./schema.ts";

/** Texts of up to so many tokens weigh in full: in long ones everything has something near it. */
const SHORT_TOKENS = 48;

/**
 * Adds each candidate's soft match to its score and tells the k best.
 * @param candidates with their texts, best first by what was fused before
 * @throws LakeError embedd's
 */
export async function addSoftMatches(
  embedd: Embedd,
  query: string,
  candidates: readonly Hit[],
  weight: number,
  k: number,
): Promise<Hit[]> {
  const worded = candidates.filter((it) => isWorded(it.text));
  if (worded.length === 0) return candidates.slice(0, k);
  // Of long texts the beginning does: the longer they are, the less their soft matches weigh.
  const chars = Math.floor(CHARS_AT_ONCE / worded.length);
  const texts = worded.map((it) => it.text?.slice(0, chars) ?? "");
  const { scores, mean_tokens } = await embedd.match({ query, texts, truncate: true });
  const trusted = weight * Math.min(1, SHORT_TOKENS / Math.max(1, mean_tokens));
  const soft = new Map(worded.map((it, at) => [it, scores[at] ?? 0]));
  return candidates
    .map((it) => {
      const match = soft.get(it) ?? 0;
      const sides = it.sides ? { sides: { ...it.sides, soft: match } } : {};
      return { ...it, score: it.score + trusted * match, ...sides };
    })
    .sort((a, b) => b.score - a.score)
    .slice(0, k);
}

const isWorded = (text: string | null | undefined) => typeof text === "string" && text.trim() !== "";
