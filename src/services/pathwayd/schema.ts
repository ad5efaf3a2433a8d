/** pathwayd's interface: what an agent remembers, with its history. Its shapes lie in the files beside this one. */
import type { Audit, AuditQuery, Counted, History, Imported, PathwayHealth, Stats } from "./report_schema.ts";
import type { CountQuery, Found, SearchQuery } from "./search_schema.ts";
import type {
  AddedOrKnown,
  Forget,
  Forgotten,
  NewOrKnown,
  NewTrace,
  Outcome,
  Retire,
  Revise,
  Trace,
  Unretire,
  Update,
  Written,
} from "./trace_schema.ts";

export type { Audit, AuditQuery, Counted, History, Imported, PathwayHealth, Stats } from "./report_schema.ts";
export type { CountQuery, Explain, Found, FoundTrace, SearchQuery } from "./search_schema.ts";
export type {
  AddedOrKnown,
  Content,
  Forget,
  Forgotten,
  NewOrKnown,
  NewTrace,
  Outcome,
  Result,
  Retire,
  Revise,
  Scope,
  Trace,
  Unretire,
  Update,
  Written,
} from "./trace_schema.ts";

/**
 * Each write is durable, and found by the next search (`indexed: true`), when it returns. A `version` that is not
 * the present one is refused: conflict, with the present trace's version and state in its details.
 */
export interface Pathwayd {
  /** @throws LakeError invalid, resource_limit, queue_full, unavailable */
  add(trace: NewTrace): Promise<Written>;
  /** The trace with this key or content in its scope, or a new one. @throws LakeError as `add` */
  addIdempotent(trace: NewOrKnown): Promise<AddedOrKnown>;
  /** @throws LakeError not_found, conflict, and as `add` */
  update(update: Update): Promise<Written>;
  /** Stores a successor, and answers with it. @throws LakeError not_found, conflict (it has one), and as `add` */
  revise(revision: Revise): Promise<Written>;
  /** @throws LakeError not_found, conflict (it is retired), unavailable */
  retire(retirement: Retire): Promise<Written>;
  /** @throws LakeError not_found, conflict (it is not retired), unavailable */
  unretire(return_: Unretire): Promise<Written>;
  /** Records that a trace was used, and how that ended; makes no new version. @throws LakeError not_found, conflict */
  outcome(outcome: Outcome): Promise<Written>;
  /** Erases a trace's content for good. @throws LakeError not_found, conflict, unavailable */
  forget(forget: Forget): Promise<Forgotten>;
  /** @throws LakeError not_found */
  get(uid: string): Promise<Trace>;
  /** @throws LakeError not_found */
  history(uid: string): Promise<History>;
  /** @throws LakeError invalid, unavailable (the index can't be reached) */
  search(query: SearchQuery): Promise<Found>;
  /** How many traces a search of this kind would tell, had it no end. @throws LakeError invalid */
  count(query: CountQuery): Promise<Counted>;
  /** A line for each trace, as `export` writes them; each is judged on its own. @throws LakeError invalid, unavailable */
  import(lines: Uint8Array): Promise<Imported>;
  /** Every trace with its history, a line of JSON each. */
  export(): Promise<ReadableStream<Uint8Array>>;
  stats(): Promise<Stats>;
  audit(query: AuditQuery): Promise<Audit>;
  health(): Promise<PathwayHealth>;
}
