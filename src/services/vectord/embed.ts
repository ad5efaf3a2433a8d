/** Vectors of many texts from embedd, in calls that stay within what a JSON body may have. */
import { LakeError } from "../../shared/errors.ts";
import type { Embedd } from "../embedd/schema.ts";
import type { CreateIndex, SearchQuery } from "./schema.ts";

const TEXTS_AT_ONCE = 256;
/** Even where each character is escaped, such a body has less than the 4 MiB that one may have. */
export const CHARS_AT_ONCE = 500_000;
/** More of one text than any model of embedd reads. */
const MAX_TEXT_CHARS = 65_536;

export interface Made {
  /** One of each text, in their order. */
  readonly vectors: Float32Array[];
  /** Texts of which only the beginning was read. */
  readonly truncated: number;
}

/** @param model embedd's default where it is null @throws LakeError embedd's */
export async function embedAll(
  embedd: Embedd,
  texts: readonly string[],
  model: string | null,
): Promise<Made> {
  const vectors: Float32Array[] = [];
  let truncated = 0;
  for (const some of portions(texts)) {
    const cut = some.map((text) => text.slice(0, MAX_TEXT_CHARS));
    const made = await embedd.embed({ texts: cut, ...(model === null ? {} : { model }), truncate: true });
    vectors.push(...made.vectors);
    const short = new Set(made.truncated);
    truncated += some.filter((text, at) => short.has(at) || text.length > MAX_TEXT_CHARS).length;
  }
  return { vectors, truncated };
}

/** The vector of a query, made of its text where it brings none. @throws LakeError invalid, or embedd's */
export async function queryVector(
  embedd: Embedd,
  name: string,
  model: string | null,
  query: SearchQuery,
): Promise<readonly number[] | Float32Array | string> {
  const { vector, text } = query;
  if ((vector === undefined) === (text === undefined) && !(vector !== undefined && query.hybrid))
    throw new LakeError("invalid", "A search needs a vector, or a text to make one of, and not both.");
  if (vector !== undefined) return vector;
  if (model === null)
    throw new LakeError(
      "invalid",
      `Index "${name}" has no model to make a vector of the text: send the vector.`,
    );
  const { vectors } = await embedAll(embedd, [text as string], model);
  // A copy: a part of a larger buffer takes all of it along.
  return (vectors[0] as Float32Array).slice();
}

/** What an index is made with where not all is said: a model tells its dimension, and is asked for it. */
export async function shapeOf(
  embedd: Embedd,
  { dimension, model }: Omit<CreateIndex, "name">,
  max_dimension = Number.POSITIVE_INFINITY,
): Promise<{ dimension: number; model: string | null }> {
  if (dimension !== undefined && model === undefined) {
    refuseDimension(dimension, max_dimension);
    return { dimension, model: null };
  }
  const made = await embedd.embed({ texts: ["dimension"], ...(model === undefined ? {} : { model }) });
  if (dimension !== undefined && dimension !== made.dimension)
    throw new LakeError(
      "invalid",
      `dimension: model "${made.model}" makes vectors of ${made.dimension} numbers (got ${dimension}).`,
    );
  refuseDimension(made.dimension, max_dimension);
  return { dimension: made.dimension, model: made.model };
}

/** @throws LakeError invalid */
export function refuseDimension(dimension: number, max_dimension: number): void {
  if (dimension > max_dimension)
    throw new LakeError(
      "invalid",
      `dimension may be at most ${max_dimension} (vectord.max_dimension; got ${dimension}).`,
    );
}

function* portions(texts: readonly string[]): Iterable<string[]> {
  let some: string[] = [];
  let chars = 0;
  for (const text of texts) {
    const length = Math.min(text.length, MAX_TEXT_CHARS);
    if (some.length === TEXTS_AT_ONCE || (some.length > 0 && chars + length > CHARS_AT_ONCE)) {
      yield some;
      some = [];
      chars = 0;
    }
    some.push(text);
    chars += length;
  }
  if (some.length > 0) yield some;
}
