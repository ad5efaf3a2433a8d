/**
 * The built-in model: a table with one vector for each WordPiece token, distilled from a sentence
 * encoder (model/README.md tells how). A text's vector is the sum of its tokens' vectors brought to
 * unit length; the weight of a token is the length of its vector. As Model2Vec (Tulkens and van Dongen,
 * 2024). A Worker holds one; nothing here waits.
 */

import { type DotProducts, dotProducts } from "./dot_products.ts";
import { Tokenizer } from "./tokenizer.ts";

const MAGIC = 0x4553484c; // "LHSE", little-endian
const FORMAT = 1;
const HEADER_BYTES = 16;
const WORD_BYTES = 4;
const FILES = ["table.bin", "vocab.txt", "characters.txt"] as const;

export const MODEL_FOLDER = new URL("./model/", import.meta.url);
export const MODEL_NAME = "lakehouse-static-en-v1";
export const MODEL_DIMENSION = 256;

export interface StaticModelOptions {
  /** Tokens of a text beyond this are left out; at most 65,535. */
  max_tokens: number;
}

export interface SoftMatches {
  /** One score in [-1, 1] for each text; 0 where the query or the text has no known token. */
  scores: Float32Array;
  /**
   * How long the texts are. The longer they are, the more of them hold something near to each word, and
   * the less the scores tell: a fusion gives them the weight min(1, 48 / mean_tokens).
   */
  mean_tokens: number;
}

export class StaticModel {
  readonly dimension: number;
  readonly #tokenizer: Tokenizer;
  /** rows × dimension, int8; a row times its scale is the token's vector. */
  readonly #table: Int8Array;
  readonly #scales: Float32Array;
  readonly #ids: Uint16Array;
  readonly #sum: Float32Array;
  /** The lengths of the rows, each worked out when first asked for. */
  readonly #lengths: Float32Array;
  readonly #dots: DotProducts["dots"];
  /** Where the rows lie that a token is compared with, and then the products. */
  readonly #places: Uint32Array;
  readonly #products: Int32Array;

  private constructor(table: ArrayBuffer, tokenizer: Tokenizer, options: StaticModelOptions) {
    const header = new Uint32Array(table, 0, HEADER_BYTES / 4);
    const [magic, format, rows, dimension] = header as unknown as [number, number, number, number];
    const expected = HEADER_BYTES + rows * (WORD_BYTES + dimension);
    if (magic !== MAGIC || format !== FORMAT || dimension % 16 !== 0 || table.byteLength !== expected) {
      throw new Error(`table.bin is not a version ${FORMAT} embedding table of ${expected} bytes`);
    }
    this.dimension = dimension;
    this.#tokenizer = tokenizer;
    this.#scales = new Float32Array(table, HEADER_BYTES, rows);
    const { memory, dots } = dotProducts(dimension, rows * (dimension + 2 * WORD_BYTES));
    this.#table = new Int8Array(memory.buffer, 0, rows * dimension);
    this.#table.set(new Int8Array(table, HEADER_BYTES + WORD_BYTES * rows));
    this.#places = new Uint32Array(memory.buffer, this.#table.length, rows);
    this.#products = new Int32Array(memory.buffer, this.#table.length + this.#places.byteLength, rows);
    this.#dots = dots;
    this.#ids = new Uint16Array(options.max_tokens);
    this.#sum = new Float32Array(dimension);
    this.#lengths = new Float32Array(rows).fill(-1);
  }

  /**
   * Reads the model's files and compares each with `checksums.sha256`.
   * @throws Error naming the file that is damaged or missing
   */
  static async load(options: StaticModelOptions, folder: URL = MODEL_FOLDER): Promise<StaticModel> {
    const sums = await Bun.file(new URL("checksums.sha256", folder)).text();
    const expected = new Map(
      sums
        .trimEnd()
        .split("\n")
        .map((line) => line.split("  ").reverse() as [string, string]),
    );
    const [table, vocabulary, characters] = await Promise.all(
      FILES.map(async (name) => {
        const bytes = await Bun.file(new URL(name, folder)).arrayBuffer();
        const sum = new Bun.CryptoHasher("sha256").update(bytes).digest("hex");
        if (sum !== expected.get(name)) {
          throw new Error(
            `the built-in model's ${name} is damaged: its SHA-256 is ${sum}, not ${expected.get(name)}`,
          );
        }
        return bytes;
      }),
    );
    const decoder = new TextDecoder();
    const tokenizer = new Tokenizer(decoder.decode(vocabulary), decoder.decode(characters));
    return new StaticModel(table as ArrayBuffer, tokenizer, options);
  }

  /** How many tokens a text has, cut at `max_tokens`. */
  countTokens(text: string): number {
    return this.#tokenizer.encode(text, this.#ids);
  }

  /**
   * Writes the unit vector of a text to `out` at `offset` and returns the number of tokens read.
   * A text without a known token becomes the zero vector, which is like nothing else.
   */
  embedInto(text: string, out: Float32Array, offset: number): number {
    const { dimension } = this;
    const sum = this.#sum;
    const table = this.#table;
    const count = this.#tokenizer.encode(text, this.#ids);
    sum.fill(0);
    for (let i = 0; i < count; i++) {
      const id = this.#ids[i] as number;
      const scale = this.#scales[id] as number;
      const row = id * dimension;
      for (let d = 0; d < dimension; d++) sum[d] = (sum[d] as number) + scale * (table[row + d] as number);
    }
    let square = 0;
    for (let d = 0; d < dimension; d++) square += (sum[d] as number) * (sum[d] as number);
    const factor = square > 0 ? 1 / Math.sqrt(square) : 0;
    for (let d = 0; d < dimension; d++) out[offset + d] = (sum[d] as number) * factor;
    return count;
  }

  /** The vectors of many texts, one after the other: texts.length × dimension, f32. */
  embed(texts: readonly string[]): Float32Array {
    const out = new Float32Array(texts.length * this.dimension);
    texts.forEach((text, i) => {
      this.embedInto(text, out, i * this.dimension);
    });
    return out;
  }

  #length(id: number): number {
    const known = this.#lengths[id] as number;
    if (known >= 0) return known;
    let square = 0;
    for (let at = id * this.dimension, end = at + this.dimension; at < end; at++) {
      square += (this.#table[at] as number) ** 2;
    }
    this.#lengths[id] = Math.sqrt(square) * (this.#scales[id] as number);
    return this.#lengths[id] as number;
  }

  /** What the row of a token is times, to be of length one. */
  #factor(id: number): number {
    return (this.#scales[id] as number) / this.#length(id);
  }

  /** The cosines of one token with each of those whose rows' places are noted, these not brought to length one. */
  #compared(id: number, count: number): Float32Array {
    const products = this.#products;
    this.#dots(id * this.dimension, this.#places.byteOffset, count, products.byteOffset);
    const factor = this.#factor(id);
    const out = new Float32Array(count);
    for (let at = 0; at < count; at++) out[at] = factor * (products[at] as number);
    return out;
  }

  /**
   * How well each text answers the single words of a query: every token of the query is compared with
   * its nearest token of the text, and these cosines are averaged, weighted by the length of the query
   * token's vector. ColBERT's MaxSim (Khattab and Zaharia, 2020) over static vectors: it finds the one
   * telling word of a text that the mean over all its words hides. For ranking some hundred candidates.
   */
  softMatch(query: string, texts: readonly string[]): SoftMatches {
    const count = this.#tokenizer.encode(query, this.#ids);
    const asked = [...new Set(this.#ids.subarray(0, count))].filter((id) => this.#length(id) > 0);
    const total = asked.reduce((sum, id) => sum + this.#length(id), 0);
    // A cosine's weight is the length of the row, by which it would be divided.
    const weights = asked.map((id) => this.#scales[id] as number);
    this.#places.set(asked.map((id) => id * this.dimension));
    const known = new Map<number, Float32Array>();
    const nearest = new Float32Array(asked.length);
    let allTokens = 0;
    const scores = Float32Array.from(texts, (text) => {
      const tokens = this.#tokenizer.encode(text, this.#ids);
      allTokens += tokens;
      if (total === 0) return 0;
      nearest.fill(Number.NEGATIVE_INFINITY);
      for (let t = 0; t < tokens; t++) {
        const id = this.#ids[t] as number;
        if (this.#length(id) === 0) continue;
        let compared = known.get(id);
        if (compared === undefined) {
          compared = this.#compared(id, asked.length);
          known.set(id, compared);
        }
        for (let q = 0; q < asked.length; q++) {
          if ((compared[q] as number) > (nearest[q] as number)) nearest[q] = compared[q] as number;
        }
      }
      if (nearest[0] === Number.NEGATIVE_INFINITY) return 0;
      return nearest.reduce((sum, it, q) => sum + it * (weights[q] as number), 0) / total;
    });
    return { scores, mean_tokens: texts.length === 0 ? 0 : allTokens / texts.length };
  }
}
