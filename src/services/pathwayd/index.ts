/** Door of pathwayd: the journal and what it amounts to, the index behind it, the rules, and the routes. */
import { join } from "node:path";
import { type Config, ConfigError } from "../../config.ts";
import { LockHeldError } from "../../shared/lock.ts";
import type { Service, ServiceContext } from "../../shared/service.ts";
import type { Vectord } from "../vectord/schema.ts";
import { Memory } from "./domain.ts";
import { IndexLink } from "./index_link.ts";
import { itemOf } from "./item.ts";
import { pathwaydRoutes } from "./routes.ts";
import type { Pathwayd } from "./schema.ts";
import { openTraceStore, type TraceStore } from "./store.ts";

const FILE = "pathway/traces.jsonl";
/** What a record adds to the history that it holds. */
const RECORD_BYTES = 4096;

export async function createPathwayd(
  context: ServiceContext,
  { vectord }: { vectord: Vectord },
): Promise<Service<Pathwayd>> {
  const { config, log, metrics, door } = context;
  const settings = config.pathwayd;
  const early: [string, number, number, boolean][] = [];
  let touched = (...touch: (typeof early)[number]): void => {
    early.push(touch);
  };
  const store = await open(context, (...touch) => touched(...touch));
  const { traces } = store;
  const link = new IndexLink({
    vectord,
    model: settings.model === "" ? undefined : settings.model,
    batch: settings.index_batch,
    watermark: store.watermark,
    log,
    item: (uid, version) => {
      const kept = traces.get(uid);
      const it = kept?.versions.find((known) => known.version === version);
      return kept && it && itemOf(kept, it);
    },
    *everything() {
      for (const { uid, versions } of traces.all())
        for (const { version } of versions) yield { uid, version };
    },
    count: () => traces.versions,
    applied_seq: () => store.applied_seq,
  });
  touched = (...touch) => link.touch(...touch);
  for (const touch of early.splice(0)) link.touch(...touch);
  metrics.gauge("pathway_traces", "Traces held", () => traces.size);
  metrics.gauge(
    "pathway_index_waiting",
    "Versions that the search index does not hold yet",
    () => link.waiting,
  );
  const { max_content_bytes, max_tags, max_scope_labels, max_traces, max_versions } = settings;
  const domain = new Memory({
    store,
    link,
    vectord,
    limits: { max_content_bytes, max_tags, max_scope_labels },
    max_traces,
    max_versions,
    max_history_bytes: settings.max_history_bytes,
    index_wait_ms: settings.index_wait_ms,
    log,
    now_ms: Date.now,
    newUid: Bun.randomUUIDv7,
  });
  domain.begin();
  // Mostly it is a moment; an index that must be made anew, or can't be reached, keeps nobody from starting.
  await link.ready(settings.index_wait_ms);
  return {
    domain,
    routes: pathwaydRoutes(domain, door, settings.max_import_bytes),
    health: () => domain.health(),
    close: async () => {
      await domain.close();
      await link.close();
      await store.close();
    },
  };
}

async function open(
  { config, log, metrics }: ServiceContext,
  touched: (uid: string, version: number, seq: number, is_new: boolean) => void,
): Promise<TraceStore> {
  const settings = config.pathwayd;
  try {
    return await openTraceStore({
      path: join(config.data_dir, FILE),
      durability: settings.durability,
      segment_bytes: settings.segment_bytes,
      queue_records: settings.queue,
      queue_bytes: settings.queue_bytes,
      max_record_bytes: settings.max_history_bytes + RECORD_BYTES,
      dedupe_records: settings.dedupe_records,
      lock_wait_ms: config.drain_ms,
      log,
      metrics,
      newId: Bun.randomUUIDv7,
      touched,
    });
  } catch (error) {
    if (error instanceof LockHeldError) throw inUse(config, error);
    throw error;
  }
}

function inUse(config: Config, error: LockHeldError): ConfigError {
  return new ConfigError(
    `pathwayd's journal is in use: ${error.message}; stop that process, or give this one another data_dir (got "${config.data_dir}")`,
  );
}
