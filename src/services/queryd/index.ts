/** queryd: SQL by DuckDB over the catalog's tables, in worker processes. */
import { existsSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import type { Service, ServiceContext } from "../../shared/service.ts";
import type { Catalogd } from "../catalogd/schema.ts";
import type { Vectord } from "../vectord/schema.ts";
import { createDomain } from "./domain.ts";
import { IndexFiles } from "./indexes.ts";
import { WorkerPool } from "./pool.ts";
import { WorkerProcess } from "./process.ts";
import { createRoutes } from "./routes.ts";
import type { Queryd } from "./schema.ts";

const MIB = 1024 * 1024;
/** The warm worker starts this long after the service, so that it takes no time from the start. */
const WARM_AFTER_MS = 250;
/** More views than any one statement needs; past it a worker starts afresh. */
const MAX_VIEWS = 256;

export async function createQueryd(
  { config, log, metrics, door }: ServiceContext,
  { catalogd, vectord }: { catalogd: Catalogd; vectord: Vectord },
): Promise<Service<Queryd>> {
  const { queryd: settings } = config;
  const storage = resolve(config.data_dir, "storage");
  const root = resolve(config.data_dir, "query");
  clearScratch(root);
  const folder = join(root, `${process.pid}-indexes-${Bun.randomUUIDv7()}`);
  const indexes = new IndexFiles({
    vectord,
    folder,
    max_bytes: settings.index_cache_mib * MIB,
    idle_ms: settings.index_idle_ms,
  });
  let started = 0;
  const pool = new WorkerPool({
    workers: settings.workers,
    queue: settings.queue,
    idle_ms: settings.worker_idle_ms,
    idle_limit_mib: settings.worker_idle_mib,
    max_views: MAX_VIEWS,
    log,
    start: () => {
      mkdirSync(join(storage, "warehouse"), { recursive: true });
      return new WorkerProcess(
        {
          warehouse: join(storage, "warehouse"),
          indexes: folder,
          scratch: join(root, `${process.pid}-${started++}-${Bun.hash(root).toString(36)}`),
          memory_limit_mib: settings.memory_limit_mib,
          scratch_mib: settings.scratch_mib,
          threads: settings.threads,
          max_answer_bytes: settings.max_answer_bytes,
        },
        { process_limit_mib: settings.process_limit_mib, scratch_mib: settings.scratch_mib },
        log,
      );
    },
  });
  const killed = metrics.counter("queryd_killed_total", "Queries ended before their time", ["reason"]);
  metrics.gauge("queryd_running", "Queries that have a worker", () => pool.load.running);
  metrics.gauge("queryd_waiting", "Queries waiting for a worker", () => pool.load.waiting);
  metrics.gauge("queryd_workers", "Worker processes", () => pool.load.workers);
  const domain = createDomain({
    catalogd,
    vectord,
    indexes,
    pool,
    storage,
    log,
    limits: settings,
    onKilled: (reason) => killed.labels(reason).inc(),
  });
  setTimeout(() => pool.warm(), WARM_AFTER_MS).unref();
  return {
    domain,
    routes: createRoutes(domain, door),
    health: () => {
      const { fault, ...load } = pool.load;
      return { status: fault ? "degraded" : "ok", ...(fault ? { reason: fault } : {}), ...load };
    },
    close: async () => {
      await pool.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Removes the scratch of processes that are no more; a name begins with the process that made it. */
function clearScratch(root: string): void {
  mkdirSync(root, { recursive: true });
  for (const name of readdirSync(root)) {
    const pid = Number(name.split("-")[0]);
    if (pid !== process.pid && Number.isInteger(pid) && existsSync(`/proc/${pid}`)) continue;
    rmSync(join(root, name), { recursive: true, force: true });
  }
}
