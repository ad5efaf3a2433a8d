/** Ways to make one ranking of BM25 and vectors: what the retrieval benchmark compares. */

/** The scores of the documents that a query's ranking is made of; the same length each. */
export interface Scores {
  /** FTS5's BM25 with the sign turned, 0 where no word matches. */
  bm25: Float32Array;
  cosine: Float32Array;
  /** StaticModel.softMatch; only read for candidates. */
  soft: Float32Array;
  /** How much the soft match tells for texts of this length: 1 for short ones. */
  softTrust: number;
  /** Documents in the first 100 by BM25 or by cosine. */
  candidates: readonly number[];
}

export interface Weights {
  bm25: number;
  cosine: number;
  soft: number;
}

/** Document numbers by falling score, the earlier document first among equals. */
export function ranking(scores: Float32Array, documents: readonly number[]): number[] {
  return [...documents].sort((a, b) => (scores[b] as number) - (scores[a] as number) || a - b);
}

/** Reciprocal rank fusion (Cormack et al. 2009), k = 60; a word match is needed to have a rank by BM25. */
export function reciprocalRanks(scores: Scores, bm25Weight: number): number[] {
  const fused = new Float32Array(scores.bm25.length);
  const matching = scores.candidates.filter((d) => (scores.bm25[d] as number) > 0);
  const lists = [
    [ranking(scores.bm25, matching), bm25Weight],
    [ranking(scores.cosine, scores.candidates), 1],
  ] as const;
  for (const [list, weight] of lists) {
    list.slice(0, 100).forEach((d, rank) => {
      fused[d] = (fused[d] as number) + weight / (61 + rank);
    });
  }
  return ranking(fused, scores.candidates);
}

/**
 * The weighted sum of BM25 divided by its highest value for the query, of the cosine as it is, and of
 * the soft match, less of it the longer the texts are. BM25 has no upper bound and its scale changes from
 * query to query; a cosine's doesn't.
 */
export function weightedSum(scores: Scores, weights: Weights): number[] {
  let highest = 1e-9;
  for (const d of scores.candidates) highest = Math.max(highest, scores.bm25[d] as number);
  const fused = new Float32Array(scores.bm25.length);
  const softWeight = weights.soft * scores.softTrust;
  for (const d of scores.candidates) {
    fused[d] =
      (weights.bm25 * (scores.bm25[d] as number)) / highest +
      weights.cosine * (scores.cosine[d] as number) +
      softWeight * (scores.soft[d] as number);
  }
  return ranking(fused, scores.candidates);
}
