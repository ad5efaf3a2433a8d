/** Indexes as tables: Parquet out and in. What takes long runs in processes of its own, bounded and with a deadline. */
import { closeSync, openSync, writeSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { reasonOf } from "../../shared/duckdb/process.ts";
import { removeScratch } from "../../shared/duckdb/scratch.ts";
import type { Workshop } from "../../shared/duckdb/workshop.ts";
import { LakeError } from "../../shared/errors.ts";
import type { Log } from "../../shared/log.ts";
import { streamFile } from "../../shared/stream_file.ts";
import type { BatchLimits } from "./batch.ts";
import { itemsPath } from "./folders.ts";
import type { Loader } from "./load.ts";
import type { Added, CreateIndex, LoadRequest, VectorItems } from "./schema.ts";
import { type ItemBatches, readBatches } from "./table_batches.ts";
import type { TableProcess } from "./tables_protocol.ts";
import type { Exported, ExportOptions, LoadJob, ParquetUpload, VectorTables } from "./tables_schema.ts";

export interface TablesOptions {
  readonly items: Pick<VectorItems, "index" | "add">;
  readonly loader: Loader;
  /** Where indexes are written as Parquet, and where rows are read: apart, so that neither waits for the other. */
  readonly exports: Workshop<TableProcess>;
  readonly imports: Workshop<TableProcess>;
  /** The folder of the indexes. */
  readonly root: string;
  readonly limits: BatchLimits;
  readonly max_index_items: number;
  readonly max_import_bytes: number;
  readonly timeout_ms: number;
  readonly log: Log;
  now_ms(): number;
}

export class Tables implements VectorTables<Omit<CreateIndex, "name">, Added> {
  readonly #options: TablesOptions;

  constructor(options: TablesOptions) {
    this.#options = options;
  }

  async parquet(name: string, { vectors = true, unless_version }: ExportOptions): Promise<Exported> {
    const { items, exports, root, timeout_ms, now_ms } = this.#options;
    // Asked before the items are read: they may be newer than their version says, and never older.
    const { version } = await items.index(name);
    if (version === unless_version) return { version };
    const signal = deadline(timeout_ms, "export");
    return exports.run(signal, async (child) => {
      const out = join(child.scratch, "items.parquet");
      const request = { items_path: itemsPath(root, name), out, with_vectors: vectors, now_ms: now_ms() };
      await child.ask("write", request, () => {}, signal);
      // Open before the process's scratch is removed; it is gone when the descriptor is closed.
      return { version, body: streamFile(openSync(out, "r")) };
    });
  }

  async add(name: string, upload: ParquetUpload): Promise<Added> {
    const { items, imports, limits, max_index_items, timeout_ms, log } = this.#options;
    const settings = await items.index(name);
    imports.announce();
    const signal = AbortSignal.any([upload.signal, deadline(timeout_ms, "import")]);
    const path = join(imports.folder(), "input.parquet");
    try {
      await this.#receive(upload.body, path, signal);
      return await imports.run(signal, async (child) => {
        const { rows } = await child.ask("open", { parquet: path }, () => {}, signal);
        if (rows === 0) throw new LakeError("invalid", "The file has no rows.");
        if (rows > max_index_items)
          throw new LakeError(
            "resource_limit",
            `The file has ${rows} rows; an index may hold ${max_index_items} items (vectord.max_index_items).`,
          );
        await child.ask("judge", { settings, limits, items_path: null }, () => {}, signal);
        const batches: ItemBatches = { child, items, name, settings, limits, signal, items_path: null };
        const { added, replaced, truncated } = await readBatches(batches, () => {});
        return { added, replaced, ...(truncated > 0 ? { truncated } : {}) };
      });
    } finally {
      await removeScratch(dirname(path), log);
    }
  }

  load(name: string, request: LoadRequest): Promise<LoadJob> {
    return this.#options.loader.load(name, request, deadline(this.#options.timeout_ms, "load"));
  }

  async job(job_id: string): Promise<LoadJob> {
    return this.#options.loader.jobs.get(job_id);
  }

  watch(job_id: string, signal: AbortSignal): AsyncIterable<LoadJob> {
    const { jobs } = this.#options.loader;
    // Asked at once, so that an unknown job is told before an answer has begun.
    jobs.get(job_id);
    return jobs.watch(job_id, signal);
  }

  async close(): Promise<void> {
    await this.#options.exports.close();
    await this.#options.imports.close();
    await this.#options.loader.settled();
  }

  async #receive(body: AsyncIterable<Uint8Array>, path: string, signal: AbortSignal): Promise<void> {
    const { max_import_bytes } = this.#options;
    await mkdir(dirname(path), { recursive: true });
    const fd = openSync(path, "wx", 0o600);
    let size = 0;
    try {
      for await (const chunk of body) {
        if (signal.aborted) throw reasonOf(signal);
        size += chunk.byteLength;
        if (size > max_import_bytes)
          throw new LakeError(
            "too_large",
            `A Parquet file may have at most ${max_import_bytes} bytes (vectord.max_import_bytes).`,
            { max_bytes: max_import_bytes },
          );
        for (let at = 0; at < chunk.byteLength; ) at += writeSync(fd, chunk, at);
      }
    } finally {
      closeSync(fd);
    }
    // A sender that is gone can look like the end of the body.
    if (signal.aborted) throw reasonOf(signal);
  }
}

function deadline(timeout_ms: number, what: string): AbortSignal {
  const late = new AbortController();
  const error = new LakeError(
    "deadline",
    `The ${what} took longer than ${timeout_ms} ms (vectord.timeout_ms).`,
  );
  // It may not keep a process alive that has nothing else to do.
  setTimeout(() => late.abort(error), timeout_ms).unref();
  return late.signal;
}
