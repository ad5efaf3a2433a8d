/** What of memory deserves a look, found by rules alone: the same traces give the same findings. */
import { pauser } from "../../shared/pause.ts";
import { AUDIT_LIMIT, type Audit, type AuditQuery, DEFAULT_STALE_DAYS } from "./report_schema.ts";
import { textOf } from "./text.ts";
import { type Kept, presentOf, validity } from "./trace.ts";
import type { Content, Json } from "./trace_schema.ts";
import { scopeId, type Traces } from "./traces.ts";
import { tallyAt } from "./uses.ts";

const DAY_MS = 86_400_000;
/** How long others wait for an audit at a time. */
const SLICE_MS = 4;
/** Of one subject and scope, the newest that are compared with each other. */
const COMPARED = 100;
/** The share of words that two texts must have in common to be about the same. */
const ALIKE = 0.6;
const NEGATIONS = new Set(["not", "no", "never", "none", "without", "cannot", "n't", "nor", "neither"]);

type Pair = Audit["contradictions"]["pairs"][number];

export async function audit(
  traces: Traces,
  { limit = AUDIT_LIMIT, stale_days = DEFAULT_STALE_DAYS }: AuditQuery,
  now_ms: number,
): Promise<Audit> {
  const duplicates = [...traces.duplicates()];
  const never_recalled: string[] = [];
  const stale: string[] = [];
  const by_subject = new Map<string, Kept[]>();
  for await (const kept of politely(traces.newest())) {
    const present = presentOf(kept);
    if (present.state !== "live") continue;
    if (kept.uses.length === 0) never_recalled.push(kept.uid);
    const touched_ms = Math.max(present.at_ms, kept.uses.at(-1)?.at_ms ?? 0);
    if (now_ms - touched_ms >= stale_days * DAY_MS) stale.push(kept.uid);
    const { subject } = present.body;
    if (subject === undefined) continue;
    const of = `${scopeId(kept.scope)} ${subject}`;
    const some = by_subject.get(of) ?? [];
    if (some.length < COMPARED) some.push(kept);
    by_subject.set(of, some);
  }
  const pairs: Pair[] = [];
  let total = 0;
  for await (const about of politely(by_subject.values()))
    for await (const pair of contradictions(about)) if (++total <= limit) pairs.push(pair);
  return {
    duplicates: { total: duplicates.length, groups: duplicates.slice(0, limit).map((it) => [...it]) },
    never_recalled: { total: never_recalled.length, uids: never_recalled.slice(0, limit) },
    stale: { total: stale.length, uids: stale.slice(0, limit) },
    contradictions: { total, pairs },
  };
}

/** Gives way to whoever waits, each few milliseconds. */
export async function* politely<T>(items: Iterable<T>): AsyncIterable<T> {
  let until_ms = performance.now() + SLICE_MS;
  for (const item of items) {
    if (performance.now() > until_ms) {
      await Bun.sleep(0);
      until_ms = performance.now() + SLICE_MS;
    }
    yield item;
  }
}

interface Said {
  readonly kept: Kept;
  readonly content: Content;
  readonly words: ReadonlySet<string>;
  readonly numbers: readonly string[];
  readonly is_negated: boolean;
}

/** Pairs of one subject that hold at the same time and can't both be so; each pair of long texts takes its time. */
async function* contradictions(traces: readonly Kept[]): AsyncIterable<Pair> {
  const pause = pauser();
  const said: Said[] = [];
  for (const kept of traces) {
    said.push(sayingOf(kept));
    await pause();
  }
  for (const [at, one] of said.entries())
    for (const other of said.slice(at + 1)) {
      await pause();
      const found = overlap(one.kept, other.kept) ? difference(one, other) : undefined;
      const subject = presentOf(one.kept).body.subject as string;
      if (found) yield { subject, uids: [other.kept.uid, one.kept.uid], ...found };
    }
}

function sayingOf(kept: Kept): Said {
  const { content } = presentOf(kept).body;
  const tokens =
    textOf(content)
      .toLowerCase()
      .replaceAll("n't", " n't")
      .match(/[\p{L}\p{M}']+|\d+(?:[.,:]\d+)*/gu) ?? [];
  return {
    kept,
    content,
    words: new Set(tokens.filter((it) => !/^\d/.test(it) && !NEGATIONS.has(it))),
    numbers: tokens.filter((it) => /^\d/.test(it)),
    is_negated: tokens.filter((it) => NEGATIONS.has(it)).length % 2 === 1,
  };
}

function overlap(one: Kept, other: Kept): boolean {
  const [a, b] = [validity(presentOf(one)), validity(presentOf(other))];
  return a.from_ms < b.to_ms && b.from_ms < a.to_ms;
}

function difference(one: Said, other: Said): Pick<Pair, "reason" | "detail"> | undefined {
  const member = differingMember(one.content, other.content);
  if (member !== undefined) return { reason: "member", detail: member };
  if (typeof one.content !== "string" || typeof other.content !== "string") return undefined;
  const common = [...one.words].filter((it) => other.words.has(it)).length;
  if (common === 0 || common / (one.words.size + other.words.size - common) < ALIKE) return undefined;
  if (one.is_negated !== other.is_negated) return { reason: "negation", detail: "one of them denies it" };
  const [a, b] = [one.numbers.join(" "), other.numbers.join(" ")];
  return a !== "" && b !== "" && a !== b ? { reason: "number", detail: `${b} and ${a}` } : undefined;
}

/** The first member of two JSON objects that both have, with different plain values. */
function differingMember(one: Content, other: Content): string | undefined {
  if (typeof one === "string" || typeof other === "string" || Array.isArray(one) || Array.isArray(other))
    return undefined;
  return Object.keys(one).find((name) => {
    const [a, b] = [one[name] as Json, other[name] as Json | undefined];
    return b !== undefined && typeof a !== "object" && typeof b !== "object" && a !== b;
  });
}

/** Sums over all traces. */
export async function totals(traces: Traces) {
  const states = { live: 0, superseded: 0, retired: 0 };
  const outcomes = { successes: 0, failures: 0, unknowns: 0 };
  const by_kind: Record<string, number> = {};
  let replays = 0;
  for await (const kept of politely(traces.all())) {
    const { state, body } = presentOf(kept);
    states[state]++;
    if (state === "live") by_kind[body.kind ?? ""] = (by_kind[body.kind ?? ""] ?? 0) + 1;
    const tally = tallyAt(kept.uses);
    outcomes.successes += tally.success;
    outcomes.failures += tally.failure;
    outcomes.unknowns += tally.unknown;
    replays += tally.replays;
  }
  return { ...states, by_kind, outcomes, replays };
}
