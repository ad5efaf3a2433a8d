/** Several corpora's rankings become one. */
import type { Candidate } from "./corpus.ts";

/** A candidate on its way through the stages, with the score of the last one. */
export interface Merged {
  readonly candidate: Candidate;
  readonly score: number;
}

/** What one corpus found, best first. */
export interface Ranking {
  readonly candidates: readonly Candidate[];
}

/** @returns all candidates, best first; among equals the corpus's own rank, then names, decide */
export function merge(rankings: readonly Ranking[], weightOf: (corpus: string) => number): Merged[] {
  return rankings
    .flatMap(({ candidates }) => candidates)
    .map((candidate) => ({ candidate, score: weightOf(candidate.corpus) * candidate.score }))
    .sort(byScore);
}

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
