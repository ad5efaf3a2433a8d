/** The door of embedd: wires the built-in model, the providers of the settings, the rules and the routes. */
import type { Config } from "../../config.ts";
import type { Metrics } from "../../shared/metrics.ts";
import type { Health, Service, ServiceContext } from "../../shared/service.ts";
import { Batcher } from "./batcher.ts";
import { Breaker } from "./breaker.ts";
import { BuiltIn } from "./built_in.ts";
import { VectorCache } from "./cache.ts";
import { Embedder, faultOf, type ServedModel } from "./domain.ts";
import { Ollama } from "./ollama.ts";
import { Onnx } from "./onnx.ts";
import { OpenAi } from "./openai_upstream.ts";
import type { Provider } from "./provider.ts";
import { embeddRoutes } from "./routes.ts";
import type { Embedd } from "./schema.ts";
import { MODEL_DIMENSION, MODEL_NAME } from "./static_model.ts";

type Settings = Config["embedd"];
type ModelSettings = Settings["models"][number];

const MIB = 1024 * 1024;
/** The model is loaded this long after the service has started, so that it takes no time from the start. */
const LOAD_AFTER_MS = 250;
const DEFAULT_BATCH = 64;

export async function createEmbedd({ config, metrics, door }: ServiceContext): Promise<Service<Embedd>> {
  const settings = config.embedd;
  const built_in = new BuiltIn(settings.workers, settings.queue);
  const models = new Map<string, ServedModel>();
  models.set(MODEL_NAME, {
    ...served(MODEL_NAME, built_in, settings),
    kind: "built-in",
    dimension: () => MODEL_DIMENSION,
  });
  for (const it of settings.models) {
    const provider = providerOf(it);
    models.set(it.name, {
      ...served(it.name, provider, settings),
      kind: it.provider,
      dimension: () => provider.reader.dimension,
    });
  }
  const cache = new VectorCache(settings.cache_mib * MIB);
  tell(metrics, models, cache);
  const domain = new Embedder({ ...settings, models, built_in, built_in_name: MODEL_NAME, cache });
  const loading = setTimeout(() => built_in.start(), LOAD_AFTER_MS);
  loading.unref();
  return {
    domain,
    routes: embeddRoutes(domain, door),
    health: () => healthOf(models),
    close: async () => {
      clearTimeout(loading);
      for (const { batcher, provider } of models.values()) {
        batcher.close();
        provider.close();
      }
    },
  };
}

function served(name: string, provider: Provider, settings: Settings) {
  const { breaker_failures: failures, breaker_ms: pause_ms, queue, queue_bytes } = settings;
  const breaker = new Breaker({ failures, pause_ms });
  const batcher = new Batcher({
    provider,
    queue,
    queue_bytes,
    call_ms: settings.provider_timeout_ms,
    guard: (call) => breaker.run(call),
  });
  return { name, provider, breaker, batcher };
}

function providerOf(it: ModelSettings): Ollama | OpenAi | Onnx {
  const { name, provider, url = "", path = "", upstream_name: model = name, dimension, api_key } = it;
  const batch = it.batch ?? DEFAULT_BATCH;
  if (provider === "ollama") return new Ollama({ url, model, batch, keep_alive: it.keep_alive, dimension });
  if (provider === "openai") return new OpenAi({ url, model, batch, api_key, dimension });
  return new Onnx({ name, path, pooling: it.pooling ?? "mean", batch, dimension });
}

/** Degraded where a model of the settings can't be used, down without the built-in one. */
function healthOf(models: ReadonlyMap<string, ServedModel>): Health {
  const faults = [...models.values()].flatMap((it) => {
    const reason = faultOf(it);
    return reason === undefined ? [] : [{ name: it.name, reason }];
  });
  const first = faults[0];
  if (first === undefined) return { status: "ok", models: models.size };
  const status = faults.some(({ name }) => name === MODEL_NAME) ? "down" : "degraded";
  return { status, reason: first.reason, models: models.size, failing: faults.map(({ name }) => name) };
}

function tell(metrics: Metrics, models: ReadonlyMap<string, ServedModel>, cache: VectorCache): void {
  const all = [...models.values()];
  const total = (read: (it: ServedModel) => number) => () => all.reduce((sum, it) => sum + read(it), 0);
  const asked = () => cache.hits + cache.misses;
  metrics.gauge("embedd_cache_hits", "Texts answered from the cache", () => cache.hits);
  metrics.gauge("embedd_cache_misses", "Texts that the cache did not hold", () => cache.misses);
  metrics.gauge("embedd_cache_hit_ratio", "Hits of all texts asked for, 0 to 1", () =>
    asked() === 0 ? 0 : cache.hits / asked(),
  );
  metrics.gauge("embedd_cache_bytes", "Memory of the cache", () => cache.bytes);
  metrics.gauge(
    "embedd_waiting",
    "Texts waiting for a provider",
    total((it) => it.batcher.waiting),
  );
  metrics.gauge(
    "embedd_calls",
    "Calls of providers and Workers",
    total((it) => it.batcher.calls),
  );
  metrics.gauge(
    "embedd_failing",
    "Models that can't be used now",
    total((it) => (faultOf(it) ? 1 : 0)),
  );
}
