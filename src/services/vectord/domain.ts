/** The rules of indexes: what is written is committed first, then told to the searcher, then acknowledged. */
import { LakeError } from "../../shared/errors.ts";
import type { Embedd } from "../embedd/schema.ts";
import type { Manifest } from "./archive.ts";
import { embedAll, queryVector, refuseDimension, shapeOf } from "./embed.ts";
import { removeExpired } from "./expiry.ts";
import { Indexes, type Known, OR_REPLACE, refuseItems, refuseReserved } from "./indexes.ts";
import type { Line } from "./line.ts";
import type { Moving } from "./moving.ts";
import type { Restored, RestoreQuery, Snapshot, SnapshotQuery, VectorMoves } from "./moving_schema.ts";
import { refuseAll } from "./refuse_all.ts";
import {
  type Added,
  type Batch,
  type CreateIndex,
  DEFAULT_WEIGHTS,
  type Deleted,
  type DeleteQuery,
  type FieldsChange,
  type Found,
  type GetQuery,
  type IndexInfo,
  type IndexPage,
  type IndexSettings,
  type Items,
  LIST_LIMIT,
  type PageOptions,
  RESERVED,
  type SearchQuery,
  type VectorItems,
} from "./schema.ts";
import type { Searchers } from "./searchers.ts";
import { addSoftMatches } from "./soft.ts";
import type { Change } from "./store.ts";
import type { WriterApi } from "./writer.ts";

export interface VectorOptions {
  readonly writer: Line<WriterApi>;
  readonly searcher: Searchers;
  readonly moving: Moving;
  readonly embedd: Embedd;
  readonly max_indexes: number;
  readonly max_dimension: number;
  readonly max_index_items: number;
  readonly search_timeout_ms: number;
  now_ms(): number;
}

/** Batches that may wait for their vectors. */
const MAX_EMBEDDING = 16;
const DEFAULT_K = 10;
const DEFAULTS = {
  metric: "cosine",
  quantization: "f16",
  connectivity: 16,
  ef_construction: 128,
  indexed: [],
} as const;

export class Vectors implements VectorItems, VectorMoves {
  readonly #options: VectorOptions;
  readonly #indexes: Indexes;
  #embedding = 0;

  constructor(options: VectorOptions) {
    this.#options = options;
    this.#indexes = new Indexes(options.max_indexes);
  }

  /** Opens what lies on the disk; an index that can't be opened is set aside and told, not lost. */
  async open(names: readonly string[], failed: (name: string, error: unknown) => void): Promise<void> {
    for (const name of names)
      try {
        await this.#open(name);
      } catch (error) {
        this.setAside(name);
        failed(name, error);
      }
  }

  async #open(name: string): Promise<void> {
    const { model } = await this.#options.writer.insist("open", [name]);
    await this.#options.searcher.insist("open", [name]);
    this.#indexes.set(name, { model });
  }

  /** Lets an index be, whose files can't be read. */
  readonly setAside = (name: string) => this.#indexes.setAside(name, "its files can't be read");
  /** Names of the indexes that can't be used. */
  readonly unfit = () => this.#indexes.unfit();

  async create({ name, ...given }: CreateIndex): Promise<IndexInfo> {
    const { writer, searcher } = this.#options;
    this.#indexes.refuseNew(name);
    await this.#indexes.alone(name, async () => {
      const { dimension, model } = await this.#shapeOf(given);
      const settings: IndexSettings = { ...DEFAULTS, ...given, dimension, model };
      await writer.insist("create", [name, settings]);
      await searcher.insist("open", [name]);
      this.#indexes.set(name, { model });
    });
    return this.index(name);
  }

  /** What an index would be made with, that is not made yet. @throws LakeError as `create` */
  async foresee({ name, ...given }: CreateIndex): Promise<Pick<IndexSettings, "dimension" | "model">> {
    this.#indexes.refuseNew(name);
    return this.#shapeOf(given);
  }

  #shapeOf(given: Omit<CreateIndex, "name">): ReturnType<typeof shapeOf> {
    return shapeOf(this.#options.embedd, given, this.#options.max_dimension);
  }

  async list({ limit = LIST_LIMIT, cursor, without_reserved }: PageOptions): Promise<IndexPage> {
    const names = this.#indexes
      .fit()
      .filter((name) => !(without_reserved && name.startsWith(RESERVED)))
      .filter((name) => cursor === undefined || name > cursor);
    const page = names.slice(0, limit);
    const last = names.length > limit ? names[limit - 1] : undefined;
    const indexes = await Promise.all(page.map((name) => this.#options.searcher.insist("info", [name])));
    return { indexes, next_cursor: last ?? null };
  }

  async index(name: string): Promise<IndexInfo> {
    this.#indexes.get(name);
    return this.#options.searcher.insist("info", [name]);
  }

  async fields(name: string, change: FieldsChange): Promise<IndexInfo> {
    this.#indexes.get(name);
    const { writer, searcher } = this.#options;
    await searcher.insist("declare", [name, await writer.insist("declare", [name, change])]);
    return this.index(name);
  }

  async drop(name: string): Promise<void> {
    // What is just being copied goes first: half a copy would be none.
    await this.#indexes.inTurn(name, async () => {
      if (!this.#indexes.names().includes(name)) throw this.#indexes.none(name);
      await this.#indexes.alone(name, () => this.#drop(name));
    });
  }

  async #drop(name: string): Promise<void> {
    const { writer, searcher } = this.#options;
    this.#indexes.delete(name);
    try {
      await searcher.insist("drop", [name]);
      await writer.insist("drop", [name]);
    } catch (error) {
      this.#indexes.setAside(name, "it could not be removed");
      throw error;
    }
  }

  /** Drops an index unless something was put into it. */
  async dropEmpty(name: string): Promise<void> {
    const empty = async () => {
      const known = this.#indexes.get(name);
      // Later batches are refused, and the writer has counted those before once it answers; if it can't, it is kept.
      this.#indexes.setAside(name, "it is empty, and being removed");
      const items = await this.#options.writer.insist("count", [name]).catch(() => undefined);
      if (items === 0) return this.#drop(name);
      this.#indexes.set(name, known);
    };
    await this.#indexes.inTurn(name, () => this.#indexes.alone(name, empty));
  }

  async add(name: string, batch: Batch): Promise<Added> {
    const known = this.#indexes.get(name);
    const { writer, searcher } = this.#options;
    const transfer = "bytes" in batch ? [batch.bytes.buffer as ArrayBuffer] : [];
    const judged = await writer.ask("add", [name, batch], transfer);
    const made =
      "change" in judged ? { change: judged.change, truncated: 0 } : await this.#finish(name, known, judged);
    const { last_key, added, removed } = made.change;
    await searcher.insist("changed", [name, last_key, removed]);
    return { added, replaced: removed.length, ...(made.truncated > 0 ? { truncated: made.truncated } : {}) };
  }

  /** Makes the vectors that a batch lacks, and commits it; where that fails, it is as if it never came. */
  async #finish(
    name: string,
    known: Known,
    { ticket, texts }: { ticket: number; texts: string[] },
  ): Promise<{ change: Change; truncated: number }> {
    const { writer, embedd } = this.#options;
    this.#embedding++;
    try {
      if (this.#embedding > MAX_EMBEDDING)
        throw new LakeError(
          "queue_full",
          `${MAX_EMBEDDING} batches already wait for their vectors; try again soon.`,
          { retry_after_s: 1 },
        );
      const { vectors, truncated } = await embedAll(embedd, texts, known.model);
      this.#refuseOther(name, known);
      return { change: await writer.insist("finish", [name, ticket, vectors]), truncated };
    } catch (error) {
      await writer.insist("forget", [ticket]);
      throw error;
    } finally {
      this.#embedding--;
    }
  }

  async search(name: string, query: SearchQuery): Promise<Found> {
    const { model } = this.#indexes.get(name);
    const { searcher, embedd, now_ms, search_timeout_ms } = this.#options;
    const started_ms = performance.now();
    const { hybrid, text: query_text, k = DEFAULT_K, include = ["metadata"], ...plain } = query;
    const vector = await queryVector(embedd, name, model, query);
    const soft = hybrid ? (hybrid.soft ?? DEFAULT_WEIGHTS.soft) : 0;
    const text = hybrid?.text ?? query_text;
    if (hybrid && text === undefined)
      throw new LakeError("invalid", "hybrid needs the words to look for: its own text, or the query's.");
    const { results, exact } = await searcher.ask("search", [
      name,
      {
        ...plain,
        vector,
        is_of_text: query_text !== undefined || hybrid !== undefined,
        k,
        include: soft > 0 ? [...new Set([...include, "text" as const])] : include,
        ...(hybrid && text !== undefined ? { hybrid: { ...hybrid, text, soft } } : {}),
      },
      { now_ms: now_ms(), until_ms: now_ms() + search_timeout_ms },
    ]);
    let told = results;
    if (soft > 0 && text !== undefined) {
      told = await addSoftMatches(embedd, text, results, soft, k);
      if (!include.includes("text")) told = told.map(({ text: _text, ...rest }) => rest);
    }
    const elapsed_ms = Math.round((performance.now() - started_ms) * 1000) / 1000;
    return { results: told, exact, model, elapsed_ms };
  }

  async get(name: string, query: GetQuery): Promise<Items> {
    this.#indexes.get(name);
    return { items: await this.#options.searcher.ask("get", [name, query, this.#options.now_ms()]) };
  }

  async delete(name: string, query: DeleteQuery): Promise<Deleted> {
    this.#indexes.get(name);
    if ("ids" in query === "filter" in query)
      throw new LakeError("invalid", "A deletion needs ids, or a filter, and not both.");
    if ("filter" in query) refuseAll(name, query.filter);
    const deleted = await this.#removed(name, await this.#remove(name, query));
    if (query.erase) await this.#erase(name);
    return deleted;
  }

  async #remove(name: string, query: DeleteQuery): Promise<number[]> {
    const { writer, searcher, now_ms } = this.#options;
    const known = this.#indexes.get(name);
    if ("ids" in query) return writer.ask("removeIds", [name, query.ids]);
    const keys = await searcher.ask("select", [name, query.filter, now_ms()]);
    this.#refuseOther(name, known);
    return writer.ask("removeKeys", [name, keys]);
  }

  /** What was found in one index must not be done to another that has taken its place. */
  #refuseOther(name: string, known: Known): void {
    if (!this.#indexes.isStill(name, known))
      throw new LakeError("conflict", `Index "${name}" was replaced or removed meanwhile.`);
  }

  /** The graph's file goes first: what SQLite still holds is what a graph is made of. */
  async #erase(name: string): Promise<void> {
    await this.#indexes.inTurn(name, async () => {
      this.#indexes.get(name);
      await this.#options.searcher.insist("erase", [name]);
      await this.#options.writer.insist("erase", [name]);
    });
  }

  async snapshot(name: string, { key }: SnapshotQuery, gone?: AbortSignal): Promise<Snapshot> {
    this.#indexes.get(name);
    return this.#indexes.inTurn(name, async () => {
      this.#indexes.get(name);
      await this.#options.searcher.insist("save", [name]);
      return this.#options.moving.snapshot(name, key, gone);
    });
  }

  async restore({ key, name, ...query }: RestoreQuery, gone?: AbortSignal): Promise<Restored> {
    const judge = (manifest: Manifest) => {
      const target = name ?? manifest.name;
      if (query.without_reserved) refuseReserved(target);
      if (!query.replace || !this.#indexes.has(target)) this.#indexes.refuseNew(target, OR_REPLACE);
      refuseDimension(manifest.settings.dimension, this.#options.max_dimension);
      refuseItems(target, manifest.items, this.#options.max_index_items);
    };
    const install = async (folder: string, manifest: Manifest) => {
      judge(manifest);
      const target = name ?? manifest.name;
      const replaced = this.#indexes.names().includes(target);
      await this.#indexes.inTurn(target, () => this.#install(target, folder));
      return { ...(await this.index(target)), replaced };
    };
    return this.#options.moving.restore(key, judge, install, gone);
  }

  async #install(name: string, folder: string): Promise<void> {
    const { writer, searcher } = this.#options;
    await this.#indexes.alone(name, async () => {
      this.#indexes.setAside(name, "it could not be restored");
      await searcher.insist("drop", [name]);
      try {
        await writer.insist("install", [name, folder]);
      } finally {
        await this.#open(name);
      }
    });
  }

  /** @param failed told of an index whose items can't be removed */
  async expire(failed: (name: string, error: unknown) => void): Promise<void> {
    const { writer, now_ms } = this.#options;
    const some = async (name: string) => this.#removed(name, await writer.insist("expire", [name, now_ms()]));
    await removeExpired({ indexes: this.#indexes, expire: some, failed });
  }

  async #removed(name: string, keys: number[]): Promise<Deleted> {
    if (keys.length > 0) await this.#options.searcher.insist("changed", [name, 0, keys]);
    return { deleted: keys.length };
  }
}
