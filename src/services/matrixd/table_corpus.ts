/** Corpora that are a lake table's texts: read into an index of our own, anew when asked. */
import { LakeError, unlessMissing } from "../../shared/errors.ts";
import type { Catalogd } from "../catalogd/schema.ts";
import type { Filter, Vectord } from "../vectord/schema.ts";
import type { Content } from "./complete.ts";
import type { Candidate, CorpusReader, Question, Standing } from "./corpus.ts";
import type { IndexReader } from "./index_corpus.ts";
import type { CorpusDefinition, Freshness } from "./schema.ts";
import type { RegisteredCorpus } from "./store.ts";

/** Names of indexes that only this lake's services use begin with an underscore. */
const PREFIX = "_matrix_";
const TABLE_GONE = "The table is not there any more; its texts are searched as they were read last.";

export interface TableReaderOptions {
  readonly vectord: Vectord;
  readonly catalogd: Pick<Catalogd, "manifest">;
  readonly indexes: IndexReader;
}

export class TableReader implements CorpusReader {
  readonly scope = "queryd:read";
  readonly #options: TableReaderOptions;
  /** By corpus: the job that read its table last. */
  readonly #jobs = new Map<string, string>();

  constructor(options: TableReaderOptions) {
    this.#options = options;
  }

  /** What an unfinished removal left of another corpus of this name is no part of this one. */
  async begin(corpus: RegisteredCorpus): Promise<void> {
    tableOf(corpus);
    await this.#drop(corpus.name);
    await this.refresh(corpus);
  }

  async refresh(corpus: RegisteredCorpus): Promise<void> {
    const { name: table, model, where, ...columns } = tableOf(corpus);
    const { job_id } = await this.#options.vectord.tables.load(PREFIX + corpus.name, {
      table,
      ...columns,
      ...(where === undefined ? {} : { where: where as Filter }),
      remove_missing: true,
      index: model === undefined ? {} : { model },
    });
    this.#jobs.set(corpus.name, job_id);
  }

  async standing(corpus: RegisteredCorpus): Promise<Standing> {
    const [index, freshness] = await Promise.all([this.#index(corpus.name), this.#freshness(corpus)]);
    const { refresh } = freshness;
    const is_running = refresh !== undefined && refresh.error === undefined && refresh.status !== "done";
    if (index?.source) {
      const is_gone = freshness.current_snapshot_id === null && index.source.snapshot_id !== null;
      return {
        state: is_running || index.state !== "ready" ? "building" : "ready",
        items: index.items,
        ...(is_gone ? { reason: TABLE_GONE } : {}),
        ...(index.model === null ? {} : { model: index.model }),
        freshness: {
          ...freshness,
          snapshot_id: index.source.snapshot_id,
          at: index.source.at,
          is_behind: index.source.snapshot_id !== freshness.current_snapshot_id,
        },
      };
    }
    if (is_running) return { state: "building", items: index?.items ?? 0, freshness };
    const reason = refresh?.error ?? "The table was not read to its end; refresh the corpus.";
    return { state: "unavailable", reason, items: index?.items ?? null, freshness };
  }

  async search(corpus: RegisteredCorpus, question: Question): Promise<Candidate[]> {
    const { name } = corpus;
    const found = await unlessMissing(this.#options.indexes.searchIndex(name, PREFIX + name, question));
    if (found) return found;
    // Which index is missing tells nobody anything; why it is does.
    const { reason = "Its table is being read for the first time." } = await this.standing(corpus);
    throw new LakeError("unavailable", reason, { retry_after_s: 1 });
  }

  fetch({ name }: RegisteredCorpus, ids: readonly string[], question: Question): Promise<Candidate[]> {
    return this.#options.indexes.fetchFromIndex(name, PREFIX + name, ids, question);
  }

  contents({ name }: RegisteredCorpus, ids: readonly string[]): Promise<ReadonlyMap<string, Content>> {
    return this.#options.indexes.contentsOfIndex(PREFIX + name, ids);
  }

  async end({ name }: RegisteredCorpus): Promise<void> {
    await this.#drop(name);
    this.#jobs.delete(name);
    this.#options.indexes.forget(name);
  }

  async #drop(name: string): Promise<void> {
    await unlessMissing(this.#options.vectord.drop(PREFIX + name));
  }

  #index(name: string) {
    return unlessMissing(this.#options.vectord.index(PREFIX + name));
  }

  /** As far as the table and the last job tell it. */
  async #freshness(corpus: RegisteredCorpus): Promise<Freshness> {
    const { vectord, catalogd } = this.#options;
    const job_id = this.#jobs.get(corpus.name);
    const [table, job] = await Promise.all([
      unlessMissing(catalogd.manifest(tableOf(corpus).name, { limit: 1 })),
      job_id === undefined ? undefined : unlessMissing(vectord.tables.job(job_id)),
    ]);
    const told = job && {
      job_id: job.job_id,
      status: job.status,
      percent: job.percent,
      ...(job.error ? { error: job.error.detail } : {}),
    };
    return {
      snapshot_id: null,
      at: null,
      current_snapshot_id: table?.snapshot_id ?? null,
      is_behind: true,
      ...(told ? { refresh: told } : {}),
    };
  }
}

function tableOf({ table }: RegisteredCorpus): NonNullable<CorpusDefinition["table"]> {
  if (table === undefined)
    throw new LakeError("invalid", "A corpus of kind `table` needs `table`: its name, id and text columns.");
  return table;
}
