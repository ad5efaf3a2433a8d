/** A Worker that holds the built-in model: loads it, then answers one question after the other. */
import type { Hello, Reply } from "./link.ts";
import { StaticModel } from "./static_model.ts";

export type Question = { kind: "embed"; texts: string[] } | { kind: "match"; query: string; texts: string[] };

export interface EmbedResult {
  /** texts × dimension, one after the other. */
  vectors: Float32Array;
  tokens: Uint32Array;
}

export interface MatchResult {
  scores: Float32Array;
  mean_tokens: number;
}

declare const self: Worker;

let model: StaticModel;

async function load(max_tokens: number): Promise<void> {
  let hello: Hello;
  try {
    model = await StaticModel.load({ max_tokens });
    hello = { ready: true };
  } catch (error) {
    hello = { ready: false, reason: (error as Error).message };
  }
  self.postMessage(hello);
}

function answer(question: Question): EmbedResult | MatchResult {
  const { texts } = question;
  if (question.kind === "match") return model.softMatch(question.query, texts);
  const vectors = new Float32Array(texts.length * model.dimension);
  const tokens = Uint32Array.from(texts, (text, at) => model.embedInto(text, vectors, at * model.dimension));
  return { vectors, tokens };
}

let loading: Promise<void> | undefined;

self.onmessage = async ({
  data,
}: MessageEvent<{ settings: { max_tokens: number } } | (Question & { id: number })>) => {
  if ("settings" in data) {
    loading = load(data.settings.max_tokens);
    return;
  }
  await loading;
  const result = answer(data);
  const reply: Reply<EmbedResult | MatchResult> = { id: data.id, result };
  const moved = "vectors" in result ? [result.vectors.buffer, result.tokens.buffer] : [result.scores.buffer];
  self.postMessage(reply, moved as ArrayBuffer[]);
};
