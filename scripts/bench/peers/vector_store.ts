/** What vectors_peers measures: a store that was loaded, and one way of asking it. */
import type { Rows } from "../real.ts";

export interface Store {
  /** Vectors a second, from the first one sent until its index holds all. */
  readonly loaded_per_s: number;
  /** From the fastest to the one that finds most; all that a store may be tuned by once it is loaded. */
  readonly ways: readonly Way[];
  stop(): Promise<void>;
}

export interface Way {
  readonly name: string;
  /** Once before questions are asked this way. */
  prepare?(): Promise<void>;
  /** @param at which query @returns ids, nearest first */
  ask(at: number): Promise<string[]>;
}

/** POST of JSON: the client of every server measured here. @throws Error where it is not answered with 2xx */
export async function post(url: string, body: string, type = "application/json"): Promise<unknown> {
  const response = await fetch(url, { method: "POST", headers: { "content-type": type }, body });
  const text = await response.text();
  if (!response.ok) throw new Error(`${url}: ${response.status} ${text.slice(0, 300)}`);
  return text === "" ? undefined : JSON.parse(text);
}

/** [from, to) of batches of `size`. */
export const batches = (count: number, size: number): [number, number][] =>
  Array.from({ length: Math.ceil(count / size) }, (_, i) => [i * size, Math.min(count, (i + 1) * size)]);

export const range = (from: number, to: number): number[] =>
  Array.from({ length: to - from }, (_, at) => from + at);

export const asNumbers = (rows: Rows) => range(0, rows.count).map((at) => Array.from(rows.row(at)));
