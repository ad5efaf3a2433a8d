/** Sentence encoders in ONNX files, run by transformers.js in a Worker; the package is the user's to install. */
import { existsSync, readFileSync, statSync } from "node:fs";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { Link } from "./link.ts";
import type { OnnxResult, OnnxSettings } from "./onnx_worker.ts";
import type { Batch, Provider } from "./provider.ts";
import { VectorReader } from "./upstream.ts";

const ENTRY = join(import.meta.dir, "onnx_worker.ts");
const HUB = join(homedir(), ".cache", "huggingface", "hub");

export interface OnnxOptions {
  /** What callers ask for; where its files lie is not theirs to know. */
  readonly name: string;
  /** A folder with config.json, tokenizer.json and onnx/model.onnx; or the name of a model in the hub's cache. */
  readonly path: string;
  readonly pooling: OnnxSettings["pooling"];
  readonly batch: number;
  readonly dimension: number | undefined;
}

export class Onnx implements Provider {
  readonly title: string;
  readonly batch_texts: number;
  readonly parallel = 1;
  readonly reader: VectorReader;
  readonly #link: Link;

  constructor({ name, path, pooling, batch, dimension }: OnnxOptions) {
    this.title = `The ONNX model ${name}`;
    this.batch_texts = batch;
    this.reader = new VectorReader(this.title, dimension);
    const settings: OnnxSettings = { folder: folderOf(path), pooling };
    this.#link = new Link({ title: this.title, entry: ENTRY, settings });
  }

  get fault(): string | undefined {
    return this.#link.fault;
  }

  async embed(texts: readonly string[], signal: AbortSignal): Promise<Batch> {
    const { vectors, tokens, truncated } = await this.#link.ask<OnnxResult>({ texts: [...texts] }, signal);
    const dimension = vectors.length / texts.length;
    return {
      vectors: texts.map((_, at) => this.reader.check(vectors.slice(at * dimension, (at + 1) * dimension))),
      tokens,
      truncated,
    };
  }

  close(): void {
    this.#link.close();
  }
}

/** Where the files of a model lie; what is not there is told when the Worker looks for it. */
function folderOf(path: string): string {
  const is_folder = existsSync(path) && statSync(path).isDirectory();
  const cached = join(HUB, `models--${path.replaceAll("/", "--")}`);
  const main = join(cached, "refs", "main");
  if (is_folder || !existsSync(main)) return resolve(path);
  return join(cached, "snapshots", readFileSync(main, "utf8").trim());
}
