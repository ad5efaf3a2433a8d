/** The rules of indexes: what is written is committed first, then told to the searcher, then acknowledged. */
import { LakeError } from "../../shared/errors.ts";
import type { Embedd } from "../embedd/schema.ts";
import { embedAll } from "./embed.ts";
import type { Line } from "./line.ts";
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
import type { SearcherApi } from "./searcher.ts";
import { addSoftMatches } from "./soft.ts";
import type { Change } from "./store.ts";
import type { WriterApi } from "./writer.ts";

export interface VectorOptions {
  readonly writer: Line<WriterApi>;
  readonly searcher: Line<SearcherApi>;
  readonly embedd: Embedd;
  readonly max_indexes: number;
  readonly max_dimension: number;
  readonly search_timeout_ms: number;
  now_ms(): number;
}

/** An index that is open, or why it can't be used. */
type Known = { readonly model: string | null } | { readonly unfit: string };

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

export class Vectors implements VectorItems {
  readonly #options: VectorOptions;
  readonly #indexes = new Map<string, Known>();
  /** Names that are being made or removed. */
  readonly #busy = new Set<string>();
  #embedding = 0;

  constructor(options: VectorOptions) {
    this.#options = options;
  }

  /** Opens what lies on the disk; an index that can't be opened is set aside and told, not lost. */
  async open(names: readonly string[], failed: (name: string, error: unknown) => void): Promise<void> {
    const { writer, searcher } = this.#options;
    for (const name of names)
      try {
        const { model } = await writer.insist("open", [name]);
        await searcher.insist("open", [name]);
        this.#indexes.set(name, { model });
      } catch (error) {
        this.#indexes.set(name, { unfit: "its files can't be read" });
        failed(name, error);
      }
  }

  /** Names of the indexes that can't be used. */
  unfit(): string[] {
    return [...this.#indexes].filter(([, it]) => "unfit" in it).map(([name]) => name);
  }

  async create({ name, ...given }: CreateIndex): Promise<IndexInfo> {
    const { writer, searcher, max_indexes, max_dimension } = this.#options;
    if (this.#indexes.has(name) || this.#busy.has(name))
      throw new LakeError("conflict", `There is an index "${name}" already.`);
    if (this.#indexes.size + this.#busy.size >= max_indexes)
      throw new LakeError(
        "resource_limit",
        `There may be at most ${max_indexes} indexes (vectord.max_indexes).`,
      );
    await this.#alone(name, async () => {
      const { dimension, model } = await this.#shape(given);
      if (dimension > max_dimension)
        throw new LakeError(
          "invalid",
          `dimension may be at most ${max_dimension} (vectord.max_dimension; got ${dimension}).`,
        );
      const settings: IndexSettings = { ...DEFAULTS, ...given, dimension, model };
      await writer.insist("create", [name, settings]);
      await searcher.insist("open", [name]);
      this.#indexes.set(name, { model });
    });
    return this.index(name);
  }

  async list({ limit = LIST_LIMIT, cursor, without_reserved }: PageOptions): Promise<IndexPage> {
    const names = [...this.#indexes.keys()]
      .filter((name) => !(without_reserved && name.startsWith(RESERVED)))
      .sort()
      .filter((name) => cursor === undefined || name > cursor);
    const page = names.slice(0, limit).filter((name) => !this.unfit().includes(name));
    const last = names.length > limit ? names[limit - 1] : undefined;
    const indexes = await Promise.all(page.map((name) => this.#options.searcher.insist("info", [name])));
    return { indexes, next_cursor: last ?? null };
  }

  async index(name: string): Promise<IndexInfo> {
    this.#known(name);
    return this.#options.searcher.insist("info", [name]);
  }

  async fields(name: string, change: FieldsChange): Promise<IndexInfo> {
    this.#known(name);
    const { writer, searcher } = this.#options;
    await searcher.insist("declare", [name, await writer.insist("declare", [name, change])]);
    return this.index(name);
  }

  async drop(name: string): Promise<void> {
    const { writer, searcher } = this.#options;
    if (this.#busy.has(name) || !this.#indexes.has(name)) throw noIndex(name);
    const before = this.#indexes.get(name);
    this.#indexes.delete(name);
    await this.#alone(name, async () => {
      try {
        await searcher.insist("drop", [name]);
        await writer.insist("drop", [name]);
      } catch (error) {
        if (before) this.#indexes.set(name, { unfit: "it could not be removed" });
        throw error;
      }
    });
  }

  async add(name: string, batch: Batch): Promise<Added> {
    const { model } = this.#known(name);
    const { writer, searcher } = this.#options;
    const transfer = "bytes" in batch ? [batch.bytes.buffer as ArrayBuffer] : [];
    const judged = await writer.ask("add", [name, batch], transfer);
    const made =
      "change" in judged ? { change: judged.change, truncated: 0 } : await this.#finish(name, model, judged);
    const { last_key, added, removed } = made.change;
    await searcher.insist("changed", [name, last_key, removed]);
    return { added, replaced: removed.length, ...(made.truncated > 0 ? { truncated: made.truncated } : {}) };
  }

  /** Makes the vectors that a batch lacks, and commits it; where that fails, it is as if it never came. */
  async #finish(
    name: string,
    model: string | null,
    { ticket, texts }: { ticket: number; texts: string[] },
  ): Promise<{ change: Change; truncated: number }> {
    const { writer, embedd } = this.#options;
    this.#embedding++;
    try {
      if (this.#embedding > MAX_EMBEDDING)
        throw new LakeError(
          "queue_full",
          `${MAX_EMBEDDING} batches already wait for their vectors; try again soon.`,
          {
            retry_after_s: 1,
          },
        );
      const { vectors, truncated } = await embedAll(embedd, texts, model);
      return { change: await writer.insist("finish", [name, ticket, vectors]), truncated };
    } catch (error) {
      await writer.insist("forget", [ticket]);
      throw error;
    } finally {
      this.#embedding--;
    }
  }

  async search(name: string, query: SearchQuery): Promise<Found> {
    const { model } = this.#known(name);
    const { searcher, embedd, now_ms, search_timeout_ms } = this.#options;
    const started_ms = performance.now();
    const { hybrid, text: query_text, k = DEFAULT_K, include = ["metadata"], ...plain } = query;
    const vector = await this.#queryVector(name, model, query);
    const soft = hybrid ? (hybrid.soft ?? DEFAULT_WEIGHTS.soft) : 0;
    const text = hybrid?.text ?? query_text;
    if (hybrid && text === undefined)
      throw new LakeError("invalid", "hybrid needs the words to look for: its own text, or the query's.");
    const { results, exact } = await searcher.ask("search", [
      name,
      {
        ...plain,
        vector,
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

  async #queryVector(
    name: string,
    model: string | null,
    query: SearchQuery,
  ): Promise<readonly number[] | Float32Array | string> {
    const { vector, text } = query;
    if ((vector === undefined) === (text === undefined) && !(vector !== undefined && query.hybrid))
      throw new LakeError("invalid", "A search needs a vector, or a text to make one of, and not both.");
    if (vector !== undefined) return vector;
    if (model === null)
      throw new LakeError(
        "invalid",
        `Index "${name}" has no model to make a vector of the text: send the vector.`,
      );
    const { vectors } = await embedAll(this.#options.embedd, [text as string], model);
    // A copy: a part of a larger buffer takes all of it along.
    return (vectors[0] as Float32Array).slice();
  }

  /** What an index is made with where not all is said: a model tells its dimension, and is asked for it. */
  async #shape({
    dimension,
    model,
  }: CreateIndex | Omit<CreateIndex, "name">): Promise<{ dimension: number; model: string | null }> {
    if (dimension !== undefined && model === undefined) return { dimension, model: null };
    const asked = { texts: ["dimension"], ...(model === undefined ? {} : { model }) };
    const made = await this.#options.embedd.embed(asked);
    if (dimension !== undefined && dimension !== made.dimension)
      throw new LakeError(
        "invalid",
        `dimension: model "${made.model}" makes vectors of ${made.dimension} numbers (got ${dimension}).`,
      );
    return { dimension: made.dimension, model: made.model };
  }

  async get(name: string, query: GetQuery): Promise<Items> {
    this.#known(name);
    return { items: await this.#options.searcher.ask("get", [name, query, this.#options.now_ms()]) };
  }

  async delete(name: string, query: DeleteQuery): Promise<Deleted> {
    this.#known(name);
    if ("ids" in query === "filter" in query)
      throw new LakeError("invalid", "A deletion needs ids, or a filter, and not both.");
    const deleted = await this.#removed(name, await this.#remove(name, query));
    if (query.erase) await this.#erase(name);
    return deleted;
  }

  async #remove(name: string, query: DeleteQuery): Promise<number[]> {
    const { writer, searcher, now_ms } = this.#options;
    if ("ids" in query) return writer.ask("removeIds", [name, query.ids]);
    const keys = await searcher.ask("select", [name, query.filter, now_ms()]);
    return writer.ask("removeKeys", [name, keys]);
  }

  /** The graph's file goes first: what SQLite still holds is what a graph is made of. */
  async #erase(name: string): Promise<void> {
    await this.#options.searcher.insist("erase", [name]);
    await this.#options.writer.insist("erase", [name]);
  }

  /** Removes the items whose time has passed; they are not found any more as it is. */
  async expire(): Promise<void> {
    for (const [name, it] of this.#indexes)
      if ("model" in it && !this.#busy.has(name))
        await this.#removed(
          name,
          await this.#options.writer.insist("expire", [name, this.#options.now_ms()]),
        );
  }

  async #removed(name: string, keys: number[]): Promise<Deleted> {
    if (keys.length > 0) await this.#options.searcher.insist("changed", [name, 0, keys]);
    return { deleted: keys.length };
  }

  #known(name: string): { readonly model: string | null } {
    const it = this.#indexes.get(name);
    if (!it) throw noIndex(name);
    if ("unfit" in it)
      throw new LakeError("unavailable", `Index "${name}" can't be used: ${it.unfit}. The log says more.`);
    return it;
  }

  async #alone(name: string, work: () => Promise<void>): Promise<void> {
    this.#busy.add(name);
    try {
      await work();
    } finally {
      this.#busy.delete(name);
    }
  }
}

function noIndex(name: string): LakeError {
  return new LakeError("not_found", `There is no index "${name}".`);
}
