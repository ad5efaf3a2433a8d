/** One trace with all its versions, as it is held in memory, and as it is told. */
import type { Body } from "./records.ts";
import type { Difference } from "./report_schema.ts";
import { textOf } from "./text.ts";
import type { Change, Scope, State, Trace } from "./trace_schema.ts";
import { type Tally, tallyAt, type Use } from "./uses.ts";

/** Before and after all times. */
export const EVER_MS = -8_640_000_000_000_000;
export const NEVER_MS = 8_640_000_000_000_000;

export interface Version {
  readonly version: number;
  readonly at_ms: number;
  readonly change: Change;
  readonly state: State;
  readonly body: Body;
  readonly reason?: string;
  readonly successor?: string;
}

/** Versions rise by one and in time; the last one is the present one. */
export interface Kept {
  readonly uid: string;
  readonly scope: Scope;
  /** Its place among the traces of exactly its scope, in the order in which they came. */
  readonly place: Place;
  readonly key?: string;
  readonly predecessor?: string;
  versions: readonly Version[];
  uses: readonly Use[];
  /** Of the journal's records that hold something of it. */
  seqs: number[];
}

/** Traces that came one after another; a forgotten one leaves its place empty. */
export interface Place {
  readonly among: (Kept | undefined)[];
  readonly at: number;
}

/** What is left of a forgotten trace. */
export interface Tombstone {
  readonly uid: string;
  readonly forgotten_ms: number;
  readonly predecessor?: string;
  readonly successor?: string;
}

const STATE_AFTER: Record<Change, State> = {
  added: "live",
  updated: "live",
  revised: "live",
  superseded: "superseded",
  retired: "retired",
  unretired: "live",
};
export const stateAfter = (change: Change): State => STATE_AFTER[change];

export const presentOf = (kept: Kept): Version => kept.versions.at(-1) as Version;

/** The version that was known at a moment; undefined before the trace was. */
export function versionAt({ versions }: Kept, at_ms: number): Version | undefined {
  return versions.findLast((it) => it.at_ms <= at_ms);
}

/** When the version after it came to be known. */
export function knownTo({ versions }: Kept, { version }: Version): number {
  return versions.find((it) => it.version > version)?.at_ms ?? NEVER_MS;
}

const ms = (time: string | undefined, otherwise: number) =>
  time === undefined ? otherwise : Date.parse(time);

/** The interval in which what a version says holds, its end exclusive; past its expiry nothing is found. */
export function validity({ body }: Version): { from_ms: number; to_ms: number; expires_ms: number } {
  return {
    from_ms: ms(body.valid_from, EVER_MS),
    to_ms: ms(body.valid_to, NEVER_MS),
    expires_ms: ms(body.expires_at, NEVER_MS),
  };
}

/** Whether what a version says holds at a moment, and is not expired. */
export function isValidAt(version: Version, at_ms: number): boolean {
  const { from_ms, to_ms, expires_ms } = validity(version);
  return from_ms <= at_ms && at_ms < to_ms && at_ms < expires_ms;
}

const iso = (at_ms: number) => new Date(at_ms).toISOString();

/** A trace as it was at a version, with the uses up to a moment. */
export function told(kept: Kept, version = presentOf(kept), uses_to_ms = Number.POSITIVE_INFINITY): Trace {
  const { body, state, successor, reason } = version;
  const { tags, content, scope: _scope, op_ids, ...rest } = body;
  const first = kept.versions[0] as Version;
  return {
    uid: kept.uid,
    version: version.version,
    state,
    content,
    ...(typeof content === "string" ? {} : { text: textOf(content) }),
    ...rest,
    ...(op_ids ? { op_ids: [...op_ids] } : {}),
    tags: [...(tags ?? [])],
    scope: kept.scope,
    ...(kept.key === undefined ? {} : { key: kept.key }),
    created_at: iso(first.at_ms),
    updated_at: iso(version.at_ms),
    ...outcomeOf(tallyAt(kept.uses, uses_to_ms)),
    ...(kept.predecessor === undefined ? {} : { predecessor: kept.predecessor }),
    ...(successor === undefined ? {} : { successor }),
    ...(state === "retired" ? { retired_at: iso(version.at_ms) } : {}),
    ...(reason === undefined ? {} : { retired_reason: reason }),
  };
}

function outcomeOf({ success, failure, unknown, replays, result, score }: Tally) {
  return {
    outcome: {
      ...(result === undefined ? {} : { result }),
      ...(score === undefined ? {} : { score }),
      successes: success,
      failures: failure,
      unknowns: unknown,
    },
    replay_count: replays,
  };
}

const COMPARED = [
  "content",
  "kind",
  "tags",
  "subject",
  "source",
  "op_ids",
  "valid_from",
  "valid_to",
  "expires_at",
  "state",
  "successor",
  "retired_reason",
] as const;

/** What changed from one version to the next; from nothing where there was none before. */
export function differences(before: Trace | undefined, after: Trace): Difference[] {
  return COMPARED.flatMap((member) => {
    const [was, is] = [before?.[member], after[member]];
    if (JSON.stringify(was) === JSON.stringify(is)) return [];
    if (before === undefined && Array.isArray(is) && is.length === 0) return [];
    return [
      {
        member,
        ...(was === undefined ? {} : { before: was }),
        ...(is === undefined ? {} : { after: is }),
      },
    ];
  });
}
