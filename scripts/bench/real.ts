/** The real embeddings and texts that scripts/distill/real_vectors.py makes, as a benchmark is given them: `--real FOLDER`. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { exactSearch, MetricKind } from "usearch";
import { option } from "./peers/install.ts";

export const DIMENSION = 384;

/** The folder given, or undefined, with a word about it, where none is: the data is no part of the project. */
export function realFolder(benchmark: string): string | undefined {
  const folder = option("real");
  if (folder === undefined || !existsSync(join(folder, "vectors.f32"))) {
    console.error(
      `${benchmark}: NOT MEASURED; name a folder made by scripts/distill/real_vectors.py with --real FOLDER`,
    );
    return undefined;
  }
  return folder;
}

/** `items` vectors from the beginning and `queries` from the end, none of which is both; rows of 384 numbers. */
export function realVectors(folder: string, items: number, queries: number) {
  const bytes = readFileSync(join(folder, "vectors.f32"));
  const all = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
  const there = all.length / DIMENSION;
  if (items + queries > there) throw new Error(`${folder} has ${there} vectors, not ${items + queries}`);
  // Copies: usearch does not heed where in its buffer an array begins.
  return {
    items: rowsOf(all.slice(0, items * DIMENSION)),
    queries: rowsOf(all.slice((there - queries) * DIMENSION)),
  };
}

/** The first `count` texts. */
export function realTexts(folder: string, count: number): string[] {
  const lines = readFileSync(join(folder, "texts.ndjson"), "utf8").trimEnd().split("\n", count);
  return lines.map((line) => (JSON.parse(line) as { text: string }).text);
}

export interface Rows {
  readonly flat: Float32Array;
  readonly count: number;
  row(at: number): Float32Array;
  /** base64 of little-endian f32. */
  base64(at: number): string;
}

export function rowsOf(flat: Float32Array): Rows {
  const row = (at: number) => flat.subarray(at * DIMENSION, (at + 1) * DIMENSION);
  const base64 = (at: number) => Buffer.from(row(at).slice().buffer).toString("base64");
  return { flat, count: flat.length / DIMENSION, row, base64 };
}

/** For each of the first `count` queries, the `k` nearest items by cosine, all compared. */
export function nearest(items: Rows, queries: Rows, count: number, k: number): Set<string>[] {
  const some = queries.flat.slice(0, count * DIMENSION);
  const { keys } = exactSearch(items.flat, some, DIMENSION, k, MetricKind.Cos, 1);
  return Array.from(
    { length: count },
    (_, at) => new Set(Array.from(keys.slice(at * k, (at + 1) * k), String)),
  );
}
