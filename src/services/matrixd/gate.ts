/**
 * The strong-model gate: whether a mode that brings much context falls back to its lean one. A rule says what is done
 * until enough outcomes were recorded; then these decide, where they are clear.
 */
import { difference } from "./intervals.ts";
import type { Downgrade, DowngradeRequest, Tally } from "./judgement_schema.ts";

export interface DowngradeRule {
  /** Names of models; `*` stands for anything. */
  readonly models: readonly string[];
  readonly mode: string;
  readonly lean: string;
  /** What is done where outcomes say nothing clear. */
  readonly by_default: "lean" | "keep";
  /** The rule fits only contexts of at least so many tokens; one of unknown size fits. */
  readonly min_tokens?: number;
}

export interface Evidence {
  /** Of this model in a mode. */
  tally(model: string, mode: string): Tally;
  forced(model: string, mode: string): number;
}

/** Pure: the same request, rules and evidence give the same decision. @param min_outcomes of each mode, to be asked at all */
export function decide(
  request: DowngradeRequest,
  rules: readonly DowngradeRule[],
  evidence: Evidence,
  min_outcomes: number,
): Downgrade {
  const { mode, model, context, force = false } = request;
  const rule = rules.find((it) => fits(it, mode, model, context?.tokens));
  const forced = evidence.forced(model, mode);
  const kept = (basis: Downgrade["evidence"]["basis"], reason: string, more: object = {}): Downgrade => ({
    mode,
    downgraded: false,
    reason,
    evidence: { basis, rule: rule ? rule.models.join(", ") : null, ...more, forced },
  });
  if (!rule)
    return force
      ? kept("forced", "It was forced; no rule would have changed it.")
      : kept("no_rule", `No rule for mode "${mode}" fits model "${model}".`);
  const with_context = evidence.tally(model, mode);
  const without_context = evidence.tally(model, rule.lean);
  const is_enough = Math.min(with_context.total, without_context.total) >= min_outcomes;
  const gain = is_enough ? difference(without_context, with_context) : undefined;
  const known = { with_context, without_context, ...(gain ? { gain } : {}) };
  if (force) return kept("forced", "It was forced, whatever rule and evidence say.", known);
  if (gain && gain.high < 0)
    return kept("evidence", `${model} succeeds more often with the context than without it.`, known);
  const by_evidence = gain !== undefined && gain.low > 0;
  if (by_evidence || rule.by_default === "lean")
    return {
      mode: rule.lean,
      downgraded: true,
      reason: by_evidence
        ? `${model} succeeds more often without the context than with it.`
        : `The rule for such models takes "${rule.lean}"; ${unclear(gain !== undefined, min_outcomes)}.`,
      evidence: { basis: by_evidence ? "evidence" : "rule", rule: rule.models.join(", "), ...known, forced },
    };
  const reason = `The rule for such models keeps "${mode}"; ${unclear(gain !== undefined, min_outcomes)}.`;
  return kept("rule", reason, known);
}

function unclear(is_enough: boolean, min_outcomes: number): string {
  return is_enough
    ? "the outcomes of both modes are too alike to say otherwise"
    : `outcomes are asked once there are ${min_outcomes} of each mode`;
}

function fits(rule: DowngradeRule, mode: string, model: string, tokens: number | undefined): boolean {
  if (rule.mode !== mode) return false;
  if (tokens !== undefined && tokens < (rule.min_tokens ?? 0)) return false;
  return rule.models.some((pattern) => matches(pattern, model));
}

/** Without regard to case; `*` stands for any run of characters. */
function matches(pattern: string, name: string): boolean {
  const parts = pattern.toLowerCase().split("*");
  const lower = name.toLowerCase();
  const [first = "", ...rest] = parts;
  const last = rest.pop();
  if (last === undefined) return lower === first;
  if (!lower.startsWith(first) || lower.length < first.length + last.length || !lower.endsWith(last))
    return false;
  let at = first.length;
  const end = lower.length - last.length;
  for (const part of rest) {
    const found = lower.indexOf(part, at);
    if (found === -1 || found + part.length > end) return false;
    at = found + part.length;
  }
  return true;
}
