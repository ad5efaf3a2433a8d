/** How models ended, by mode: a journal on the disk, and the newest outcomes of each model and mode in memory. */
import { LakeError } from "../../shared/errors.ts";
import { type JournalRecord, type JournalReport, openJournal } from "../../shared/journal.ts";
import type { Log } from "../../shared/log.ts";
import type { Metrics } from "../../shared/metrics.ts";
import { wilson } from "./intervals.ts";
import type { OutcomeRecord, OutcomeTally } from "./judgement_schema.ts";

/** A line of the journal: how a run ended, or that the gate was overruled. */
type Line = JournalRecord & { readonly at: string; readonly model: string; readonly mode: string } & (
    | { readonly success: boolean }
    | { readonly forced: true }
  );

export interface OutcomeStore {
  /** Durable and counted when it resolves. @throws LakeError queue_full, unavailable, resource_limit */
  record(outcome: OutcomeRecord, at: string): Promise<"appended" | "duplicate">;
  /** As `record`: that a mode was forced. */
  force(model: string, mode: string, at: string): Promise<void>;
  tally(model: string, mode: string): OutcomeTally;
  /** Every model and mode, by model, then mode. */
  all(): OutcomeTally[];
  report(): JournalReport;
  close(): Promise<void>;
}

export interface OutcomeStoreOptions {
  readonly path: string;
  /** How many of the newest outcomes of a model in a mode are counted. */
  readonly window: number;
  /** Pairs of model and mode there may be. */
  readonly max_pairs: number;
  readonly dedupe_records: number;
  readonly queue_records: number;
  readonly lock_wait_ms: number;
  readonly log: Log;
  readonly metrics: Metrics;
}

const SEGMENT_BYTES = 64 * 1024 * 1024;
/** Older ones hold nothing that is counted any more, but for models that are long out of use. */
const KEPT_SEGMENTS = 16;
const MAX_RECORD_BYTES = 16 * 1024;

interface Pair {
  readonly model: string;
  readonly mode: string;
  /** A ring of the newest outcomes: 1 for success. */
  readonly newest: number[];
  at: number;
  successes: number;
  forced: number;
}

/** @throws LockHeldError where another process keeps the same file */
export async function openOutcomeStore(options: OutcomeStoreOptions): Promise<OutcomeStore> {
  const { window, max_pairs } = options;
  const pairs = new Map<string, Pair>();
  const pairOf = (model: string, mode: string) => {
    const key = keyOf(model, mode);
    const pair = pairs.get(key) ?? { model, mode, newest: [], at: 0, successes: 0, forced: 0 };
    pairs.set(key, pair);
    return pair;
  };
  const journal = await openJournal<Line>({
    ...options,
    durability: "fsync",
    segment_bytes: SEGMENT_BYTES,
    keep_segments: KEPT_SEGMENTS,
    queue_bytes: options.queue_records * MAX_RECORD_BYTES,
    max_record_bytes: MAX_RECORD_BYTES,
    apply: (line) => {
      const pair = pairOf(line.model, line.mode);
      if ("forced" in line) pair.forced++;
      else count(pair, line.success ? 1 : 0, window);
    },
    // No older system wrote this file.
    adopt: () => undefined,
  });
  const refuseOverfill = (model: string, mode: string) => {
    if (pairs.size >= max_pairs && !pairs.has(keyOf(model, mode)))
      throw new LakeError(
        "resource_limit",
        `Outcomes are kept of at most ${max_pairs} pairs of model and mode (matrixd.max_outcome_pairs); "${model}" in "${mode}" would be one more.`,
      );
  };
  return {
    record: async ({ id, model, mode, success }, at) => {
      refuseOverfill(model, mode);
      return journal.append({ ...(id === undefined ? {} : { id }), at, model, mode, success });
    },
    force: async (model, mode, at) => {
      refuseOverfill(model, mode);
      await journal.append({ at, model, mode, forced: true });
    },
    tally: (model, mode) => told(pairs.get(keyOf(model, mode)), model, mode),
    all: () =>
      [...pairs.keys()].sort().map((key) => {
        const pair = pairs.get(key) as Pair;
        return told(pair, pair.model, pair.mode);
      }),
    report: () => journal.report(),
    close: () => journal.close(),
  };
}

/** Sorts by model, then by mode; told again as the cursor of a list. */
export function keyOf(model: string, mode: string): string {
  return `${model}\n${mode}`;
}

function count(pair: Pair, outcome: number, window: number): void {
  pair.successes += outcome - (pair.newest[pair.at] ?? 0);
  pair.newest[pair.at] = outcome;
  pair.at = (pair.at + 1) % window;
}

function told(pair: Pair | undefined, model: string, mode: string): OutcomeTally {
  const { successes = 0, forced = 0, newest = [] } = pair ?? {};
  const total = newest.length;
  return {
    model,
    mode,
    successes,
    total,
    rate: total === 0 ? null : successes / total,
    interval: total === 0 ? null : wilson(successes, total),
    forced,
  };
}
