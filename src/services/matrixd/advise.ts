/** What playbooks change of a search: their answers are brought in where they were not found, and rise. */
import type { Candidate } from "./corpus.ts";
import { byScore, type Merged } from "./merge.ts";
import type { Advice } from "./playbooks.ts";

/**
 * Added to the score of the weightiest answer; a perfect hit by words and vector has 1. What is brought in must stand on
 * its own likeness to the query for the rest, so a wrong playbook lifts little. Measured: scripts/bench/playbooks.ts.
 */
export const BOOST = 0.8;

/** The answers that no corpus found, by corpus. */
export function missing(advice: readonly Advice[], found: readonly Candidate[]): Map<string, string[]> {
  const known = new Set(found.map(({ corpus, id }) => keyOf(corpus, id)));
  const out = new Map<string, string[]>();
  for (const { corpus, id } of advice)
    if (!known.has(keyOf(corpus, id))) out.set(corpus, [...(out.get(corpus) ?? []), id]);
  return out;
}

/** All hits, in their new order. */
export function boosted(hits: readonly Merged[], advice: readonly Advice[]): Merged[] {
  const weights = new Map(advice.map(({ corpus, id, weight }) => [keyOf(corpus, id), weight]));
  return hits
    .map(({ candidate, score }) => ({
      candidate,
      score: score + BOOST * (weights.get(keyOf(candidate.corpus, candidate.id)) ?? 0),
    }))
    .sort(byScore);
}

/** The playbooks that speak for a hit, and by how much they raised it. */
export function adviceOf(advice: readonly Advice[], { corpus, id }: Candidate) {
  const it = advice.find((one) => one.corpus === corpus && one.id === id);
  return it && { ids: [...it.playbooks], boost: BOOST * it.weight };
}

const keyOf = (corpus: string, id: string) => `${corpus}\n${id}`;
