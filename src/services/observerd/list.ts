/** Pages over the newest operations, newest first. The cursor is the place of the last one told. */
import { LakeError } from "../../shared/errors.ts";
import { readTime } from "../../shared/time.ts";
import { LIST_LIMIT_DEFAULT, type OpsPage, type OpsQuery } from "./schema.ts";
import type { KeptOp, OpStore } from "./store.ts";

/** @throws LakeError invalid (a bound that is no time) */
export function listOps(ring: OpStore["ring"], query: OpsQuery): OpsPage {
  const limit = query.limit ?? LIST_LIMIT_DEFAULT;
  const before_seq = query.cursor === undefined ? Number.POSITIVE_INFINITY : Number(query.cursor);
  const since_ms = boundOf("since", query.since) ?? Number.NEGATIVE_INFINITY;
  const until_ms = boundOf("until", query.until) ?? Number.POSITIVE_INFINITY;
  const found: KeptOp[] = [];
  for (let age = 0; age < ring.size && found.length <= limit; age++) {
    const kept = ring.newest(age);
    const { op } = kept;
    if (kept.seq >= before_seq) continue;
    if (query.source !== undefined && op.source !== query.source) continue;
    if (query.success !== undefined && op.success !== query.success) continue;
    if (query.endpoint !== undefined && op.endpoint !== query.endpoint) continue;
    const at_ms = momentOf(op.timestamp);
    if (at_ms < since_ms || at_ms >= until_ms) continue;
    found.push(kept);
  }
  const told = found.slice(0, limit);
  const next_cursor = found.length > limit ? String((told.at(-1) as KeptOp).seq) : null;
  return { ops: told.map(({ op }) => op), next_cursor };
}

function boundOf(name: string, time: string | undefined): number | undefined {
  const at_ms = time === undefined ? undefined : readTime(time);
  if (time !== undefined && at_ms === undefined)
    throw new LakeError(
      "invalid",
      `${name} "${time}" names no time; use RFC 3339, as in 2026-11-23T09:30:00.000Z.`,
    );
  return at_ms;
}

/** Of an operation on the disk: what an older version took, though no calendar has it, counts as it did then. */
function momentOf(timestamp: string): number {
  const at_ms = Date.parse(timestamp);
  return Number.isNaN(at_ms) ? (readTime(timestamp) ?? at_ms) : at_ms;
}
