/** Vectors as they come and as they are compared. */
import { LakeError } from "../../shared/errors.ts";
import type { Metric } from "./schema.ts";

const BYTES = Float32Array.BYTES_PER_ELEMENT;
const BASE64 = /^[A-Za-z0-9+/]*={0,2}$/;

/**
 * Reads a vector: an array of numbers, or base64 of little-endian f32.
 * @param metric null where a vector without a direction will do, too
 * @param where what it is called in a refusal
 * @throws LakeError invalid: dimension, a number that is none, one too large for f32, no direction
 */
export function readVector(
  value: unknown,
  dimension: number,
  metric: Metric | null,
  where: string,
): Float32Array {
  const vector = readNumbers(value, where);
  if (vector.length !== dimension)
    throw refused(
      where,
      `must have ${dimension} numbers, as the index's dimension says (got ${vector.length})`,
    );
  let squares = 0;
  for (let at = 0; at < vector.length; at++) {
    const number = vector[at] as number;
    if (!Number.isFinite(number))
      throw refused(where, `has no finite 32-bit number at position ${at} (NaN, infinite or too large)`);
    squares += number * number;
  }
  if (metric === "cosine" && !(Math.sqrt(squares) > Number.MIN_VALUE))
    throw refused(where, "is all zeros, which has no direction to compare by cosine");
  return vector;
}

function readNumbers(value: unknown, where: string): Float32Array {
  if (value instanceof Float32Array) return value;
  return Array.isArray(value) ? fromNumbers(value, where) : fromBase64(value, where);
}

function fromNumbers(values: readonly unknown[], where: string): Float32Array {
  const bad = values.findIndex((it) => typeof it !== "number");
  if (bad >= 0)
    throw refused(
      where,
      `must hold numbers only (position ${bad} is ${JSON.stringify(values[bad])?.slice(0, 40)})`,
    );
  return new Float32Array(values as number[]);
}

function fromBase64(value: unknown, where: string): Float32Array {
  if (typeof value !== "string")
    throw refused(where, "must be an array of numbers, or base64 of little-endian f32");
  const bytes = Buffer.from(value, "base64");
  if (!BASE64.test(value) || bytes.length % BYTES !== 0)
    throw refused(where, `must be base64 of whole 32-bit numbers (got ${bytes.length} bytes)`);
  const vector = new Float32Array(bytes.length / BYTES);
  bytes.copy(new Uint8Array(vector.buffer));
  return vector;
}

function refused(where: string, why: string): LakeError {
  return new LakeError("invalid", `${where} ${why}.`);
}

/** Of `a` and as many numbers of `b`, beginning at `from`. */
export function dotProduct(a: Float32Array, b: Float32Array, from = 0): number {
  // Four sums, so that no addition waits for the one before.
  let [sum, second, third, fourth] = [0, 0, 0, 0];
  const whole = a.length & ~3;
  let at = 0;
  for (let to = from; at < whole; at += 4, to += 4) {
    sum += (a[at] as number) * (b[to] as number);
    second += (a[at + 1] as number) * (b[to + 1] as number);
    third += (a[at + 2] as number) * (b[to + 2] as number);
    fourth += (a[at + 3] as number) * (b[to + 3] as number);
  }
  for (; at < a.length; at++) sum += (a[at] as number) * (b[from + at] as number);
  return sum + second + (third + fourth);
}

export const normOf = (vector: Float32Array): number => Math.sqrt(dotProduct(vector, vector));

/** Its direction: of length one; of all zeros as it is. */
export function unitOf(vector: Float32Array): Float32Array {
  const norm = normOf(vector);
  return norm === 0 ? vector : vector.map((it) => it / norm);
}

/** A vector that lies among others: as many numbers as the one it is compared with, and its norm. */
export interface Lying {
  readonly block: Float32Array;
  readonly from: number;
  readonly norm: number;
}

/** Of two vectors with their norms; 0 where one of them is all zeros. Within −1 and 1, which rounding oversteps. */
export function cosineOf(a: Float32Array, a_norm: number, { block, from, norm }: Lying): number {
  if (a_norm === 0 || norm === 0) return 0;
  return Math.max(-1, Math.min(1, dotProduct(a, block, from) / (a_norm * norm)));
}

/** cosine: 1 − cos; l2: the Euclidean distance; dot: the product, negated. */
export function distanceOf(metric: Metric, a: Float32Array, a_norm: number, b: Lying): number {
  if (metric === "cosine") return 1 - cosineOf(a, a_norm, b);
  if (metric === "dot") return -dotProduct(a, b.block, b.from);
  let squares = 0;
  for (let at = 0; at < a.length; at++)
    squares += ((a[at] as number) - (b.block[b.from + at] as number)) ** 2;
  return Math.sqrt(squares);
}

/** cosine: cos; l2: 1 ⁄ (1 + distance); dot: the product. */
export function scoreOf(metric: Metric, distance: number): number {
  if (metric === "cosine") return 1 - distance;
  return metric === "dot" ? 0 - distance : 1 / (1 + distance);
}
