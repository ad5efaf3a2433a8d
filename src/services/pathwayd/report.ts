/** The state of memory, counted. */
import { politely, totals } from "./audit.ts";
import { momentOf, passesOf } from "./find.ts";
import type { IndexLink } from "./index_link.ts";
import type { Counted, PathwayHealth, Stats } from "./report_schema.ts";
import type { CountQuery } from "./search_schema.ts";
import type { TraceStore } from "./store.ts";
import { presentOf, versionAt } from "./trace.ts";

interface Parts {
  readonly store: TraceStore;
  readonly link: IndexLink;
}

export async function statsOf({ store, link }: Parts): Promise<Stats> {
  const { traces } = store;
  const { size, versions, forgotten } = traces;
  return {
    traces: size,
    versions,
    forgotten: forgotten.size,
    ...(await totals(traces)),
    content_bytes: traces.content_bytes,
    index: indexOf({ store, link }),
  };
}

/** How many a search would tell, had it no end; counted in memory, whatever the index holds. @throws LakeError invalid */
export async function countOf({ store, link }: Parts, query: CountQuery, now_ms: number): Promise<Counted> {
  const at_ms = momentOf(query, now_ms);
  const passes = passesOf(query, at_ms);
  let count = 0;
  for await (const kept of politely(store.traces.all())) {
    const version = query.as_of === undefined ? presentOf(kept) : versionAt(kept, at_ms);
    if (version && passes(kept, version)) count++;
  }
  return { count, index: indexOf({ store, link }) };
}

/** @param erasing why what is forgotten is not erased yet; undefined where that goes on */
export function healthOf({ store, link }: Parts, erasing: string | undefined): PathwayHealth {
  const { failure, ...journal } = store.report();
  const { size, orphans, erasing: left } = store.traces;
  const index = indexOf({ store, link });
  const is_whole = journal.corrupt + journal.torn + journal.gaps + orphans === 0;
  const is_well = is_whole && index.state === "ready" && link.failure === undefined && left.size === 0;
  const reason = failure ?? link.failure ?? erasing;
  return {
    status: failure !== undefined ? "down" : is_well ? "ok" : "degraded",
    traces: size,
    journal: { ...journal, orphans },
    index,
    erasing: left.size,
    ...(reason === undefined ? {} : { reason }),
  };
}

function indexOf({ store, link }: Parts): Stats["index"] {
  const { state, waiting } = link;
  return { state, items: Math.max(0, store.traces.versions - waiting), waiting };
}
