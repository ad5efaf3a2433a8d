/** Door of observerd: store, then domain, then routes. */
import { dirname, join } from "node:path";
import { type Config, ConfigError } from "../../config.ts";
import { LockHeldError } from "../../shared/lock.ts";
import type { Service, ServiceContext } from "../../shared/service.ts";
import { Observer } from "./domain.ts";
import { adopt } from "./judge.ts";
import { observerdRoutes } from "./routes.ts";
import type { Observerd } from "./schema.ts";
import { type OpStore, type OpStoreOptions, openOpStore } from "./store.ts";

const GATEWAY_FILE = "gateway.jsonl";

export async function createObserverd(
  context: ServiceContext,
  _neighbours: object,
): Promise<Service<Observerd>> {
  const { config, metrics, door } = context;
  const { persist_path } = config.observerd;
  const is_persisted = persist_path !== "";
  const ops = await open(context, persist_path, {});
  let gateway: OpStore;
  try {
    // Best effort by contract, and no operation waits for it: it is not synced, and the oldest of it goes.
    gateway = await open(context, is_persisted ? join(dirname(persist_path), GATEWAY_FILE) : "", {
      durability: "os",
      dedupe_records: 0,
      keep_segments: config.observerd.gateway_segments,
    });
  } catch (error) {
    await ops.close();
    throw error;
  }
  const drops = metrics.counter(
    "witness_dropped_total",
    "Reports of the gateway that observerd could not keep",
  );
  const domain = new Observer({
    ops,
    gateway,
    is_persisted,
    max_events: config.observerd.max_events,
    dropped: (count) => drops.inc(count),
    now_ms: Date.now,
    newId: Bun.randomUUIDv7,
  });
  return {
    domain,
    routes: observerdRoutes(domain, door, config.max_json_bytes),
    health: () => domain.health(),
    close: async () => {
      await gateway.close();
      await ops.close();
    },
  };
}

async function open(
  { config, log, metrics }: ServiceContext,
  path: string,
  own: Partial<OpStoreOptions>,
): Promise<OpStore> {
  const settings = config.observerd;
  try {
    return await openOpStore({
      path: path === "" ? "" : join(config.data_dir, path),
      durability: settings.durability,
      ring_capacity: settings.ring_capacity,
      dedupe_records: settings.dedupe_records,
      segment_bytes: settings.segment_bytes,
      queue_records: settings.queue,
      queue_bytes: settings.queue_bytes,
      max_record_bytes: settings.max_event_bytes,
      lock_wait_ms: config.drain_ms,
      log,
      metrics,
      adopt,
      ...own,
    });
  } catch (error) {
    if (error instanceof LockHeldError) throw inUse(config, error);
    throw error;
  }
}

function inUse(config: Config, error: LockHeldError): ConfigError {
  return new ConfigError(
    `observerd.persist_path is in use: ${error.message}; stop that process, or give this one another data_dir (got "${config.data_dir}")`,
  );
}
