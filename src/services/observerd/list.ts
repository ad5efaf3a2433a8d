/** Pages over the newest operations, newest first. The cursor is the place of the last one told. */
import { LIST_LIMIT_DEFAULT, type OpsPage, type OpsQuery } from "./schema.ts";
import type { KeptOp, OpStore } from "./store.ts";

export function listOps(ring: OpStore["ring"], query: OpsQuery): OpsPage {
  const limit = query.limit ?? LIST_LIMIT_DEFAULT;
  const before_seq = query.cursor === undefined ? Number.POSITIVE_INFINITY : Number(query.cursor);
  const since_ms = query.since === undefined ? Number.NEGATIVE_INFINITY : Date.parse(query.since);
  const until_ms = query.until === undefined ? Number.POSITIVE_INFINITY : Date.parse(query.until);
  const found: KeptOp[] = [];
  for (let age = 0; age < ring.size && found.length <= limit; age++) {
    const kept = ring.newest(age);
    const { op } = kept;
    if (kept.seq >= before_seq) continue;
    if (query.source !== undefined && op.source !== query.source) continue;
    if (query.success !== undefined && op.success !== query.success) continue;
    if (query.endpoint !== undefined && op.endpoint !== query.endpoint) continue;
    const at_ms = Date.parse(op.timestamp);
    if (at_ms < since_ms || at_ms >= until_ms) continue;
    found.push(kept);
  }
  const told = found.slice(0, limit);
  const next_cursor = found.length > limit ? String((told.at(-1) as KeptOp).seq) : null;
  return { ops: told.map(({ op }) => op), next_cursor };
}
