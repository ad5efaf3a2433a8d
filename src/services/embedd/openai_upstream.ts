/** Models of any server that speaks OpenAI's /embeddings. */
import { type Batch, guessTokens, type Provider, shareOut } from "./provider.ts";
import { post, type Upstream, VectorReader } from "./upstream.ts";

export interface OpenAiOptions {
  /** Up to /v1. */
  readonly url: string;
  readonly model: string;
  readonly batch: number;
  readonly api_key: string | undefined;
  readonly dimension: number | undefined;
}

const PARALLEL = 4;

export class OpenAi implements Provider {
  readonly title: string;
  readonly batch_texts: number;
  readonly parallel = PARALLEL;
  readonly fault = undefined;
  readonly #model: string;
  readonly #upstream: Upstream;
  readonly reader: VectorReader;

  constructor({ url, model, batch, api_key, dimension }: OpenAiOptions) {
    const base_url = url.replace(/\/$/, "");
    this.title = `The OpenAI-compatible server at ${base_url}`;
    this.batch_texts = batch;
    this.#model = model;
    this.#upstream = { title: this.title, url: `${base_url}/embeddings`, api_key };
    this.reader = new VectorReader(this.title, dimension);
  }

  async embed(texts: readonly string[], signal: AbortSignal): Promise<Batch> {
    // Base64 is a quarter of the size; servers that don't know it answer with numbers, which is fine, too.
    const body = { model: this.#model, input: texts, encoding_format: "base64" };
    const { data, usage } = (await post(this.#upstream, body, signal)) as {
      data?: { index?: number; embedding?: unknown }[];
      usage?: { prompt_tokens?: unknown };
    };
    const ordered = Array.isArray(data)
      ? [...data].sort((a, b) => (a?.index ?? 0) - (b?.index ?? 0)).map((it) => it?.embedding)
      : undefined;
    const told = usage?.prompt_tokens;
    return {
      vectors: this.reader.read(ordered, texts.length),
      tokens: shareOut(typeof told === "number" ? told : guessTokens(texts), texts),
      truncated: [],
    };
  }

  close(): void {}
}
