/**
 * Several corpora's rankings become one. Ranks can't be compared across corpora (each has a first, however bad), so the
 * scores are: cosines of one model mean the same everywhere, and BM25 is divided by the highest of all corpora, not of
 * its own. Measured against reciprocal ranks: docs/retrieval.md.
 */
import type { Candidate } from "./corpus.ts";

/** Those of vectord's hybrid search, so that one corpus alone is ranked as its index ranks it. */
const WEIGHTS = { bm25: 0.3, cosine: 0.7 };

/** Of the merged hits so many are read and looked at further, unless more are wanted. */
export const LOOKED_AT = 60;

/** A candidate on its way through the stages, with the score of the last one. */
export interface Merged {
  readonly candidate: Candidate;
  readonly score: number;
}

/** What one corpus found, best first. */
export interface Ranking {
  readonly candidates: readonly Candidate[];
}

/**
 * A candidate's score is its corpus's weight × its own factor × (0.3 × BM25 ⁄ the highest of all + 0.7 × cosine + what
 * its corpus adds).
 * @returns all candidates, best first
 */
export function merge(rankings: readonly Ranking[], weightOf: (corpus: string) => number): Merged[] {
  const candidates = rankings.flatMap((it) => it.candidates);
  const highest = candidates.reduce((most, { bm25 }) => Math.max(most, bm25), 0) || 1;
  return candidates
    .map((candidate) => {
      const { bm25, cosine, extra, factor } = candidate;
      const score = factor * ((WEIGHTS.bm25 * bm25) / highest + WEIGHTS.cosine * cosine + extra);
      return { candidate, score: weightOf(candidate.corpus) * score };
    })
    .sort(byScore);
}

/** Best first; among equals the corpus's own rank, then names, decide. */
export function byScore(a: Merged, b: Merged): number {
  return (
    b.score - a.score ||
    a.candidate.rank - b.candidate.rank ||
    compare(a.candidate.corpus, b.candidate.corpus) ||
    compare(a.candidate.id, b.candidate.id)
  );
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
