/** A journal on disk: the writer behind openJournal. */
import { existsSync, rmSync } from "node:fs";
import { LakeError, messageOf } from "../errors.ts";
import type { Appended, Journal, JournalOptions, JournalRecord, JournalReport } from "../journal.ts";
import type { FileLock } from "../lock.ts";
import { type ActiveSegment, SYNCS_AT_ONCE } from "./active.ts";
import { Batch } from "./batch.ts";
import { toText } from "./frame.ts";
import { journalMeter, type Meter } from "./meter.ts";
import type { RecentIds } from "./recent_ids.ts";
import type { Faults } from "./replay.ts";
import { type Rewrite, rewriteAside, rewriteSegment } from "./rewrite.ts";
import type { JournalFiles, Segment } from "./segments.ts";

const BATCH_BYTES = 64 * 1024;
/** A buffer that one large batch made larger than this is not kept. */
const KEPT_BATCH_BYTES = 4 * 1024 * 1024;

/** What replay found, to go on from. */
export interface Opened {
  readonly name: string;
  readonly files: JournalFiles;
  readonly active: ActiveSegment;
  readonly lock: FileLock;
  readonly ids: RecentIds;
  readonly last_seq: number;
  /** The closed ones, oldest first. */
  readonly segments: Segment[];
  readonly records: number;
  readonly faults: Faults;
}

export class FileJournal<R extends JournalRecord> implements Journal<R> {
  readonly #options: JournalOptions<R>;
  readonly #opened: Opened;
  readonly #meter: Meter;
  /** The newest sequence number given out, and the newest applied. */
  #last_seq: number;
  #applied_seq: number;
  #records: number;
  /** How much of the active segment is durable. */
  #durable_bytes: number;
  #pending: Batch<R> = new Batch(Buffer.allocUnsafe(BATCH_BYTES));
  /** Batches that are written and not yet acknowledged, oldest first. */
  readonly #under_way: { batch: Batch<R>; settled: Promise<void> }[] = [];
  readonly #spare: Buffer[] = [];
  #draining: Promise<void> | undefined;
  /** The active segment is to be closed, full or not. */
  #rotation: PromiseWithResolvers<void> | undefined;
  /** One rewrite at a time. */
  #rewriting: Promise<unknown> = Promise.resolve();
  #failure: LakeError | undefined;
  #is_closed = false;

  constructor(options: JournalOptions<R>, opened: Opened) {
    this.#options = options;
    this.#opened = opened;
    this.#last_seq = opened.last_seq;
    this.#applied_seq = opened.last_seq;
    this.#records = opened.records;
    this.#durable_bytes = opened.active.size_bytes;
    this.#meter = journalMeter(options.metrics, opened.name, () => this.#last_seq - this.#applied_seq);
  }

  append(record: R): Promise<Appended> {
    if (this.#failure) throw this.#failure;
    if (this.#is_closed) throw new LakeError("unavailable", "The journal is closing; send it again shortly.");
    const text = toText(record, this.#options.max_record_bytes);
    this.#refuseOverfill(text.length);
    if (record.id !== undefined && !this.#opened.ids.add(record.id)) return this.#duplicate();
    this.#pending.add(record, text, ++this.#last_seq);
    this.#begin();
    return this.#pending.appended;
  }

  rewrite(rewrite: Rewrite<R>): Promise<void> {
    const rewritten = this.#rewriting.then(() => this.#rewrite(rewrite));
    this.#rewriting = rewritten.catch(() => {}); // Told to whoever asked for it.
    return rewritten;
  }

  /** Closed segments are rewritten while appends go on; so the active one is closed where it is concerned. */
  async #rewrite(rewrite: Rewrite<R>): Promise<void> {
    const { files, active, segments } = this.#opened;
    const holds = (path: string, first_seq: number, end_seq: number) =>
      existsSync(`${path}.corrupt`) || rewrite.seqs.values().some((seq) => first_seq <= seq && seq < end_seq);
    if (holds(files.active, active.first_seq, Number.POSITIVE_INFINITY)) await this.#closeActive();
    for (const [at, { path, first_seq }] of [...segments].entries())
      if (holds(path, first_seq, segments[at + 1]?.first_seq ?? active.first_seq)) {
        await rewriteSegment(path, rewrite);
        await rewriteAside(`${path}.corrupt`, rewrite);
      }
    await rewriteAside(`${files.active}.torn`, rewrite);
  }

  async #closeActive(): Promise<void> {
    if (this.#failure) throw this.#failure;
    this.#rotation ??= Promise.withResolvers<void>();
    const { promise } = this.#rotation;
    this.#begin();
    await promise;
  }

  #begin(): void {
    this.#draining ??= new Promise((resolve) => setImmediate(() => resolve(this.#drain())));
  }

  report(): JournalReport {
    const { segments, faults } = this.#opened;
    return {
      records: this.#records,
      segments: segments.length + 1,
      ...faults,
      ...(this.#failure ? { failure: this.#failure.message } : {}),
    };
  }

  async close(): Promise<void> {
    this.#is_closed = true;
    await this.#rewriting;
    await this.#draining;
    await this.#under_way.at(-1)?.settled;
    const { active, lock } = this.#opened;
    if (this.#options.durability === "os" && !this.#failure) await active.sync();
    active.close();
    lock.release();
  }

  #refuseOverfill(more_bytes: number): void {
    const { queue_records, queue_bytes } = this.#options;
    const waiting = this.#last_seq - this.#applied_seq;
    if (waiting === 0) return;
    let waiting_bytes = this.#pending.used_bytes;
    for (const { batch } of this.#under_way) waiting_bytes += batch.used_bytes;
    if (waiting >= queue_records || waiting_bytes + more_bytes > queue_bytes)
      throw new LakeError("queue_full", `${waiting} records wait for the disk; send it again in a second.`, {
        retry_after_s: 1,
      });
  }

  /** The first of the two may not be durable yet: a repeat waits for all that is under way. */
  async #duplicate(): Promise<Appended> {
    const newest = this.#pending.records.length > 0 ? this.#pending : this.#under_way.at(-1)?.batch;
    await newest?.appended;
    return "duplicate";
  }

  async #drain(): Promise<void> {
    while ((this.#pending.records.length > 0 || this.#rotation) && !this.#failure) {
      const { size_bytes } = this.#opened.active;
      const is_full = size_bytes >= this.#options.segment_bytes || this.#rotation !== undefined;
      if (this.#under_way.length >= (is_full ? 1 : SYNCS_AT_ONCE)) await this.#under_way[0]?.settled;
      else if (is_full) await this.#rotate();
      else this.#commit();
    }
    this.#draining = undefined;
  }

  /** Writes what waits and begins its sync. */
  #commit(): void {
    const batch = this.#pending;
    this.#pending = new Batch(this.#spare.pop() ?? Buffer.allocUnsafe(BATCH_BYTES));
    const before = this.#under_way.at(-1)?.settled;
    let synced: Promise<unknown>;
    try {
      this.#opened.active.write(batch.bytes, batch.used_bytes);
      synced = this.#options.durability === "fsync" ? this.#sync() : Promise.resolve();
    } catch (error) {
      synced = Promise.resolve(error);
    }
    this.#under_way.push({ batch, settled: this.#settle(batch, synced, before) });
  }

  /** Resolves to the error it ended with, since nobody may be listening yet when it ends. */
  #sync(): Promise<unknown> {
    this.#meter.syncs++;
    return this.#opened.active.sync().catch((error) => error);
  }

  /** Applies and acknowledges a batch once it is durable and the batch before it is acknowledged. */
  async #settle(batch: Batch<R>, synced: Promise<unknown>, before?: Promise<void>): Promise<void> {
    const error = await synced;
    await before;
    try {
      if (error !== undefined && !this.#failure) throw error;
      if (!this.#failure)
        for (const record of batch.records) this.#options.apply(record, ++this.#applied_seq);
    } catch (error) {
      this.#fail(error);
    }
    this.#under_way.shift();
    if (this.#failure) {
      batch.refuse(this.#failure);
      return;
    }
    this.#durable_bytes += batch.used_bytes;
    this.#records += batch.records.length;
    this.#meter.batch(batch.records.length, batch.used_bytes);
    if (batch.bytes.length <= KEPT_BATCH_BYTES) this.#spare.push(batch.bytes);
    batch.acknowledge();
  }

  async #rotate(): Promise<void> {
    const { active, segments } = this.#opened;
    const { keep_segments = Number.POSITIVE_INFINITY } = this.#options;
    try {
      if (active.size_bytes > 0) segments.push(await active.rotate(this.#applied_seq + 1));
      this.#durable_bytes = 0;
      this.#rotation?.resolve();
      this.#rotation = undefined;
    } catch (error) {
      this.#fail(error);
    }
    while (segments.length > keep_segments) this.#forget(segments.shift() as Segment);
  }

  #forget({ path, first_seq }: Segment): void {
    const { active, segments, name } = this.#opened;
    this.#records -= (segments[0]?.first_seq ?? active.first_seq) - first_seq;
    try {
      rmSync(path);
    } catch (error) {
      this.#options.log.error({ journal: name, first_seq, cause: messageOf(error) }, "an old segment stays");
    }
  }

  /** Refuses whatever waits, and all that is to come. */
  #fail(error: unknown): void {
    const { name, active } = this.#opened;
    const { code } = error as NodeJS.ErrnoException;
    this.#failure = new LakeError(
      "unavailable",
      `The journal ${name} could not be written${code ? ` (${code})` : ""}; it accepts nothing until it is restarted.`,
      {},
      error,
    );
    this.#meter.failures++;
    this.#options.log.error({ journal: name, cause: messageOf(error) }, "journal failed");
    this.#pending.refuse(this.#failure);
    this.#rotation?.reject(this.#failure);
    try {
      // The kernel may go on showing pages that it failed to write: a restart must not take them for durable.
      if (active.size_bytes > this.#durable_bytes) active.truncate(this.#durable_bytes);
    } catch (cause) {
      this.#options.log.error(
        { journal: name, cause: messageOf(cause) },
        "the failed batch was left in the file",
      );
    }
  }
}
