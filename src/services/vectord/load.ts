/** A lake table's columns into an index: a job that reads one snapshot and leaves items that are the same alone. */
import { contentOf } from "../../shared/duckdb/content.ts";
import type { Workshop } from "../../shared/duckdb/workshop.ts";
import { LakeError, unlessMissing } from "../../shared/errors.ts";
import type { Jobs } from "../../shared/jobs.ts";
import type { Catalogd, ScanPlan } from "../catalogd/schema.ts";
import type { Embedd } from "../embedd/schema.ts";
import type { BatchLimits } from "./batch.ts";
import type { Vectors } from "./domain.ts";
import { shapeOf } from "./embed.ts";
import { itemsPath } from "./folders.ts";
import type { Line } from "./line.ts";
import { judgeColumns, refuseModelless, refuseOtherSettings } from "./load_request.ts";
import { type IndexInfo, type LoadRequest, MAX_IDS } from "./schema.ts";
import { readBatches } from "./table_batches.ts";
import type { Opened, TableProcess } from "./tables_protocol.ts";
import type { Loaded, LoadJob } from "./tables_schema.ts";
import { whereOf } from "./where.ts";
import type { WriterApi } from "./writer.ts";

export interface LoaderOptions {
  readonly items: Pick<Vectors, "index" | "create" | "foresee" | "dropEmpty" | "add" | "delete">;
  readonly embedd: Embedd;
  readonly writer: Line<WriterApi>;
  readonly catalogd: Catalogd;
  readonly imports: Workshop<TableProcess>;
  readonly jobs: Jobs<LoadJob>;
  /** The folder of the indexes. */
  readonly root: string;
  /** Absolute: what the keys of a table's files are relative to. */
  readonly storage: string;
  readonly limits: BatchLimits;
  readonly max_jobs: number;
  now_ms(): number;
}

/** One load under way. */
interface Load {
  readonly job_id: string;
  readonly name: string;
  readonly request: LoadRequest;
  readonly plan: ScanPlan;
  /** The rows to take, in SQL; null for all. */
  readonly where: string | null;
  readonly signal: AbortSignal;
}

export class Loader {
  readonly #options: LoaderOptions;
  /** By the index that each fills. */
  readonly #running = new Map<string, Promise<void>>();

  constructor(options: LoaderOptions) {
    this.#options = options;
  }

  get jobs(): Jobs<LoadJob> {
    return this.#options.jobs;
  }

  /** Judges the request and begins. @throws LakeError invalid, not_found, conflict, queue_full */
  async load(name: string, request: LoadRequest, signal: AbortSignal): Promise<LoadJob> {
    const { catalogd, jobs, max_jobs } = this.#options;
    if (request.text === undefined && request.vector === undefined)
      throw new LakeError("invalid", "Name the column of texts (text), or of vectors (vector), or both.");
    const { table, snapshot_id, as_of } = request;
    if (snapshot_id !== undefined && as_of !== undefined)
      throw new LakeError("invalid", "Give snapshot_id or as_of, not both.");
    const plan = await catalogd.plan({
      name: table,
      ...(snapshot_id === undefined ? {} : { snapshot_id }),
      ...(as_of === undefined ? {} : { as_of }),
    });
    this.#refuseSecond(name);
    judgeColumns(request, plan.fields);
    const where = request.where === undefined ? null : whereOf(request.where, plan.fields);
    const index = await this.#judgeIndex(name, request);
    const made = index && (await this.#madeBefore(index, request, plan));
    this.#refuseSecond(name);
    if (this.#running.size >= max_jobs)
      throw new LakeError("queue_full", `${max_jobs} tables are being read already; try again later.`, {
        retry_after_s: 5,
      });
    const job = jobs.create({ index: name, table: plan.name, rows: 0, rows_done: 0, result: null });
    if (made) {
      await jobs.run(job.job_id, async () => ({ result: made }));
      return jobs.get(job.job_id);
    }
    const load = { job_id: job.job_id, name, request, plan, where, signal };
    const work = jobs.run(job.job_id, async () => ({ result: await this.#run(load) }));
    this.#running.set(
      name,
      work.finally(() => this.#running.delete(name)),
    );
    return job;
  }

  #refuseSecond(name: string): void {
    if (this.#running.has(name))
      throw new LakeError(
        "conflict",
        `A table is being read into index "${name}" already; wait for its job.`,
      );
  }

  /** The index, where it is there; else judges whether it can be made. @throws LakeError invalid, conflict, or embedd's */
  async #judgeIndex(name: string, request: LoadRequest): Promise<IndexInfo | undefined> {
    const { items, embedd } = this.#options;
    const index = await unlessMissing(items.index(name));
    const { dimension, model } = request.index ?? {};
    if (index) {
      // A model may go by several names.
      const is_other = model !== undefined && model !== index.model;
      refuseOtherSettings(
        request,
        index,
        is_other ? ((await shapeOf(embedd, { model })).model ?? model) : model,
      );
      if (index.model === null) refuseModelless(request, name);
      return index;
    }
    if (dimension !== undefined && model === undefined) refuseModelless(request, name);
    // Otherwise the first vector tells the dimension.
    if (request.vector === undefined || dimension !== undefined || model !== undefined)
      await items.foresee({ name, ...request.index });
    return undefined;
  }

  /** Waits for what is under way. */
  async settled(): Promise<void> {
    await Promise.all(this.#running.values());
  }

  async #run(load: Load): Promise<Loaded> {
    const { jobs, imports, storage, items } = this.#options;
    const { job_id, name, request, plan, where, signal } = load;
    const { id, text = null, vector = null, metadata = [] } = request;
    return imports.run(signal, async (child) => {
      jobs.update(job_id, { status: "running", phase: "reading" });
      const columns = { id, text, vector, metadata };
      const opened = await child.ask(
        "open",
        { table: contentOf(plan, storage), columns, where },
        () => {},
        signal,
      );
      jobs.update(job_id, { phase: "loading", rows: opened.rows });
      const { index, is_new } = await this.#index(load, opened);
      const loaded = await this.#fill(load, child, index, opened.rows).catch(async (error) => {
        if (is_new) await unlessMissing(items.dropEmpty(name));
        throw error;
      });
      const removed = request.remove_missing ? await this.#removeMissing(load, child) : 0;
      const source = { table: plan.name, snapshot_id: plan.snapshot_id, at: this.#now() };
      await this.#options.writer.insist("note", [name, { ...source, ...originOf(load) }]);
      // Told by the searcher's own reading, so that whoever sees the job done sees the source.
      await items.index(name);
      return { table: plan.name, snapshot_id: plan.snapshot_id, existing: false, ...loaded, removed };
    });
  }

  async #fill(load: Load, child: TableProcess, index: IndexInfo, rows: number) {
    const { items, limits, root, jobs } = this.#options;
    const { name, signal, job_id } = load;
    const batches = {
      child,
      items,
      name,
      settings: index,
      limits,
      signal,
      items_path: itemsPath(root, name),
    };
    return readBatches(batches, (totals) =>
      jobs.update(job_id, {
        rows_done: totals.rows,
        percent: Math.floor((100 * totals.rows) / Math.max(1, rows)),
      }),
    );
  }

  /** The index, made now where it is not there. */
  async #index(
    { name, request }: Load,
    { dimension }: Opened,
  ): Promise<{ index: IndexInfo; is_new: boolean }> {
    const { items } = this.#options;
    const index = await unlessMissing(items.index(name));
    if (index) return { index, is_new: false };
    const given = { ...request.index };
    if (request.vector !== undefined && given.dimension === undefined && given.model === undefined) {
      if (dimension === null)
        throw new LakeError(
          "invalid",
          `Column "${request.vector}" has no vector that would tell the new index's dimension: give index.dimension.`,
        );
      given.dimension = dimension;
    }
    return { index: await items.create({ name, ...given }), is_new: true };
  }

  async #removeMissing({ name, job_id, signal }: Load, child: TableProcess): Promise<number> {
    const { items, root, jobs } = this.#options;
    jobs.update(job_id, { phase: "removing", percent: 0 });
    let removed = 0;
    for (;;) {
      const request = { items_path: itemsPath(root, name), limit: MAX_IDS };
      const { ids } = await child.ask("missing", request, () => {}, signal);
      if (ids.length === 0) return removed;
      removed += (await items.delete(name, { ids })).deleted;
    }
  }

  /** The same columns of the same snapshot into the same index, nothing of which has changed since. */
  async #madeBefore(index: IndexInfo, request: LoadRequest, plan: ScanPlan): Promise<Loaded | null> {
    if (index.source === null) return null;
    const made = await this.#options.writer.ask("noted", [index.name]);
    const origin = originOf({ request, plan });
    if (
      !made?.is_unchanged ||
      made.snapshot_id !== plan.snapshot_id ||
      made.table_uuid !== origin.table_uuid ||
      made.columns !== origin.columns
    )
      return null;
    const { table, snapshot_id } = made;
    const none = { rows: 0, added: 0, replaced: 0, unchanged: 0, skipped: 0, removed: 0, truncated: 0 };
    return { table, snapshot_id, existing: true, ...none };
  }

  #now(): string {
    return new Date(this.#options.now_ms()).toISOString();
  }
}

function originOf({ request, plan }: Pick<Load, "request" | "plan">): {
  table_uuid: string;
  columns: string;
} {
  const { id, text, vector, metadata, where, remove_missing = false } = request;
  const columns = { id, text, vector, metadata, where, remove_missing };
  return { table_uuid: plan.uuid, columns: JSON.stringify(columns) };
}
