/**
 * The rules of memory: what is written is durable, then in memory, then in the index, then acknowledged. Writes on
 * one trace take turns, so that a check and the change that rests on it can't be parted.
 */
import { LakeError } from "../../shared/errors.ts";
import type { Log } from "../../shared/log.ts";
import { Mutexes } from "../../shared/mutexes.ts";
import type { Vectord } from "../vectord/schema.ts";
import { audit } from "./audit.ts";
import { Eraser } from "./erase.ts";
import { Finder } from "./find.ts";
import { conflict, found, refuseOverfill, refuseUnlessLive } from "./guard.ts";
import { historyOf, lineOf } from "./history.ts";
import type { IndexLink } from "./index_link.ts";
import { itemId } from "./item.ts";
import { bodyOf, type Limits, successorBody, updatedBody } from "./judge.ts";
import type { HistoryLine } from "./records.ts";
import { countOf, healthOf, statsOf } from "./report.ts";
import type {
  AddedOrKnown,
  Audit,
  AuditQuery,
  Counted,
  CountQuery,
  Forget,
  Forgotten,
  Found,
  History,
  Imported,
  NewOrKnown,
  NewTrace,
  Outcome,
  Pathwayd,
  PathwayHealth,
  Retire,
  Revise,
  SearchQuery,
  Stats,
  Trace,
  Unretire,
  Update,
  Written,
} from "./schema.ts";
import type { NewRecord, TraceStore } from "./store.ts";
import { importLines } from "./take_in.ts";
import { type Kept, presentOf, told, type Version } from "./trace.ts";
import { contentId, scopeId } from "./traces.ts";
import { exportLines } from "./transfer.ts";

export interface MemoryOptions {
  readonly store: TraceStore;
  readonly link: IndexLink;
  readonly vectord: Vectord;
  readonly limits: Limits;
  readonly max_traces: number;
  readonly max_versions: number;
  /** Of one trace with all its versions, as a line of an export. */
  readonly max_history_bytes: number;
  /** How long writes and searches wait for the index. */
  readonly index_wait_ms: number;
  readonly log: Log;
  now_ms(): number;
  newUid(): string;
}

export class Memory implements Pathwayd {
  readonly #options: MemoryOptions;
  readonly #locks = new Mutexes();
  readonly #finder: Finder;
  readonly #coming = new Map<string, HistoryLine>();
  readonly #eraser: Eraser;

  constructor(options: MemoryOptions) {
    this.#options = options;
    const { link, vectord, store, index_wait_ms, now_ms } = options;
    this.#eraser = new Eraser(options);
    this.#finder = new Finder({ link, vectord, traces: store.traces, wait_ms: index_wait_ms, now_ms });
  }

  async add(given: NewTrace): Promise<Written> {
    const body = bodyOf(given, this.#options.limits);
    const uid = await this.#add(given, body);
    return this.#written(uid, [itemId(uid, 1)]);
  }

  async addIdempotent(given: NewOrKnown): Promise<AddedOrKnown> {
    const { store, limits, now_ms } = this.#options;
    const { key, similar_above } = given;
    const body = bodyOf(given, limits);
    const scope = body.scope ?? {};
    const turn = key === undefined ? contentId(scope, body.content) : `${scopeId(scope)} ${key}`;
    // Paraphrases are told from each other one at a time for each scope, and from the same said plainly, too.
    const alone = <T>(work: () => Promise<T>) =>
      similar_above === undefined
        ? this.#locks.run(turn, work)
        : this.#locks.run(scopeId(scope), () => this.#locks.run(turn, work));
    const made = await alone(async () => {
      const there =
        key === undefined
          ? store.traces.withContent(scope, body.content, now_ms())
          : this.#headOf(store.traces.withKey(scope, key));
      if (there) {
        await store.append({ op: "replayed", at: this.#now(), uid: there.uid });
        return { uid: there.uid, created: false };
      }
      const similar = similar_above === undefined ? [] : await this.#finder.similar(body, similar_above);
      if (similar[0]) return { uid: similar[0].uid, created: false, similar };
      return { uid: await this.#add(given, body, key), created: true };
    });
    const { uid, ...rest } = made;
    return { ...(await this.#written(uid)), ...rest };
  }

  async update(given: Update): Promise<Written> {
    const { limits, max_history_bytes } = this.#options;
    const { uid } = given;
    return this.#change("update", given, (kept, before) => {
      refuseUnlessLive("update", kept, before);
      this.#refuseVersion("update", uid, before);
      const body = updatedBody(before.body, given, limits);
      const bytes = Buffer.byteLength(JSON.stringify(lineOf(kept))) + Buffer.byteLength(JSON.stringify(body));
      if (bytes > max_history_bytes)
        throw new LakeError(
          "resource_limit",
          `update of ${uid}: all its versions may take at most ${max_history_bytes} bytes (pathwayd.max_history_bytes); revise it instead.`,
        );
      return { op: "updated", at: this.#now(before), uid, version: before.version + 1, body };
    });
  }

  async revise(given: Revise): Promise<Written> {
    const { limits, newUid, store, max_traces } = this.#options;
    const successor = newUid();
    const version = await this.#turn("revise", given, async (kept, before) => {
      refuseUnlessLive("revise", kept, before);
      const body = successorBody({ ...before.body, scope: kept.scope }, given, limits);
      refuseOverfill(store.traces, max_traces);
      const { uid } = given;
      const record = { op: "revised", at: this.#now(before), uid, version: before.version + 1 } as const;
      await store.append({ ...record, successor: { uid: successor, body } });
      return before.version;
    });
    const { uid } = given;
    return this.#written(successor, [itemId(successor, 1), itemId(uid, version), itemId(uid, version + 1)]);
  }

  async retire(given: Retire): Promise<Written> {
    const { uid, reason } = given;
    return this.#change("retire", given, (kept, before) => {
      refuseUnlessLive("retire", kept, before);
      const version = before.version + 1;
      return {
        op: "retired",
        at: this.#now(before),
        uid,
        version,
        ...(reason === undefined ? {} : { reason }),
      };
    });
  }

  async unretire(given: Unretire): Promise<Written> {
    const { uid } = given;
    return this.#change("unretire", given, (kept, before) => {
      if (before.state !== "retired") throw conflict("unretire", kept, `it is ${before.state}, not retired`);
      this.#refuseVersion("unretire", uid, before);
      return { op: "unretired", at: this.#now(before), uid, version: before.version + 1 };
    });
  }

  async outcome(given: Outcome): Promise<Written> {
    const { uid, result, score } = given;
    await this.#turn("outcome", given, async () => {
      const at = this.#now();
      const record = { op: "outcome", at, uid, result } as const;
      await this.#options.store.append({ ...record, ...(score === undefined ? {} : { score }) });
    });
    return this.#written(uid);
  }

  async get(uid: string): Promise<Trace> {
    return told(found(this.#options.store.traces, "get", uid));
  }

  async history(uid: string): Promise<History> {
    found(this.#options.store.traces, "history", uid);
    return historyOf(this.#options.store.traces, uid);
  }

  search(query: SearchQuery): Promise<Found> {
    return this.#finder.search(query);
  }

  count(query: CountQuery): Promise<Counted> {
    return countOf(this.#options, query, this.#options.now_ms());
  }

  /** Forgotten is durable first: what a crash leaves to be erased is erased after the next start. */
  async forget(given: Forget): Promise<Forgotten> {
    const { store } = this.#options;
    const { uid } = given;
    const texts = await this.#turn("forget", given, async (kept, { successor }) => {
      const { predecessor } = kept;
      const texts = kept.versions.map(({ body }) => JSON.stringify(body.content).slice(1, -1));
      await store.append({
        op: "forgotten",
        at: this.#now(),
        uid,
        ...(predecessor === undefined ? {} : { predecessor }),
        ...(successor === undefined ? {} : { successor }),
      });
      return texts;
    });
    const pending = await this.#eraser.erase(uid, texts);
    const forgotten_ms = store.traces.forgotten.get(uid)?.forgotten_ms ?? 0;
    return { uid, forgotten_at: new Date(forgotten_ms).toISOString(), pending };
  }

  import(lines: Uint8Array): Promise<Imported> {
    return importLines({ ...this.#options, coming: this.#coming }, lines);
  }

  async export(): Promise<ReadableStream<Uint8Array>> {
    return exportLines(this.#options.store.traces);
  }

  stats(): Promise<Stats> {
    return statsOf(this.#options);
  }

  audit(query: AuditQuery): Promise<Audit> {
    const { store, now_ms } = this.#options;
    return audit(store.traces, query, now_ms());
  }

  async health(): Promise<PathwayHealth> {
    return healthOf(this.#options, this.#eraser.failure);
  }

  /** Begins what a start has to catch up with. */
  begin(): void {
    this.#options.link.start();
    this.#eraser.sweep();
  }

  close(): Promise<void> {
    return this.#eraser.close();
  }

  /** One change that makes a version. */
  async #change(
    operation: string,
    given: { uid: string; version?: number },
    make: (kept: Kept, before: Version) => NewRecord,
  ): Promise<Written> {
    const { store } = this.#options;
    const before = await this.#turn(operation, given, async (kept, present) => {
      await store.append(make(kept, present));
      return present.version;
    });
    const { uid } = given;
    return this.#written(uid, [itemId(uid, before), itemId(uid, before + 1)]);
  }

  /** Runs once earlier writes on the same trace are done. @throws LakeError not_found, conflict */
  #turn<T>(
    operation: string,
    { uid, version }: { uid: string; version?: number },
    work: (kept: Kept, present: Version) => Promise<T>,
  ): Promise<T> {
    return this.#locks.run(uid, async () => {
      const kept = found(this.#options.store.traces, operation, uid);
      const present = presentOf(kept);
      if (version !== undefined && version !== present.version)
        throw conflict(operation, kept, `it is at version ${present.version}, not ${version}`);
      return work(kept, present);
    });
  }

  async #add(given: NewTrace, body: Version["body"], key?: string): Promise<string> {
    const { store, newUid, max_traces } = this.#options;
    refuseOverfill(store.traces, max_traces);
    const { outcome } = given;
    const uid = newUid();
    const more = { ...(key === undefined ? {} : { key }), ...(outcome === undefined ? {} : { outcome }) };
    await store.append({ op: "added", at: this.#now(), uid, body, ...more });
    return uid;
  }

  /** @param ids what the index must hold for the next search to find the change */
  async #written(uid: string, ids?: readonly string[]): Promise<Written> {
    const { link, index_wait_ms } = this.#options;
    const trace = told(found(this.#options.store.traces, "write", uid));
    const indexed = await link.settled(ids ?? [itemId(uid, trace.version)], index_wait_ms);
    return { ...trace, indexed };
  }

  /** Where a chain has gone on to, as far as it is known. */
  #headOf(kept: Kept | undefined): Kept | undefined {
    const seen = new Set<Kept>();
    for (let it = kept; it; ) {
      seen.add(it);
      const next = this.#options.store.traces.get(presentOf(it).successor ?? "");
      if (!next || seen.has(next)) return it;
      it = next;
    }
    return undefined;
  }

  /** Now, and not before the version that is there. */
  #now(before?: Version): string {
    return new Date(Math.max(this.#options.now_ms(), before?.at_ms ?? 0)).toISOString();
  }

  #refuseVersion(operation: string, uid: string, { version }: Version): void {
    const { max_versions } = this.#options;
    if (version >= max_versions)
      throw new LakeError(
        "resource_limit",
        `${operation} of ${uid}: a trace may have at most ${max_versions} versions (pathwayd.max_versions); say it anew instead: revise it, or add another.`,
      );
  }
}
