/** What the ring amounts to, in the five members that older clients read. */
import { RECENT_SCENARIO_OPS, type Stats, type StoredOp } from "./schema.ts";
import type { OpStore } from "./store.ts";

export function summarize(ring: OpStore["ring"]): Stats {
  const by_source: Record<string, number> = {};
  const recent: Stats["recent_scenario_ops"] = [];
  let successes = 0;
  for (let age = 0; age < ring.size; age++) {
    const { op } = ring.newest(age);
    if (op.success) successes++;
    by_source[op.source] = (by_source[op.source] ?? 0) + 1;
    if (op.source === "scenario" && recent.length < RECENT_SCENARIO_OPS) recent.unshift(scenarioOf(op));
  }
  const total = ring.size;
  return { total, successes, failures: total - successes, by_source, recent_scenario_ops: recent };
}

function scenarioOf({ timestamp, success, staffer_id, event_kind, role }: StoredOp) {
  return {
    ts: timestamp,
    ok: success,
    ...(staffer_id == null ? {} : { staffer: staffer_id }),
    ...(event_kind == null ? {} : { kind: event_kind }),
    ...(role == null ? {} : { role }),
  };
}
