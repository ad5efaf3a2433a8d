/** The door of ingestd: wires the workshop of conversions, the jobs, the rules and the routes. */

import { mkdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { EngineProcess } from "../../shared/duckdb/process.ts";
import { Workshop } from "../../shared/duckdb/workshop.ts";
import { Jobs } from "../../shared/jobs.ts";
import { lockFile } from "../../shared/lock.ts";
import type { Service, ServiceContext } from "../../shared/service.ts";
import type { Catalogd } from "../catalogd/schema.ts";
import type { Storaged } from "../storaged/schema.ts";
import { IngestdDomain } from "./domain.ts";
import type { ConversionProcess, Conversions, Progress } from "./protocol.ts";
import { ingestdRoutes } from "./routes.ts";
import type { Ingestd, Job } from "./schema.ts";

const MIB = 1024 * 1024;
const CUT_OFF =
  "The service stopped while this job was under way. Either all of it was committed or nothing: look at the table's history, and send the file again if it is not there (with the same Idempotency-Key it can't be added twice).";

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
  const workshop = new Workshop<ConversionProcess>({
    what: "conversions",
    workers: ingestd.workers,
    queue: ingestd.queue,
    scratch_root,
    start: (scratch) =>
      new EngineProcess<Conversions, Progress>({
        entry: join(import.meta.dir, "worker.ts"),
        what: "conversion",
        scratch,
        readable: [scratch_root, join(storage_dir, "warehouse")],
        memory_limit_mib: ingestd.memory_limit_mib,
        process_limit_mib: ingestd.process_limit_mib,
        limit_hint: "(ingestd.process_limit_mib). Smaller files, or rows, need less.",
        threads: ingestd.threads,
        max_temp_mib: Math.ceil(ingestd.max_expanded_bytes / MIB),
        log,
      }),
  });
  const jobs = new Jobs<Job>({
    folder: join(folder, "jobs"),
    kept: ingestd.jobs_kept,
    cut_off: CUT_OFF,
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
