/** A Worker that holds one sentence encoder; transformers.js is loaded here and nowhere else. */
import { existsSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { groupsOf } from "./groups.ts";
import type { Hello, Reply } from "./link.ts";

export interface OnnxSettings {
  folder: string;
  pooling: "mean" | "cls";
}

export interface OnnxResult {
  /** texts × dimension, one after the other. */
  vectors: Float32Array;
  tokens: number[];
  truncated: number[];
}

/** What is used of @huggingface/transformers, which is no dependency: it comes with 300 MB of binaries. */
interface Transformers {
  env: { allowRemoteModels: boolean; localModelPath: string };
  pipeline(task: "feature-extraction", model: string, options: { dtype: string }): Promise<Extractor>;
}

interface Extractor {
  (
    texts: string[],
    options: { pooling: string; normalize: boolean },
  ): Promise<{ data: Float32Array; dims: number[] }>;
  tokenizer: {
    (text: string, options: { truncation: boolean }): { input_ids: { dims: number[] } };
    model_max_length: number;
  };
}

/** A name in a variable, so that nobody expects it to be installed. */
const PACKAGE = "@huggingface/transformers";
/** Without scripts: the runtime's would download more than the package holds, and nothing of it is needed. */
const TO_INSTALL = "npm install --no-save --ignore-scripts @huggingface/transformers@4.3.1";
/** Of texts read together, padding included: more is no faster, and takes more memory. */
const TOKENS_AT_ONCE = 4096;
/** The files that are looked for, the most exact first. */
const PRECISIONS = [
  ["model.onnx", "fp32"],
  ["model_fp16.onnx", "fp16"],
  ["model_quantized.onnx", "q8"],
] as const;

/** A reason that a caller may read; any other may name places of this machine. */
class Reason extends Error {}

declare const self: Worker;

async function load({ folder }: OnnxSettings): Promise<Extractor> {
  const found = PRECISIONS.find(([file]) => existsSync(join(folder, "onnx", file)));
  if (!found || !existsSync(join(folder, "tokenizer.json")))
    throw new Reason(
      "its path must be a folder with config.json, tokenizer.json and onnx/model.onnx, or the name of a model in the hub's cache",
    );
  let transformers: Transformers;
  try {
    transformers = (await import(PACKAGE)) as Transformers;
  } catch (error) {
    if (!/cannot find|could not resolve/i.test((error as Error).message)) throw error;
    throw new Reason(`the package ${PACKAGE} is not installed; run: ${TO_INSTALL}`);
  }
  transformers.env.allowRemoteModels = false;
  transformers.env.localModelPath = dirname(folder);
  return transformers.pipeline("feature-extraction", basename(folder), { dtype: found[1] });
}

async function embed(extractor: Extractor, texts: string[], { pooling }: OnnxSettings): Promise<OnnxResult> {
  const { tokenizer } = extractor;
  const limit = tokenizer.model_max_length;
  const lengths = texts.map((text) => tokenizer(text, { truncation: false }).input_ids.dims.at(-1) ?? 0);
  const tokens = lengths.map((length) => Math.min(length, limit));
  let vectors = new Float32Array();
  for (const group of groupsOf(tokens, TOKENS_AT_ONCE)) {
    const some = group.map((at) => texts[at] as string);
    const { data } = await extractor(some, { pooling, normalize: true });
    const dimension = data.length / group.length;
    if (vectors.length === 0) vectors = new Float32Array(texts.length * dimension);
    for (const [row, at] of group.entries())
      vectors.set(data.subarray(row * dimension, (row + 1) * dimension), at * dimension);
  }
  return {
    vectors,
    tokens,
    truncated: lengths.flatMap((length, at) => (length > limit ? [at] : [])),
  };
}

let settings: OnnxSettings;
let loading: Promise<Extractor | undefined> | undefined;

function start(given: OnnxSettings): void {
  settings = given;
  const say = (hello: Hello) => self.postMessage(hello);
  loading = load(given).then(
    (extractor) => {
      say({ ready: true });
      return extractor;
    },
    (error: Error) => {
      const reason = error instanceof Reason ? error.message : "it could not be loaded";
      say({ ready: false, reason, cause: error.message });
      return undefined;
    },
  );
}

self.onmessage = async ({
  data,
}: MessageEvent<{ settings: OnnxSettings } | { id: number; texts: string[] }>) => {
  if ("settings" in data) return start(data.settings);
  const extractor = await loading;
  if (!extractor) return; // told already, and whoever asked has been answered
  let reply: Reply<OnnxResult>;
  try {
    reply = { id: data.id, result: await embed(extractor, data.texts, settings) };
  } catch (error) {
    reply = { id: data.id, cause: (error as Error).message };
  }
  self.postMessage(reply);
};
