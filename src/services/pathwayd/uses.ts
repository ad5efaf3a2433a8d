/** How a trace was used over time: outcomes and replays, so that any day's counts can be told. */
import type { UseLine } from "./records.ts";
import type { Result } from "./trace_schema.ts";

export interface Use {
  readonly at_ms: number;
  /** Undefined for a replay. */
  readonly result: Result | undefined;
  readonly score: number | undefined;
  readonly count: number;
}

/** What uses amount to. */
export interface Tally {
  readonly success: number;
  readonly failure: number;
  readonly unknown: number;
  readonly replays: number;
  readonly result: Result | undefined;
  readonly score: number | undefined;
}

const NONE: Tally = {
  success: 0,
  failure: 0,
  unknown: 0,
  replays: 0,
  result: undefined,
  score: undefined,
};

/** Uses told one by one; of one sort, the oldest beyond these are told as one. */
const KEPT = 256;

/** @param uses in the order of time @returns the same with one more, the oldest folded where there are many */
export function withUse(uses: readonly Use[], use: Use): readonly Use[] {
  if (uses.length < KEPT) return [...uses, use];
  // Of five uses two are of one sort, since there are four.
  for (const [at, first] of uses.entries()) {
    const next = uses.findIndex((it, index) => index > at && it.result === first.result);
    const other = uses[next];
    if (!other) continue;
    const folded = { ...other, score: other.score ?? first.score, count: first.count + other.count };
    return [...uses.slice(0, at), ...uses.slice(at + 1, next), folded, ...uses.slice(next + 1), use];
  }
  return [...uses, use];
}

/** What the uses up to a moment amount to. */
export function tallyAt(uses: readonly Use[], at_ms = Number.POSITIVE_INFINITY): Tally {
  if (uses.length === 0) return NONE;
  const tally = { ...NONE };
  for (const { at_ms: used_ms, result, score, count } of uses) {
    if (used_ms > at_ms) continue;
    if (result === undefined) tally.replays += count;
    else {
      tally[result] += count;
      tally.result = result;
      tally.score = score ?? tally.score;
    }
  }
  return tally;
}

export const readUse = ({ at, result, score, count = 1 }: UseLine): Use => ({
  at_ms: Date.parse(at),
  result,
  score,
  count,
});

export const writeUse = ({ at_ms, result, score, count }: Use): UseLine => ({
  at: new Date(at_ms).toISOString(),
  ...(result === undefined ? {} : { result }),
  ...(score === undefined ? {} : { score }),
  ...(count === 1 ? {} : { count }),
});
