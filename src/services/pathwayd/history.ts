/** A trace's whole story: the chain it belongs to, every version, and what changed from one to the next. */
import type { HistoryLine, VersionLine } from "./records.ts";
import type { History } from "./schema.ts";
import { differences, type Kept, presentOf, told } from "./trace.ts";
import type { Traces } from "./traces.ts";
import { writeUse } from "./uses.ts";

const iso = (at_ms: number) => new Date(at_ms).toISOString();

/** @param uid of a trace that is there */
export function historyOf(traces: Traces, uid: string): History {
  const uids = chainOf(traces, uid);
  const chain = uids.flatMap((it) => traces.get(it) ?? []);
  const versions = chain.flatMap((kept) =>
    kept.versions.map((version, at) => {
      const before = kept.versions[at - 1];
      return {
        uid: kept.uid,
        version: version.version,
        at: iso(version.at_ms),
        change: version.change,
        differences: differences(before && told(kept, before), told(kept, version)),
      };
    }),
  );
  return {
    uid,
    chain: chain.map((it) => told(it)),
    // Stable: within a millisecond a predecessor's versions come first.
    versions: versions.sort((a, b) => (a.at < b.at ? -1 : a.at > b.at ? 1 : 0)),
    forgotten: uids.flatMap((it) => {
      const tombstone = traces.forgotten.get(it);
      return tombstone ? [{ uid: it, forgotten_at: iso(tombstone.forgotten_ms) }] : [];
    }),
  };
}

/** Every trace of a chain, oldest first, those forgotten included. */
function chainOf(traces: Traces, uid: string): string[] {
  const before = (it: string) => traces.get(it)?.predecessor ?? traces.forgotten.get(it)?.predecessor;
  const after = (it: string) => {
    const kept = traces.get(it);
    return kept ? presentOf(kept).successor : traces.forgotten.get(it)?.successor;
  };
  // A set, so that not even a circle, which a damaged journal may tell of, is gone through for ever.
  const earlier = new Set([uid]);
  for (let it = before(uid); it !== undefined && !earlier.has(it); it = before(it)) earlier.add(it);
  const chain = new Set([...earlier].reverse());
  for (let it = after(uid); it !== undefined && !chain.has(it); it = after(it)) chain.add(it);
  return [...chain];
}

/** A trace as an export tells it. */
export function lineOf({ uid, key, predecessor, versions, uses }: Kept): HistoryLine {
  return {
    uid,
    ...(key === undefined ? {} : { key }),
    ...(predecessor === undefined ? {} : { predecessor }),
    versions: versions.map(
      ({ version, at_ms, change, body, successor, reason }, at): VersionLine => ({
        version,
        at: iso(at_ms),
        change,
        ...(at > 0 && versions[at - 1]?.body === body ? {} : { body }),
        ...(successor === undefined ? {} : { successor }),
        ...(reason === undefined ? {} : { reason }),
      }),
    ),
    ...(uses.length === 0 ? {} : { uses: uses.map(writeUse) }),
  };
}
