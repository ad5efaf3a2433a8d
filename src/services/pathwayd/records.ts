/**
 * The journal's records: what was done, each whole by itself, so that a lost line costs one change and no more.
 * Times are RFC 3339.
 */
import type { Change, Content, Result, Scope } from "./trace_schema.ts";

/** What a version says. */
export interface Body {
  readonly content: Content;
  readonly kind?: string;
  readonly tags?: readonly string[];
  readonly subject?: string;
  readonly scope?: Scope;
  readonly source?: string;
  readonly op_ids?: readonly string[];
  readonly valid_from?: string;
  readonly valid_to?: string;
  readonly expires_at?: string;
}

/** One version, as an export tells it. */
export interface VersionLine {
  readonly version: number;
  readonly at: string;
  readonly change: Change;
  /** Absent where the version says what the one before it says. */
  readonly body?: Body;
  readonly successor?: string;
  readonly reason?: string;
}

/** How a trace was used. */
export interface UseLine {
  readonly at: string;
  /** Absent for a replay. */
  readonly result?: Result;
  readonly score?: number;
  /** How many uses it stands for; 1 where absent. */
  readonly count?: number;
}

/** A whole trace: a line of an export. */
export interface HistoryLine {
  readonly uid: string;
  readonly key?: string;
  readonly predecessor?: string;
  readonly versions: readonly VersionLine[];
  readonly uses?: readonly UseLine[];
}

interface Base {
  /** Of the record, not of the trace. */
  readonly id: string;
  readonly at: string;
}
interface OnTrace extends Base {
  readonly uid: string;
}
interface Versioned extends OnTrace {
  readonly version: number;
}

export type PathRecord =
  | (OnTrace & { op: "added"; body: Body; key?: string; outcome?: { result: Result; score?: number } })
  | (Versioned & { op: "updated"; body: Body })
  /** The body is absent once the successor is forgotten. */
  | (Versioned & { op: "revised"; successor: { uid: string; body?: Body } })
  | (Versioned & { op: "retired"; reason?: string })
  | (Versioned & { op: "unretired" })
  | (OnTrace & { op: "outcome"; result: Result; score?: number })
  | (OnTrace & { op: "replayed" })
  | (OnTrace & { op: "imported"; history: HistoryLine })
  | (OnTrace & { op: "forgotten"; predecessor?: string; successor?: string })
  /** Nothing of these is in any file of the journal any more. */
  | (Base & { op: "erased"; uids: string[] })
  /** What stands in the place of a record whose trace is forgotten. */
  | (OnTrace & { op: "redacted" });

/** A record with nothing of a forgotten trace in it. */
export function redacted(record: PathRecord, uids: ReadonlySet<string>): PathRecord {
  if (record.op === "erased" || record.op === "forgotten") return record;
  const { id, at } = record;
  if (record.op === "revised" && uids.has(record.successor.uid)) {
    const { uid, version, successor } = record;
    return { id, at, op: "revised", uid, version, successor: { uid: successor.uid } };
  }
  if (record.op === "revised" || !uids.has(record.uid)) return record;
  return { id, at, op: "redacted", uid: record.uid };
}
