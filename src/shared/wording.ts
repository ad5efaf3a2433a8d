/** How a refusal says what is known and what is wanted: of settings and of requests alike. */
import { closest, distance } from "fastest-levenshtein";

/** A table's name, to be put after "must be". */
export const TABLE_NAME =
  "[namespace.]table, each of letters, digits and _, not starting with a digit, at most 128 long";

/** An index's name, likewise. */
export const INDEX_NAME =
  "an index's name: a-z, 0-9, _ and -, at most 128 characters, a letter or digit first";

/** A snapshot's id, likewise. */
export const SNAPSHOT_ID = 'a snapshot\'s id in quotes, as in "4271856490123456789"';

/** The known word that was likely meant, or all that are known; to be put after the unknown one. */
export function suggest(word: string, among: readonly string[]): string {
  return suggestNear(word, among) || (among.length === 0 ? "" : ` (known: ${among.join(", ")})`);
}

/** The known word that was likely meant, where one is near; to be put after the unknown one, however many there are. */
export function suggestNear(word: string, among: readonly string[]): string {
  const near = nearest(word, among);
  return near === undefined ? "" : ` (did you mean "${near}"?)`;
}

function nearest(word: string, among: readonly string[]): string | undefined {
  if (among.length === 0) return undefined;
  const near = among.find((known) => known.startsWith(word)) ?? closest(word, [...among]);
  return near.startsWith(word) || distance(word, near) <= Math.max(2, word.length / 3) ? near : undefined;
}

/** What follows "a whole number" in a sentence. */
export function bounds(schema: Record<string, unknown>): string {
  const { minimum, maximum, exclusiveMinimum, exclusiveMaximum } = schema;
  if (minimum !== undefined && maximum !== undefined) return ` from ${minimum} to ${maximum}`;
  const least = minimum === undefined ? [] : [`of at least ${minimum}`];
  if (exclusiveMinimum !== undefined) least.push(`above ${exclusiveMinimum}`);
  const most = exclusiveMaximum === undefined ? [] : [`below ${exclusiveMaximum}`];
  if (maximum !== undefined) most.push(`${least.length > 0 ? "" : "of "}at most ${maximum}`);
  const both = [...least, ...most].join(" and ");
  return both === "" ? "" : ` ${both}`;
}

/** A body may be megabytes long; of a value, a name or a path so much is said. */
export const SHOWN_CHARS = 100;

/** What came, to be put after "got": no more of it than tells it apart. */
export function shown(value: unknown): string {
  if (value === undefined) return "nothing";
  if (typeof value === "string") {
    const end = value.length > SHOWN_CHARS ? `… (${value.length} characters)` : "";
    return JSON.stringify(value.slice(0, SHOWN_CHARS)) + end;
  }
  if (Array.isArray(value)) return `a list of ${value.length}`;
  return typeof value === "object" && value !== null ? "an object" : String(value);
}
