/** How a refusal says what is known and what is wanted: of settings and of requests alike. */
import { closest, distance } from "fastest-levenshtein";

/** A table's name, to be put after "must be". */
export const TABLE_NAME =
  "[namespace.]table, each of letters, digits and _, not starting with a digit, at most 128 long";

/** The known word that was likely meant, or all that are known; to be put after the unknown one. */
export function suggest(word: string, among: readonly string[]): string {
  if (among.length === 0) return "";
  const near = among.find((known) => known.startsWith(word)) ?? closest(word, [...among]);
  return near.startsWith(word) || distance(word, near) <= Math.max(2, word.length / 3)
    ? ` (did you mean "${near}"?)`
    : ` (known: ${among.join(", ")})`;
}

/** What follows "a whole number" in a sentence. */
export function bounds({ minimum, maximum }: Record<string, unknown>): string {
  if (minimum !== undefined && maximum !== undefined) return ` from ${minimum} to ${maximum}`;
  if (minimum !== undefined) return ` of at least ${minimum}`;
  return maximum === undefined ? "" : ` of at most ${maximum}`;
}
