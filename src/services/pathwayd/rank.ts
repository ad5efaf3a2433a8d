/**
 * What a trace's age, outcomes and replays add to its relevance: factors near 1, each within its bound, so that
 * they decide between what is about equally relevant and nothing else (docs/memory.md).
 */
import type { Explain } from "./schema.ts";
import type { Tally } from "./uses.ts";

/** The most that each may add; outcomes may take away as much. */
export const WEIGHTS = { recency: 0.05, outcome: 0.1, replay: 0.05 };
/** After so long, recency adds half of what it did. */
export const HALF_LIFE_DAYS = 30;
/** As many outcomes as are needed for half of their weight. */
const OUTCOME_DOUBT = 2;
/** So many replays add half of their weight. */
const REPLAY_HALF = 4;
const DAY_MS = 86_400_000;

export type Factors = Pick<Explain, "recency" | "outcome" | "replay">;

/** @param age_ms since the version came to be known */
export function factorsOf(age_ms: number, { success, failure, replays }: Tally): Factors {
  const age_days = Math.max(0, age_ms) / DAY_MS;
  const balance = (success - failure) / (success + failure + OUTCOME_DOUBT);
  return {
    recency: { factor: 1 + WEIGHTS.recency * 2 ** (-age_days / HALF_LIFE_DAYS), value: age_days },
    outcome: { factor: 1 + WEIGHTS.outcome * balance, value: balance },
    replay: { factor: 1 + (WEIGHTS.replay * replays) / (replays + REPLAY_HALF), value: replays },
  };
}

/** A relevance below zero is made smaller by a factor below one, too. */
export function scoreOf(relevance: number, { recency, outcome, replay }: Factors): number {
  const factor = recency.factor * outcome.factor * replay.factor;
  return relevance >= 0 ? relevance * factor : relevance / factor;
}
