/** Door of matrixd: the registered corpora, readers of each kind, then the rules and the routes. */
import { join } from "node:path";
import { ConfigError } from "../../config.ts";
import { LockHeldError } from "../../shared/lock.ts";
import type { Service, ServiceContext } from "../../shared/service.ts";
import type { Embedd } from "../embedd/schema.ts";
import type { Vectord } from "../vectord/schema.ts";
import { Matrix } from "./domain.ts";
import { IndexReader } from "./index_corpus.ts";
import { matrixdRoutes } from "./routes.ts";
import type { Matrixd } from "./schema.ts";
import { type CorpusStore, openCorpusStore } from "./store.ts";

const CORPORA_FILE = "matrix/corpora.jsonl";

export async function createMatrixd(
  context: ServiceContext,
  { embedd, vectord }: { embedd: Embedd; vectord: Vectord },
): Promise<Service<Matrixd>> {
  const { config, door } = context;
  const { max_corpora, max_searches, timeout_ms } = config.matrixd;
  const store = await open(context);
  const readers = { index: new IndexReader(vectord) };
  const domain = new Matrix({
    store,
    readers,
    embedd,
    max_corpora,
    max_searches,
    timeout_ms,
    now_ms: Date.now,
  });
  const health = () => {
    const { failure, ...corpora } = domain.report();
    if (failure !== undefined) return { status: "down" as const, reason: failure, corpora };
    const is_whole = corpora.corrupt + corpora.torn + corpora.gaps === 0;
    return { status: is_whole ? ("ok" as const) : ("degraded" as const), corpora };
  };
  return { domain, routes: matrixdRoutes(domain, door), health, close: () => store.close() };
}

async function open({ config, log, metrics }: ServiceContext): Promise<CorpusStore> {
  try {
    return await openCorpusStore({
      path: join(config.data_dir, CORPORA_FILE),
      queue_records: config.matrixd.queue,
      lock_wait_ms: config.drain_ms,
      log,
      metrics,
    });
  } catch (error) {
    if (!(error instanceof LockHeldError)) throw error;
    throw new ConfigError(
      `matrixd's journal is in use: ${error.message}; stop that process, or give this one another data_dir (got "${config.data_dir}")`,
    );
  }
}
