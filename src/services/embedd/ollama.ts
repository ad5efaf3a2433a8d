/** Models of an Ollama server, by its /api/embed. */
import { LakeError } from "../../shared/errors.ts";
import { type Batch, guessTokens, type Provider, shareOut } from "./provider.ts";
import { post, type Upstream, VectorReader } from "./upstream.ts";

export interface OllamaOptions {
  readonly url: string;
  readonly model: string;
  readonly batch: number;
  /** How long Ollama keeps the model loaded; its own default where absent. */
  readonly keep_alive: string | undefined;
  readonly dimension: number | undefined;
}

/** Ollama runs one model's requests one after the other unless it is told otherwise; the second is on its way. */
const PARALLEL = 2;
const TOO_LONG = /context length|too long|exceeds/i;

export class Ollama implements Provider {
  readonly title: string;
  readonly batch_texts: number;
  readonly parallel = PARALLEL;
  readonly fault = undefined;
  readonly #options: OllamaOptions;
  readonly #upstream: Upstream;
  readonly reader: VectorReader;

  constructor(options: OllamaOptions) {
    const base_url = options.url.replace(/\/$/, "");
    this.title = `Ollama at ${base_url}`;
    this.batch_texts = options.batch;
    this.#options = options;
    this.#upstream = { title: this.title, url: `${base_url}/api/embed` };
    this.reader = new VectorReader(this.title, options.dimension);
  }

  /** Ollama cuts long texts without saying so; hence it may not, until it is known which are too long. */
  async embed(texts: readonly string[], signal: AbortSignal): Promise<Batch> {
    try {
      return await this.#ask(texts, false, signal);
    } catch (error) {
      if (!(error instanceof LakeError && error.code === "invalid" && TOO_LONG.test(error.message)))
        throw error;
      if (texts.length > 1) return this.#oneByOne(texts, signal);
      return { ...(await this.#ask(texts, true, signal)), truncated: [0] };
    }
  }

  async #oneByOne(texts: readonly string[], signal: AbortSignal): Promise<Batch> {
    const batches: Batch[] = [];
    for (const text of texts) batches.push(await this.embed([text], signal));
    return {
      vectors: batches.flatMap(({ vectors }) => vectors),
      tokens: batches.flatMap(({ tokens }) => tokens),
      truncated: batches.flatMap(({ truncated }, at) => truncated.map(() => at)),
    };
  }

  async #ask(texts: readonly string[], truncate: boolean, signal: AbortSignal): Promise<Batch> {
    const { model, keep_alive } = this.#options;
    const body = { model, input: texts, truncate, ...(keep_alive === undefined ? {} : { keep_alive }) };
    const { embeddings, prompt_eval_count } = (await post(this.#upstream, body, signal)) as {
      embeddings?: unknown[];
      prompt_eval_count?: unknown;
    };
    const total = typeof prompt_eval_count === "number" ? prompt_eval_count : guessTokens(texts);
    return {
      vectors: this.reader.read(embeddings, texts.length),
      tokens: shareOut(total, texts),
      truncated: [],
    };
  }

  close(): void {}
}
