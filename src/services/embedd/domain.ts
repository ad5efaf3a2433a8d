/** The rules of embedding: which model, how long a text may be, what is known already, and how long one waits. */
import { LakeError } from "../../shared/errors.ts";
import type { Batcher } from "./batcher.ts";
import type { Breaker } from "./breaker.ts";
import type { BuiltIn } from "./built_in.ts";
import { type Made, VectorCache } from "./cache.ts";
import type { Provider } from "./provider.ts";
import type {
  Embedd,
  Embedded,
  EmbedRequest,
  Matched,
  MatchRequest,
  ModelInfo,
  ModelsAnswer,
} from "./schema.ts";

/** One model that can be asked for. */
export interface ServedModel {
  readonly name: string;
  readonly kind: ModelInfo["provider"];
  readonly provider: Provider;
  readonly breaker: Breaker;
  readonly batcher: Batcher;
  dimension(): number | undefined;
}

export interface EmbedderOptions {
  readonly models: ReadonlyMap<string, ServedModel>;
  readonly built_in: BuiltIn;
  readonly built_in_name: string;
  readonly default_model: string;
  readonly cache: VectorCache;
  readonly timeout_ms: number;
  readonly max_texts: number;
  readonly max_text_bytes: number;
}

/** Faults told of one request; the rest is the same again. */
const FAULTS_TOLD = 20;

export class Embedder implements Embedd {
  readonly #options: EmbedderOptions;

  constructor(options: EmbedderOptions) {
    this.#options = options;
  }

  async embed(request: EmbedRequest): Promise<Embedded> {
    const started_ms = performance.now();
    const model = this.#modelOf(request.model);
    const { texts, cut } = this.#fit(request.texts, request.truncate ?? false);
    const made = await this.#within(request.signal, (signal) => this.#make(model, texts, signal));
    const truncated = made.flatMap(({ is_truncated }, at) => (is_truncated || cut.has(at) ? [at] : []));
    if (truncated.length > 0 && !request.truncate)
      throw tooLong(truncated, `is longer than ${model.name} reads`);
    const whole = made[0]?.vector.length ?? 0;
    const dimension = request.dimensions ?? whole;
    if (dimension > whole)
      throw new LakeError("invalid", `${model.name} has ${whole} dimensions (dimensions: ${dimension}).`, {
        errors: [{ path: "/dimensions", message: `must be at most ${whole}` }],
      });
    return {
      model: model.name,
      dimension,
      vectors: made.map(({ vector }) => (dimension === whole ? vector : shortened(vector, dimension))),
      truncated,
      tokens: made.reduce((sum, { tokens }) => sum + tokens, 0),
      elapsed_ms: elapsed(started_ms),
    };
  }

  async match({ query, texts: given, truncate, signal: gone }: MatchRequest): Promise<Matched> {
    const started_ms = performance.now();
    const { built_in, built_in_name, max_text_bytes } = this.#options;
    if (Buffer.byteLength(query) > max_text_bytes)
      throw new LakeError("invalid", `The query has more than ${max_text_bytes} bytes.`, {
        errors: [{ path: "/query", message: `must have at most ${max_text_bytes} bytes` }],
      });
    const { texts, cut } = this.#fit(given, truncate ?? false);
    const found = await this.#within(gone, (signal) => built_in.match(query, texts, signal));
    return {
      model: built_in_name,
      scores: [...found.scores],
      mean_tokens: found.mean_tokens,
      truncated: [...cut],
      elapsed_ms: elapsed(started_ms),
    };
  }

  async models(): Promise<ModelsAnswer> {
    const models = [...this.#options.models.values()].map((it): ModelInfo => {
      const reason = faultOf(it);
      return {
        name: it.name,
        provider: it.kind,
        dimension: it.dimension() ?? null,
        is_default: it.name === this.#options.default_model,
        status: reason === undefined ? "ok" : "down",
        ...(reason === undefined ? {} : { reason }),
      };
    });
    return { models, next_cursor: null };
  }

  #modelOf(name = this.#options.default_model): ServedModel {
    const { models } = this.#options;
    const found = models.get(name);
    if (found) return found;
    const known = [...models.keys()].join(", ");
    throw new LakeError(
      "not_found",
      `There is no embedding model ${JSON.stringify(name)}: there are ${known}.`,
    );
  }

  /** @throws LakeError invalid, naming each text that is too long, unless they may be cut */
  #fit(given: readonly string[], may_cut: boolean): { texts: readonly string[]; cut: ReadonlySet<number> } {
    const { max_texts, max_text_bytes } = this.#options;
    if (given.length === 0 || given.length > max_texts)
      throw new LakeError("invalid", `Send 1 to ${max_texts} texts at a time (got ${given.length}).`, {
        errors: [{ path: "/texts", message: `must be 1 to ${max_texts} texts` }],
      });
    const cut = new Set<number>();
    // A character takes three bytes at most, so most texts need not be counted.
    for (const [at, text] of given.entries())
      if (text.length * 3 > max_text_bytes && Buffer.byteLength(text) > max_text_bytes) cut.add(at);
    if (cut.size === 0) return { texts: given, cut };
    if (!may_cut) throw tooLong([...cut], `has more than ${max_text_bytes} bytes`);
    return { texts: given.map((text, at) => (cut.has(at) ? beginning(text, max_text_bytes) : text)), cut };
  }

  /** What the cache holds, and the rest from the provider, each text once. */
  async #make(model: ServedModel, texts: readonly string[], signal: AbortSignal): Promise<Made[]> {
    const { cache } = this.#options;
    const keys = texts.map((text) => VectorCache.keyOf(model.name, text));
    const found = new Map<string, Made>();
    const missing = new Map<string, string>();
    for (const [at, key] of keys.entries()) {
      if (found.has(key) || missing.has(key)) continue;
      const known = cache.get(key);
      if (known) found.set(key, known);
      else missing.set(key, texts[at] as string);
    }
    if (missing.size > 0) {
      model.breaker.check();
      const made = await model.batcher.embed([...missing.values()], signal);
      for (const [at, key] of [...missing.keys()].entries()) {
        found.set(key, made[at] as Made);
        cache.put(key, made[at] as Made);
      }
    }
    return keys.map((key) => found.get(key) as Made);
  }

  /** @throws LakeError deadline where it takes longer than a request may */
  async #within<T>(gone: AbortSignal | undefined, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const { timeout_ms } = this.#options;
    const abort = new AbortController();
    const late = new LakeError("deadline", `The texts were not embedded within ${timeout_ms} ms.`);
    const timer = setTimeout(() => abort.abort(late), timeout_ms);
    const leave = () => abort.abort(new LakeError("invalid", "Whoever asked has gone."));
    gone?.addEventListener("abort", leave, { once: true });
    if (gone?.aborted) leave();
    try {
      return await work(abort.signal);
    } finally {
      clearTimeout(timer);
      gone?.removeEventListener("abort", leave);
    }
  }
}

/** Why a model can't be used now, if so. */
export function faultOf({ provider, breaker }: ServedModel): string | undefined {
  return provider.fault ?? breaker.fault;
}

function tooLong(places: readonly number[], what: string): LakeError {
  const first = places[0] as number;
  const more = places.length > 1 ? ` and ${places.length - 1} more` : "";
  return new LakeError(
    "invalid",
    `Text ${first}${more} ${what}; shorten it, split it, or send truncate: true.`,
    { errors: places.slice(0, FAULTS_TOLD).map((at) => ({ path: `/texts/${at}`, message: what })) },
  );
}

/** The longest beginning that fits, without half a character at its end. */
function beginning(text: string, max_bytes: number): string {
  const bytes = Buffer.from(text);
  let end = max_bytes;
  while (end > 0 && ((bytes[end] as number) & 0xc0) === 0x80) end--;
  return bytes.toString("utf8", 0, end);
}

/** As OpenAI shortens its vectors: the first dimensions, brought to unit length. */
function shortened(vector: Float32Array, dimension: number): Float32Array {
  const first = vector.slice(0, dimension);
  const length = Math.sqrt(first.reduce((sum, x) => sum + x * x, 0));
  return length === 0 ? first : first.map((x) => x / length);
}

const elapsed = (started_ms: number) => Math.round((performance.now() - started_ms) * 1000) / 1000;
