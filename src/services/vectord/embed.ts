/** Vectors of many texts from embedd, in calls that stay within what a JSON body may have. */
import type { Embedd } from "../embedd/schema.ts";

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
