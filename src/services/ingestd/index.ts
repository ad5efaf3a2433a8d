/** The door of ingestd: wires the workshop of conversions, the jobs, the rules and the routes. */

import { mkdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { lockFile } from "../../shared/lock.ts";
import type { Service, ServiceContext } from "../../shared/service.ts";
import type { Catalogd } from "../catalogd/schema.ts";
import type { Storaged } from "../storaged/schema.ts";
import { ConversionProcess } from "./child.ts";
import { IngestdDomain } from "./domain.ts";
import { Jobs } from "./jobs.ts";
import { ingestdRoutes } from "./routes.ts";
import type { Ingestd } from "./schema.ts";
import { Workshop } from "./workshop.ts";

const MIB = 1024 * 1024;

export async function createIngestd(
  { config, log, metrics, door }: ServiceContext,
  { storaged, catalogd }: { storaged: Storaged; catalogd: Catalogd },
): Promise<Service<Ingestd>> {
  const { ingestd } = config;
  const folder = resolve(config.data_dir, "ingest");
  const storage_dir = resolve(config.data_dir, "storage");
  const scratch_root = join(folder, "scratch");
  mkdirSync(folder, { recursive: true });
  // Scratch is removed at the start, which must not be another process's.
  const lock = await lockFile(join(folder, "ingestd.lock"), config.drain_ms);
  const workshop = new Workshop({
    workers: ingestd.workers,
    queue: ingestd.queue,
    scratch_root,
    start: (scratch) =>
      new ConversionProcess({
        scratch,
        readable: [scratch_root, join(storage_dir, "warehouse")],
        memory_limit_mib: ingestd.memory_limit_mib,
        process_limit_mib: ingestd.process_limit_mib,
        threads: ingestd.threads,
        max_temp_mib: Math.ceil(ingestd.max_expanded_bytes / MIB),
        log,
      }),
  });
  const jobs = new Jobs({
    folder: join(folder, "jobs"),
    kept: ingestd.jobs_kept,
    now: () => new Date(),
    log,
  });
  const domain = new IngestdDomain(
    { storaged, catalogd, workshop, jobs, log },
    { ...ingestd, storage_dir, max_columns: config.catalogd.max_columns },
  );
  metrics.gauge("ingest_running", "Conversions under way", () => domain.load.running);
  metrics.gauge("ingest_waiting", "Ingests waiting for a conversion", () => domain.load.waiting);
  return {
    domain,
    routes: ingestdRoutes(domain, door),
    health: () => ({ status: "ok", ...domain.load }),
    close: async () => {
      await domain.close();
      lock.release();
    },
  };
}
