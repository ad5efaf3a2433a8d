/**
 * Every trace with its history, in memory: what the journal's records amount to. Applying a record again, or one
 * whose beginning is lost, changes nothing that it should not.
 */
import type { Body, HistoryLine, PathRecord } from "./records.ts";
import { canonical } from "./text.ts";
import {
  isValidAt,
  type Kept,
  NEVER_MS,
  presentOf,
  stateAfter,
  type Tombstone,
  type Version,
} from "./trace.ts";
import type { Change, Content, Scope } from "./trace_schema.ts";
import { readUse, type Use, withUse } from "./uses.ts";

export interface TracesOptions {
  /** Told of each version whose place in the index changed. */
  touched(uid: string, version: number, seq: number, is_new: boolean): void;
}

export const scopeId = (scope: Scope): string =>
  JSON.stringify(Object.entries(scope).sort(([a], [b]) => (a < b ? -1 : 1)));

/** Equal for contents that say the same in one scope. */
export function contentId(scope: Scope, content: Content): string {
  const kind = typeof content === "string" ? "text" : "json";
  return new Bun.CryptoHasher("sha256")
    .update(`${scopeId(scope)}\n${kind}\n${canonical(content)}`)
    .digest("base64");
}

const keyId = (scope: Scope, key: string) => `${scopeId(scope)}\n${key}`;

export class Traces {
  readonly #options: TracesOptions;
  readonly #kept = new Map<string, Kept>();
  readonly #forgotten = new Map<string, Tombstone>();
  readonly #by_key = new Map<string, string>();
  /** Live ones, by what they say. */
  readonly #by_content = new Map<string, Set<string>>();
  /** Forgotten ones of which something may still lie in a file, with the records that hold it. */
  readonly #erasing = new Map<string, number[]>();
  /** By their scope, in the order in which they came. */
  readonly #by_scope = new Map<string, (Kept | undefined)[]>();
  /** In the order of their creation, once sorted. */
  readonly #created: Kept[] = [];
  #is_sorted = true;
  /** Records of a trace that is not there: damage, unless it turns out to be forgotten. */
  readonly #orphans = new Map<string, number>();
  #versions = 0;
  #bounded = 0;
  #content_bytes = 0;
  #past = 0;

  constructor(options: TracesOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#kept.size;
  }
  get versions(): number {
    return this.#versions;
  }
  /** Versions that are not the present one of a live trace. */
  get past(): number {
    return this.#past;
  }
  /** Of all versions. */
  get content_bytes(): number {
    return this.#content_bytes;
  }
  /** Traces with a validity or an expiry, now or before. */
  get bounded(): number {
    return this.#bounded;
  }
  /** Records of traces whose own beginning is missing. */
  get orphans(): number {
    return this.#orphans.values().reduce((sum, count) => sum + count, 0);
  }
  get forgotten(): ReadonlyMap<string, Tombstone> {
    return this.#forgotten;
  }
  get erasing(): ReadonlyMap<string, readonly number[]> {
    return this.#erasing;
  }

  get(uid: string): Kept | undefined {
    return this.#kept.get(uid);
  }

  all(): IterableIterator<Kept> {
    return this.#kept.values();
  }

  /** Newest first. */
  *newest(): Iterable<Kept> {
    if (!this.#is_sorted)
      this.#created.sort((a, b) => createdMs(a) - createdMs(b) || (a.uid < b.uid ? -1 : 1));
    this.#is_sorted = true;
    for (let at = this.#created.length - 1; at >= 0; at--) yield this.#created[at] as Kept;
  }

  /** The trace that holds a key of a scope. */
  withKey(scope: Scope, key: string): Kept | undefined {
    return this.#kept.get(this.#by_key.get(keyId(scope, key)) ?? "");
  }

  /** The oldest live trace that says the same in the same scope, and holds at a moment. */
  withContent(scope: Scope, content: Content, at_ms: number): Kept | undefined {
    for (const uid of this.#by_content.get(contentId(scope, content)) ?? []) {
      const kept = this.#kept.get(uid);
      if (kept && isValidAt(presentOf(kept), at_ms)) return kept;
    }
    return undefined;
  }

  /** Live traces that say the same, by groups of two and more. */
  *duplicates(): Iterable<ReadonlySet<string>> {
    for (const uids of this.#by_content.values()) if (uids.size > 1) yield uids;
  }

  /** Takes a record that is durable; never throws. */
  apply(record: PathRecord, seq: number): void {
    const at_ms = Date.parse(record.at);
    const { op } = record;
    if (op === "added") this.#add(record, at_ms, seq);
    else if (op === "imported") this.#import(record.history, seq);
    else if (op === "revised") this.#revise(record, at_ms, seq);
    else if (op === "updated") this.#next(record, seq, { at_ms, change: "updated", body: record.body });
    else if (op === "retired") {
      const { reason } = record;
      this.#next(record, seq, { at_ms, change: "retired", ...(reason === undefined ? {} : { reason }) });
    } else if (op === "unretired") this.#next(record, seq, { at_ms, change: "unretired" });
    else if (op === "outcome") {
      const { result, score } = record;
      this.#use(record.uid, { at_ms, result, score, count: 1 });
    } else if (op === "replayed")
      this.#use(record.uid, { at_ms, result: undefined, score: undefined, count: 1 });
    else if (op === "forgotten") this.#forget(record, at_ms, seq);
    else if (op === "erased") for (const uid of record.uids) this.#erasing.delete(uid);
    // What is redacted was erased, and says nothing any more.
  }

  #add(record: PathRecord & { op: "added" }, at_ms: number, seq: number): void {
    const { uid, body, key, outcome } = record;
    if (this.#kept.has(uid) || this.#forgotten.has(uid)) return;
    const uses = outcome ? [{ at_ms, result: outcome.result, score: outcome.score, count: 1 }] : [];
    const version: Version = { version: 1, at_ms, change: "added", state: "live", body };
    this.#put({
      uid,
      scope: body.scope ?? {},
      ...(key === undefined ? {} : { key }),
      versions: [version],
      uses,
      seqs: [seq],
    });
    this.#options.touched(uid, 1, seq, true);
  }

  #import({ uid, key, predecessor, versions, uses = [] }: HistoryLine, seq: number): void {
    if (this.#kept.has(uid) || this.#forgotten.has(uid)) return;
    const read: Version[] = [];
    for (const { version, at, change, body, successor, reason } of versions)
      read.push({
        version,
        at_ms: Date.parse(at),
        change,
        state: stateAfter(change),
        body: body ?? (read.at(-1) as Version).body,
        ...(successor === undefined ? {} : { successor }),
        ...(reason === undefined ? {} : { reason }),
      });
    const scope = read[0]?.body.scope ?? {};
    this.#put({
      uid,
      scope,
      ...(key === undefined ? {} : { key }),
      ...(predecessor === undefined ? {} : { predecessor }),
      versions: read,
      uses: uses.map(readUse),
      seqs: [seq],
    });
    for (const { version } of read) this.#options.touched(uid, version, seq, true);
  }

  /** The successor is there even where its predecessor is forgotten, or lost. */
  #revise(record: PathRecord & { op: "revised" }, at_ms: number, seq: number): void {
    const { uid, successor } = record;
    if (this.#kept.has(uid))
      this.#next(record, seq, { at_ms, change: "superseded", successor: successor.uid }, false);
    const is_known = this.#kept.has(successor.uid) || this.#forgotten.has(successor.uid);
    if (successor.body === undefined || is_known) return;
    const { body } = successor;
    const version: Version = { version: 1, at_ms, change: "revised", state: "live", body };
    this.#put({
      uid: successor.uid,
      scope: body.scope ?? {},
      predecessor: uid,
      versions: [version],
      uses: [],
      seqs: [seq],
    });
    this.#options.touched(successor.uid, 1, seq, true);
  }

  /** @param holds whether the record holds anything that forgetting the trace must erase */
  #next(
    { uid, version }: { uid: string; version: number },
    seq: number,
    made: { at_ms: number; change: Change; body?: Body; reason?: string; successor?: string },
    holds = true,
  ): void {
    const kept = this.#kept.get(uid);
    if (!kept) {
      this.#orphan(uid);
      return;
    }
    const before = presentOf(kept);
    if (version <= before.version) return;
    this.#count(kept, -1);
    const body = made.body ?? before.body;
    // A version whose record is lost is missing here, too; those after it keep their numbers.
    kept.versions = [...kept.versions, { ...made, version, state: stateAfter(made.change), body }];
    if (holds) kept.seqs.push(seq);
    this.#content_bytes += bytesOf(body);
    this.#count(kept, 1);
    this.#options.touched(uid, before.version, seq, false);
    this.#options.touched(uid, version, seq, true);
  }

  #use(uid: string, use: Use): void {
    const kept = this.#kept.get(uid);
    if (kept) kept.uses = withUse(kept.uses, use);
    else this.#orphan(uid);
  }

  #orphan(uid: string): void {
    if (!this.#forgotten.has(uid)) this.#orphans.set(uid, (this.#orphans.get(uid) ?? 0) + 1);
  }

  #forget(
    { uid, predecessor, successor }: PathRecord & { op: "forgotten" },
    at_ms: number,
    seq: number,
  ): void {
    if (this.#forgotten.has(uid)) return;
    this.#orphans.delete(uid);
    const kept = this.#kept.get(uid);
    this.#forgotten.set(uid, {
      uid,
      forgotten_ms: at_ms,
      ...(predecessor === undefined ? {} : { predecessor }),
      ...(successor === undefined ? {} : { successor }),
    });
    this.#erasing.set(uid, kept?.seqs ?? []);
    if (!kept) return;
    this.#count(kept, -1);
    this.#kept.delete(uid);
    for (const { body } of kept.versions) this.#content_bytes -= bytesOf(body);
    kept.place.among[kept.place.at] = undefined;
    this.#created.splice(this.#created.indexOf(kept), 1);
    if (kept.key !== undefined && this.#by_key.get(keyId(kept.scope, kept.key)) === uid)
      this.#by_key.delete(keyId(kept.scope, kept.key));
    for (const { version } of kept.versions) this.#options.touched(uid, version, seq, false);
  }

  #put(made: Omit<Kept, "place">): void {
    const of = scopeId(made.scope);
    const among = this.#by_scope.get(of) ?? [];
    const kept: Kept = { ...made, place: { among, at: among.length } };
    among.push(kept);
    this.#by_scope.set(of, among);
    const last = this.#created.at(-1);
    if (last && createdMs(last) > createdMs(kept)) this.#is_sorted = false;
    this.#created.push(kept);
    this.#kept.set(kept.uid, kept);
    for (const { body } of kept.versions) this.#content_bytes += bytesOf(body);
    if (kept.key !== undefined) this.#by_key.set(keyId(kept.scope, kept.key), kept.uid);
    this.#count(kept, 1);
  }

  /** Keeps the counts, and what is live by its content, as a trace comes and goes. */
  #count(kept: Kept, by: 1 | -1): void {
    const present = presentOf(kept);
    const is_live = present.state === "live";
    this.#versions += by * kept.versions.length;
    this.#past += by * (kept.versions.length - (is_live ? 1 : 0));
    if (kept.versions.some(isBounded)) this.#bounded += by;
    if (!is_live) return;
    const id = contentId(kept.scope, present.body.content);
    const uids = this.#by_content.get(id) ?? new Set();
    if (by > 0) uids.add(kept.uid);
    else uids.delete(kept.uid);
    if (uids.size > 0) this.#by_content.set(id, uids);
    else this.#by_content.delete(id);
  }
}

const bytesOf = ({ content }: Body): number =>
  Buffer.byteLength(typeof content === "string" ? content : JSON.stringify(content));

const createdMs = ({ versions }: Kept): number => versions[0]?.at_ms ?? NEVER_MS;

const isBounded = ({ body }: Version): boolean =>
  body.valid_from !== undefined || body.valid_to !== undefined || body.expires_at !== undefined;
