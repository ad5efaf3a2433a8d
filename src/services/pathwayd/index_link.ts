/**
 * The search index behind the journal: derived, kept in step by one writer that takes all that waits in one batch.
 * What can't be written now is tried again until it can; an index that is missing, or not the one that was left, is
 * made anew.
 */
import { LakeError, messageOf } from "../../shared/errors.ts";
import type { Log } from "../../shared/log.ts";
import type { NewItem, Vectord } from "../vectord/schema.ts";
import { Dirty, type Taken } from "./dirty.ts";
import { INDEXED, itemId, readItemId } from "./item.ts";
import type { Watermark } from "./watermark.ts";

/** Names that begin so belong to services. */
export const INDEX_NAME = "_pathway";
/** An item that tells this index from any other. */
const MARK_ID = "mark";
const FIRST_RETRY_MS = 250;
const MAX_RETRY_MS = 15_000;
/** How long after a change the watermark is written: what came meanwhile is indexed again after a kill. */
const NOTE_AFTER_MS = 2000;

export interface IndexLinkOptions {
  readonly vectord: Vectord;
  /** Of embedd; undefined for its default. */
  readonly model: string | undefined;
  /** Items of one batch. */
  readonly batch: number;
  readonly watermark: Watermark;
  readonly log: Log;
  /** The item of a version as it is now; undefined where it is forgotten. */
  item(uid: string, version: number): NewItem | undefined;
  /** Every version there is. */
  everything(): Iterable<{ uid: string; version: number }>;
  /** How many there are. */
  count(): number;
  /** The journal's newest record that is applied. */
  applied_seq(): number;
}

export type IndexState = "ready" | "building" | "unreachable";

export class IndexLink {
  readonly #options: IndexLinkOptions;
  readonly #dirty = new Dirty();
  /** Items that vectord refuses, and why. */
  readonly #refused = new Map<string, string>();
  #running: Promise<void> | undefined;
  #wakers: (() => void)[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;
  #retry_ms = FIRST_RETRY_MS;
  #failure: string | undefined;
  #is_ready = false;
  #is_closed = false;
  #generation: string | undefined;
  #must_rebuild = false;
  /** Made anew, and not found whole yet. */
  #is_anew = false;
  /** Nobody waits for it but the end. */
  #noting: Promise<void> = Promise.resolve();
  #note_timer: ReturnType<typeof setTimeout> | undefined;

  constructor(options: IndexLinkOptions) {
    this.#options = options;
  }

  get waiting(): number {
    return this.#dirty.size + this.#refused.size;
  }

  get state(): IndexState {
    if (this.#failure !== undefined) return "unreachable";
    return this.#is_ready ? "ready" : "building";
  }

  /** Why the index lags; undefined where it does not. */
  get failure(): string | undefined {
    return this.#failure ?? this.#refused.values().next().value;
  }

  /** Told of a version whose place in the index changed. */
  touch(uid: string, version: number, seq: number, is_new: boolean): void {
    const id = itemId(uid, version);
    this.#refused.delete(id);
    this.#dirty.touch(id, seq, is_new);
  }

  /** Begins what is to be done, where nothing is under way. */
  start(): void {
    if (this.#is_closed || this.#running || this.#timer) return;
    this.#running = this.#run().finally(() => {
      this.#running = undefined;
      this.#wake();
      if (!this.#is_ready || this.#dirty.size > 0) this.start();
    });
  }

  /** Waits until the index holds these versions as they are now. @returns whether it does */
  async settled(ids: readonly string[], wait_ms: number): Promise<boolean> {
    const is_done = await this.#until(() => ids.every((id) => !this.#dirty.has(id)), wait_ms);
    return is_done && ids.every((id) => !this.#refused.has(id));
  }

  /** Waits until the index can be searched. @returns whether it can */
  ready(wait_ms: number): Promise<boolean> {
    return this.#until(() => true, wait_ms);
  }

  /** The index turned out not to be there. */
  lost(reason: string): void {
    this.#options.log.warn({ reason }, "the search index is made anew");
    this.#is_ready = false;
    this.#generation = undefined;
    this.#must_rebuild = true;
    this.start();
  }

  async close(): Promise<void> {
    this.#is_closed = true;
    clearTimeout(this.#timer);
    clearTimeout(this.#note_timer);
    await this.#running;
    this.#wake();
    await this.#noting;
    if (this.#is_ready) await this.#note();
  }

  async #until(isDone: () => boolean, wait_ms: number): Promise<boolean> {
    const until_ms = performance.now() + wait_ms;
    for (this.start(); !(this.#is_ready && isDone()); ) {
      const left_ms = until_ms - performance.now();
      if (left_ms <= 0 || this.#failure !== undefined || this.#is_closed) return false;
      const { promise, resolve } = Promise.withResolvers<void>();
      const timer = setTimeout(resolve, left_ms);
      this.#wakers.push(resolve);
      await promise;
      clearTimeout(timer);
    }
    return true;
  }

  #wake(): void {
    for (const wake of this.#wakers.splice(0)) wake();
  }

  async #run(): Promise<void> {
    try {
      if (this.#generation === undefined) {
        this.#is_ready = this.#isNothing();
        if (this.#is_ready) return;
        await this.#open();
      }
      while (this.#dirty.size > 0 && !this.#is_closed) {
        await this.#flush();
        this.#noteLater(); // not after all of them: writes may come without a break
      }
      if (!this.#is_ready && !this.#is_closed) await this.#check();
      this.#retry_ms = FIRST_RETRY_MS;
      this.#noteLater();
    } catch (error) {
      this.#failed(error);
    }
  }

  /** Where nothing was ever remembered, no index is made. */
  #isNothing(): boolean {
    const { count, watermark } = this.#options;
    return count() === 0 && this.#dirty.size === 0 && watermark.mark === undefined;
  }

  #failed(error: unknown): void {
    if (error instanceof LakeError && error.code === "not_found" && this.#generation !== undefined) {
      this.lost(error.message);
      return;
    }
    this.#failure = messageOf(error);
    this.#options.log.warn({ reason: this.#failure, waiting: this.#dirty.size }, "the search index lags");
    if (this.#is_closed) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.start();
    }, this.#retry_ms);
    this.#timer.unref();
    this.#retry_ms = Math.min(MAX_RETRY_MS, this.#retry_ms * 2);
  }

  /** Takes up the index that was left, or makes it anew. */
  async #open(): Promise<void> {
    const { vectord, watermark, model, everything, applied_seq } = this.#options;
    const { mark } = watermark;
    // A mark ahead of the journal is of records that a power cut took.
    if (!this.#must_rebuild && mark && mark.seq <= applied_seq() && (await this.#isThere(mark.generation))) {
      this.#generation = mark.generation;
      return;
    }
    await vectord.drop(INDEX_NAME).catch(unlessGone);
    const settings = { indexed: INDEXED, quantization: "i8" } as const;
    await vectord.create({ name: INDEX_NAME, ...settings, ...(model === undefined ? {} : { model }) });
    const generation = Bun.randomUUIDv7();
    const metadata = { generation };
    await vectord.add(INDEX_NAME, { items: [{ id: MARK_ID, text: "pathway", metadata }] });
    this.#refused.clear();
    this.#dirty.clear();
    for (const { uid, version } of everything()) this.#dirty.touch(itemId(uid, version), 0, true);
    await watermark.write({ generation, seq: 0 });
    this.#must_rebuild = false;
    this.#is_anew = true;
    this.#generation = generation;
  }

  async #isThere(generation: string): Promise<boolean> {
    const { vectord, model } = this.#options;
    try {
      const { items } = await vectord.get(INDEX_NAME, { ids: [MARK_ID], include: ["metadata"] });
      if (items[0]?.metadata?.generation !== generation) return false;
      const info = await vectord.index(INDEX_NAME);
      if (model !== undefined && info.model !== model) return false;
      // Made before these were indexed.
      const add = INDEXED.filter((it) => !info.indexed.includes(it));
      if (add.length > 0) await vectord.fields(INDEX_NAME, { add });
      return true;
    } catch (error) {
      unlessGone(error);
      return false;
    }
  }

  /** Where the count is not what it should be, something else wrote to the index, or it was put back from a copy. */
  async #check(): Promise<void> {
    const { items } = await this.#options.vectord.index(INDEX_NAME);
    if (this.#dirty.size > 0) return;
    const expected = this.#options.count() - this.#refused.size + 1;
    if (items === expected) {
      this.#is_ready = true;
      this.#is_anew = false;
      this.#failure = undefined;
      return;
    }
    const reason = `it holds ${items} items, not ${expected}`;
    const is_anew = this.#is_anew;
    this.lost(reason);
    // Again and again would be for ever: then it is tried as seldom as what can't be reached.
    if (is_anew) throw new Error(`the search index was made anew, and ${reason}`);
  }

  async #flush(): Promise<void> {
    const { vectord, batch, item } = this.#options;
    const taken = this.#dirty.take(batch);
    const items: NewItem[] = [];
    const old: string[] = [];
    const gone: string[] = [];
    for (const { id, is_new } of taken) {
      const { uid, version } = readItemId(id);
      const it = item(uid, version);
      if (!it) gone.push(id);
      else items.push(it);
      if (it && !is_new) old.push(id);
    }
    if (gone.length > 0) await vectord.delete(INDEX_NAME, { ids: gone });
    if (items.length > 0) await this.#add(await this.#withVectors(items, old));
    this.#done(taken);
  }

  #done(taken: readonly Taken[]): void {
    this.#dirty.done(taken);
    if (this.#is_ready) this.#failure = undefined;
    this.#wake();
  }

  /** What a version says never changes, so its vector is what it was. */
  async #withVectors(items: readonly NewItem[], old: string[]): Promise<NewItem[]> {
    if (old.length === 0) return [...items];
    const there = await this.#options.vectord.get(INDEX_NAME, { ids: old, include: ["vector"] });
    const vectors = new Map(there.items.map(({ id, vector }) => [id, vector]));
    return items.map((it) => {
      const vector = vectors.get(it.id);
      return vector ? { ...it, vector } : it;
    });
  }

  /** What vectord refuses of a batch is found by asking for each item alone. */
  async #add(items: readonly NewItem[]): Promise<void> {
    const { vectord, log } = this.#options;
    try {
      await vectord.add(INDEX_NAME, { items });
    } catch (error) {
      if (!(error instanceof LakeError && ["invalid", "too_large"].includes(error.code))) throw error;
      if (items.length > 1) {
        for (const item of items) await this.#add([item]);
        return;
      }
      const { id } = items[0] as NewItem;
      this.#refused.set(id, `vectord refuses ${id}: ${error.message}`);
      log.error({ item: id, reason: error.message }, "a version can't be indexed");
    }
  }

  #noteLater(): void {
    this.#note_timer ??= setTimeout(() => {
      this.#note_timer = undefined;
      this.#noting = this.#noting.then(() => this.#note());
    }, NOTE_AFTER_MS);
    this.#note_timer.unref();
  }

  /** That the note is older than the truth costs a longer start, and nothing else. */
  async #note(): Promise<void> {
    const { watermark, applied_seq, log } = this.#options;
    if (this.#generation === undefined) return;
    const seq = (this.#dirty.first_seq ?? applied_seq() + 1) - 1;
    await watermark
      .write({ generation: this.#generation, seq: Math.max(0, seq) })
      .catch((error) => log.warn({ reason: messageOf(error) }, "how far the index has come was not noted"));
  }
}

function unlessGone(error: unknown): void {
  if (!(error instanceof LakeError && error.code === "not_found")) throw error;
}
