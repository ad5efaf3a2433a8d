/** The rules of indexes: what is written is committed first, then told to the searcher, then acknowledged. */
import { LakeError } from "../../shared/errors.ts";
import type { Line } from "./line.ts";
import {
  type Added,
  type Batch,
  type CreateIndex,
  type Deleted,
  type DeleteQuery,
  type Found,
  type GetQuery,
  type IndexInfo,
  type IndexPage,
  type IndexSettings,
  type Items,
  LIST_LIMIT,
  type PageOptions,
  type SearchQuery,
  type Vectord,
} from "./schema.ts";
import type { SearcherApi } from "./searcher.ts";
import type { WriterApi } from "./writer.ts";

export interface VectorOptions {
  readonly writer: Line<WriterApi>;
  readonly searcher: Line<SearcherApi>;
  readonly max_indexes: number;
  readonly max_dimension: number;
  now_ms(): number;
}

const DEFAULTS = { metric: "cosine", quantization: "f16", connectivity: 16, ef_construction: 128 } as const;

export class Vectors implements Vectord {
  readonly #options: VectorOptions;
  /** What an index is unfit for use for, by name; undefined where it is fit. */
  readonly #indexes = new Map<string, string | undefined>();
  /** Names that are being made or removed. */
  readonly #busy = new Set<string>();

  constructor(options: VectorOptions) {
    this.#options = options;
  }

  /** Opens what lies on the disk; an index that can't be opened is set aside and told, not lost. */
  async open(names: readonly string[], failed: (name: string, error: unknown) => void): Promise<void> {
    const { writer, searcher } = this.#options;
    for (const name of names)
      try {
        await writer.insist("open", [name]);
        await searcher.insist("open", [name]);
        this.#indexes.set(name, undefined);
      } catch (error) {
        this.#indexes.set(name, "its files can't be read");
        failed(name, error);
      }
  }

  /** Names of the indexes that can't be used. */
  unfit(): string[] {
    return [...this.#indexes].filter(([, why]) => why !== undefined).map(([name]) => name);
  }

  async create({ name, ...given }: CreateIndex): Promise<IndexInfo> {
    const { writer, searcher, max_indexes, max_dimension } = this.#options;
    if (given.dimension > max_dimension)
      throw new LakeError(
        "invalid",
        `dimension may be at most ${max_dimension} (vectord.max_dimension; got ${given.dimension}).`,
      );
    if (this.#indexes.has(name) || this.#busy.has(name))
      throw new LakeError("conflict", `There is an index "${name}" already.`);
    if (this.#indexes.size + this.#busy.size >= max_indexes)
      throw new LakeError(
        "resource_limit",
        `There may be at most ${max_indexes} indexes (vectord.max_indexes).`,
      );
    const settings: IndexSettings = { ...DEFAULTS, ...given };
    await this.#alone(name, async () => {
      await writer.insist("create", [name, settings]);
      await searcher.insist("open", [name]);
      this.#indexes.set(name, undefined);
    });
    return this.index(name);
  }

  async list({ limit = LIST_LIMIT, cursor }: PageOptions): Promise<IndexPage> {
    const names = [...this.#indexes.keys()].sort().filter((name) => cursor === undefined || name > cursor);
    const page = names.slice(0, limit).filter((name) => this.#indexes.get(name) === undefined);
    const last = names.length > limit ? names[limit - 1] : undefined;
    const indexes = await Promise.all(page.map((name) => this.#options.searcher.insist("info", [name])));
    return { indexes, next_cursor: last ?? null };
  }

  async index(name: string): Promise<IndexInfo> {
    this.#known(name);
    return this.#options.searcher.insist("info", [name]);
  }

  async drop(name: string): Promise<void> {
    const { writer, searcher } = this.#options;
    if (this.#busy.has(name) || !this.#indexes.has(name)) throw noIndex(name);
    const why = this.#indexes.get(name);
    this.#indexes.delete(name);
    await this.#alone(name, async () => {
      try {
        await searcher.insist("drop", [name]);
        await writer.insist("drop", [name]);
      } catch (error) {
        this.#indexes.set(name, why ?? "it could not be removed");
        throw error;
      }
    });
  }

  async add(name: string, batch: Batch): Promise<Added> {
    this.#known(name);
    const transfer = "bytes" in batch ? [batch.bytes.buffer as ArrayBuffer] : [];
    const { last_key, added, removed } = await this.#options.writer.ask("add", [name, batch], transfer);
    await this.#options.searcher.insist("changed", [name, last_key, removed]);
    return { added, replaced: removed.length };
  }

  async search(name: string, query: SearchQuery): Promise<Found> {
    this.#known(name);
    const started_ms = performance.now();
    const found = await this.#options.searcher.ask("search", [name, query, this.#options.now_ms()]);
    return { ...found, elapsed_ms: Math.round((performance.now() - started_ms) * 1000) / 1000 };
  }

  async get(name: string, query: GetQuery): Promise<Items> {
    this.#known(name);
    return { items: await this.#options.searcher.ask("get", [name, query, this.#options.now_ms()]) };
  }

  async delete(name: string, query: DeleteQuery): Promise<Deleted> {
    this.#known(name);
    const { writer, searcher, now_ms } = this.#options;
    if ("ids" in query) return this.#removed(name, await writer.ask("removeIds", [name, query.ids]));
    const keys = await searcher.ask("select", [name, query.filter, now_ms()]);
    return this.#removed(name, await writer.ask("removeKeys", [name, keys]));
  }

  /** Removes the items whose time has passed; they are not found any more as it is. */
  async expire(): Promise<void> {
    for (const [name, why] of this.#indexes)
      if (why === undefined && !this.#busy.has(name))
        await this.#removed(
          name,
          await this.#options.writer.insist("expire", [name, this.#options.now_ms()]),
        );
  }

  async #removed(name: string, keys: number[]): Promise<Deleted> {
    if (keys.length > 0) await this.#options.searcher.insist("changed", [name, 0, keys]);
    return { deleted: keys.length };
  }

  #known(name: string): void {
    if (!this.#indexes.has(name)) throw noIndex(name);
    const why = this.#indexes.get(name);
    if (why !== undefined)
      throw new LakeError("unavailable", `Index "${name}" can't be used: ${why}. The log says more.`);
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
