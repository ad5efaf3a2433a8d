/**
 * Erases what is forgotten wherever it lies: in the journal's segments and what damage left beside them, and in the
 * index's files. Several are erased at once; what can't be erased now is tried again, after a restart, too.
 */
import { messageOf } from "../../shared/errors.ts";
import type { Log } from "../../shared/log.ts";
import type { Vectord } from "../vectord/schema.ts";
import { INDEX_NAME, type IndexLink } from "./index_link.ts";
import type { TraceStore } from "./store.ts";

const FIRST_RETRY_MS = 1000;
const MAX_RETRY_MS = 60_000;
/** Traces that one sweep erases. */
const AT_ONCE = 500;

export interface EraserOptions {
  readonly store: TraceStore;
  readonly vectord: Vectord;
  readonly link: IndexLink;
  readonly index_wait_ms: number;
  readonly log: Log;
  now_ms(): number;
}

export class Eraser {
  readonly #options: EraserOptions;
  /** Nothing of these is in the journal any more. */
  readonly #out_of_journal = new Set<string>();
  /** Texts that damaged lines of a trace are known by, beside its uid; gone after a restart. */
  readonly #texts = new Map<string, string[]>();
  #sweeping: Promise<void> | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #retry_ms = FIRST_RETRY_MS;
  #failure: string | undefined;
  #is_closed = false;

  constructor(options: EraserOptions) {
    this.#options = options;
  }

  get failure(): string | undefined {
    return this.#failure;
  }

  /** Erases one that is forgotten. @returns where something of it still lies */
  async erase(uid: string, texts: string[]): Promise<string[]> {
    this.#texts.set(uid, texts);
    const { erasing } = this.#options.store.traces;
    // A sweep that is under way may have begun before this one was forgotten.
    for (let sweep = 0; sweep < 2 && erasing.has(uid); sweep++) await this.sweep();
    if (!erasing.has(uid)) return [];
    return this.#out_of_journal.has(uid) ? ["index"] : ["journal", "index"];
  }

  /** Erases whatever is to be erased, once; what fails is tried again later. */
  sweep(): Promise<void> {
    this.#sweeping ??= this.#sweep().finally(() => {
      this.#sweeping = undefined;
    });
    return this.#sweeping;
  }

  async close(): Promise<void> {
    this.#is_closed = true;
    clearTimeout(this.#timer);
    await this.#sweeping;
  }

  async #sweep(): Promise<void> {
    clearTimeout(this.#timer);
    const uids = this.#options.store.traces.erasing.keys().take(AT_ONCE).toArray();
    if (uids.length === 0 || this.#is_closed) return;
    try {
      await this.#eraseAll(uids);
      this.#failure = undefined;
      this.#retry_ms = FIRST_RETRY_MS;
    } catch (error) {
      this.#failure = messageOf(error);
      this.#options.log.warn(
        { reason: this.#failure, traces: uids.length },
        "forgotten traces are not erased yet",
      );
      this.#retry_ms = Math.min(MAX_RETRY_MS, this.#retry_ms * 2);
    }
    if (this.#options.store.traces.erasing.size === 0 || this.#is_closed) return;
    this.#timer = setTimeout(() => this.sweep(), this.#failure === undefined ? 0 : this.#retry_ms);
    this.#timer.unref();
  }

  async #eraseAll(uids: readonly string[]): Promise<void> {
    const { store, vectord, link, index_wait_ms, now_ms } = this.#options;
    const left = uids.filter((uid) => !this.#out_of_journal.has(uid));
    if (left.length > 0)
      await store.redact(
        left,
        left.flatMap((uid) => this.#texts.get(uid) ?? []),
      );
    for (const uid of left) {
      this.#out_of_journal.add(uid);
      this.#texts.delete(uid);
    }
    if (!(await link.ready(index_wait_ms))) throw new Error(link.failure ?? "the search index is being made");
    const filter = { must: [{ key: "uid", any: [...uids] }] };
    await vectord.delete(INDEX_NAME, { filter, erase: true });
    await store.append({ op: "erased", at: new Date(now_ms()).toISOString(), uids: [...uids] });
    for (const uid of uids) this.#out_of_journal.delete(uid);
  }
}
