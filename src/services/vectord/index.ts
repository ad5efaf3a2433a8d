/** Door of vectord: a Worker that writes, one that searches, the rules between them, and the routes. */
import { mkdirSync } from "node:fs";
import { resolve } from "node:path";
import { ConfigError } from "../../config.ts";
import { messageOf } from "../../shared/errors.ts";
import { type FileLock, LockHeldError, lockFile } from "../../shared/lock.ts";
import type { Service, ServiceContext } from "../../shared/service.ts";
import type { Embedd } from "../embedd/schema.ts";
import { Vectors } from "./domain.ts";
import { openRoot } from "./folders.ts";
import { Line } from "./line.ts";
import { vectordRoutes } from "./routes.ts";
import type { Vectord } from "./schema.ts";
import type { SearcherApi } from "./searcher.ts";
import type { WriterApi } from "./writer.ts";

export async function createVectord(
  context: ServiceContext,
  { embedd }: { embedd: Embedd },
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
  });
  const writer = new Line<WriterApi>(line("writer", "./writer.ts"));
  const searcher = new Line<SearcherApi>(line("searcher", "./searcher.ts"));
  metrics.gauge("vector_writes_waiting", "Writes waiting for the disk", () => writer.waiting);
  metrics.gauge("vector_searches_waiting", "Searches without an answer yet", () => searcher.waiting);
  const { max_items, max_id_bytes, max_metadata_bytes, max_text_bytes, max_index_items } = settings;
  const limits = { max_items, max_id_bytes, max_metadata_bytes, max_text_bytes };
  await writer.insist("begin", [{ root, limits, max_index_items }]);
  await searcher.insist("begin", [
    { root, ef_search: settings.ef_search, save_after_ms: settings.save_after_ms },
  ]);
  const { max_indexes, max_dimension } = settings;
  const domain = new Vectors({ writer, searcher, embedd, max_indexes, max_dimension, now_ms: Date.now });
  await domain.open(names, (name, error) =>
    log.error({ index: name, reason: messageOf(error) }, "an index can't be opened and is set aside"),
  );
  let expiring: Promise<void> = Promise.resolve();
  const timer = setInterval(() => {
    expiring = expiring
      .then(() => domain.expire())
      .catch((error) => log.error({ reason: messageOf(error) }, "expired items could not be removed"));
  }, settings.expire_every_ms);
  timer.unref();

  const health = () => {
    const reason = writer.dead ?? searcher.dead;
    if (reason !== undefined) return { status: "down" as const, reason };
    const unfit = domain.unfit();
    return unfit.length === 0 ? { status: "ok" as const } : { status: "degraded" as const, unfit };
  };
  const close = async () => {
    clearInterval(timer);
    await expiring;
    if (searcher.dead === undefined) await searcher.insist("close", []);
    if (writer.dead === undefined) await writer.insist("close", []);
    searcher.end();
    writer.end();
    lock.release();
  };
  return { domain, routes: vectordRoutes(domain, door, settings.max_body_bytes), health, close };
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
