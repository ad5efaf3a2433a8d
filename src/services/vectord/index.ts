/** Door of vectord: a Worker that writes, some that search, the rules between them, and the routes. */
import { mkdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { ConfigError } from "../../config.ts";
import { EngineProcess } from "../../shared/duckdb/process.ts";
import { Workshop } from "../../shared/duckdb/workshop.ts";
import { messageOf } from "../../shared/errors.ts";
import { Jobs } from "../../shared/jobs.ts";
import { type FileLock, LockHeldError, lockFile } from "../../shared/lock.ts";
import type { Service, ServiceContext } from "../../shared/service.ts";
import type { Catalogd } from "../catalogd/schema.ts";
import type { Embedd } from "../embedd/schema.ts";
import type { Storaged } from "../storaged/schema.ts";
import { Vectors } from "./domain.ts";
import { JOBS_FOLDER, openRoot } from "./folders.ts";
import { Line } from "./line.ts";
import { Loader, type LoaderOptions } from "./load.ts";
import type { MoverApi } from "./mover.ts";
import { Moving } from "./moving.ts";
import { vectordRoutes } from "./routes.ts";
import type { Vectord } from "./schema.ts";
import type { SearcherApi } from "./searcher.ts";
import { Searchers } from "./searchers.ts";
import { Tables } from "./tables.ts";
import type { TableProcess, TableWork } from "./tables_protocol.ts";
import type { LoadJob } from "./tables_schema.ts";
import type { WriterApi } from "./writer.ts";

const CUT_OFF =
  "The service stopped while this job was under way: the batches that were in are kept. Ask for it again: rows whose items are the same already are left alone.";

export async function createVectord(
  context: ServiceContext,
  { catalogd, embedd, storaged }: { catalogd: Catalogd; embedd: Embedd; storaged: Storaged },
): Promise<Service<Vectord>> {
  const { config, log, metrics, door } = context;
  const settings = config.vectord;
  const root = resolve(config.data_dir, "vector");
  const lock = await own(root, config.drain_ms, config.data_dir);
  const names = openRoot(root);
  const line = (name: string, file: string) => ({
    name,
    url: new URL(file, import.meta.url),
    max_waiting: settings.queue,
    died: (reason: string) => log.error({ worker: name, reason }, "a worker failed"),
    warned: (reason: string) => log.warn({ worker: name, reason }, "a worker could not do all it wanted"),
    lost: (index: string, reason: string) => {
      log.error({ index, reason }, "an index can't be read any more and is set aside");
      items.setAside(index);
    },
  });
  const writer = new Line<WriterApi>(line("writer", "./writer.ts"));
  const searcher = new Searchers(
    Array.from(
      { length: settings.searchers },
      () => new Line<SearcherApi>(line("searcher", "./searcher.ts")),
    ),
  );
  const mover = new Line<MoverApi>(line("mover", "./mover.ts"));
  metrics.gauge("vector_writes_waiting", "Writes waiting for the disk", () => writer.waiting);
  metrics.gauge("vector_searches_waiting", "Searches without an answer yet", () => searcher.waiting);
  const { max_items, max_id_bytes, max_metadata_bytes, max_text_bytes, max_index_items } = settings;
  const limits = { max_items, max_id_bytes, max_metadata_bytes, max_text_bytes };
  await writer.insist("begin", [{ root, limits, max_index_items }]);
  await searcher.begin({ root, ef_search: settings.ef_search, save_after_ms: settings.save_after_ms });
  await mover.insist("begin", [{ root }]);
  const { timeout_ms } = settings;
  const moving = new Moving({ root, mover, storaged, timeout_ms, now_ms: Date.now });
  const items = new Vectors({ ...settings, writer, searcher, moving, embedd, now_ms: Date.now });
  await items.open(names, (name, error) =>
    log.error({ index: name, reason: messageOf(error) }, "an index can't be opened and is set aside"),
  );
  const tables = openTables(context, { items, embedd, writer, catalogd, root, limits });
  const domain = Object.assign(items, { tables });
  let expiring: Promise<void> = Promise.resolve();
  const timer = setInterval(() => {
    expiring = expiring.then(() =>
      items.expire((index, error) =>
        log.error({ index, reason: messageOf(error) }, "expired items could not be removed"),
      ),
    );
  }, settings.expire_every_ms);
  timer.unref();

  const health = () => {
    const reason = writer.dead ?? searcher.dead;
    if (reason !== undefined) return { status: "down" as const, reason };
    if (mover.dead !== undefined) return { status: "degraded" as const, reason: mover.dead };
    const unfit = items.unfit();
    return unfit.length === 0 ? { status: "ok" as const } : { status: "degraded" as const, unfit };
  };
  const close = async () => {
    clearInterval(timer);
    await expiring;
    await tables.close();
    await searcher.close();
    if (writer.dead === undefined) await writer.insist("close", []);
    mover.end();
    writer.end();
    lock.release();
  };
  return { domain, routes: vectordRoutes(domain, door, settings.max_body_bytes), health, close };
}

/** What takes rows out and in, by processes of its own. */
function openTables(
  { config, log, metrics }: ServiceContext,
  parts: Pick<LoaderOptions, "items" | "embedd" | "writer" | "catalogd" | "root" | "limits">,
): Tables {
  const { vectord: settings } = config;
  const { root } = parts;
  const storage = resolve(config.data_dir, "storage");
  const workshop = (what: string) => {
    const scratch_root = join(root, `.${what}`);
    return new Workshop<TableProcess>({
      what,
      workers: settings.transfers,
      queue: settings.transfer_queue,
      scratch_root,
      start: (scratch) =>
        new EngineProcess<TableWork>({
          entry: join(import.meta.dir, "tables_worker.ts"),
          what: "transfer",
          scratch,
          readable: [scratch_root, join(storage, "warehouse")],
          memory_limit_mib: settings.memory_limit_mib,
          process_limit_mib: settings.process_limit_mib,
          limit_hint: "(vectord.process_limit_mib).",
          threads: 1,
          max_temp_mib: settings.scratch_mib,
          log,
        }),
    });
  };
  const imports = workshop("imports");
  const exports = workshop("exports");
  metrics.gauge("vector_exports_waiting", "Exports waiting for a process", () => exports.load.waiting);
  metrics.gauge("vector_imports_waiting", "Imports waiting for a process", () => imports.load.waiting);
  const jobs = new Jobs<LoadJob>({
    folder: join(root, JOBS_FOLDER),
    kept: settings.jobs_kept,
    cut_off: CUT_OFF,
    now: () => new Date(),
    log,
  });
  const shared = { ...parts, imports, now_ms: Date.now };
  const max_jobs = settings.transfers + settings.transfer_queue;
  const loader = new Loader({ ...shared, jobs, storage, max_jobs });
  const { max_index_items, max_import_bytes, timeout_ms } = settings;
  return new Tables({ ...shared, loader, exports, max_index_items, max_import_bytes, timeout_ms, log });
}

async function own(root: string, wait_ms: number, data_dir: string): Promise<FileLock> {
  mkdirSync(root, { recursive: true });
  try {
    return await lockFile(resolve(root, "vectord.lock"), wait_ms);
  } catch (error) {
    if (!(error instanceof LockHeldError)) throw error;
    throw new ConfigError(
      `vectord's folder is in use: ${error.message}; stop that process, or give this one another data_dir (got "${data_dir}")`,
    );
  }
}
