/** How rare words are: in English at large, by a list (scripts/matrix/common_words.ts), and among the texts compared. */
import common from "./english/common_words.txt" with { type: "text" };

/** Of a word that is not among the common ones. */
const RARE = 7;
/** Texts that hold none of the words, so that few chunks don't make every shared word look common. */
const UNSEEN_TEXTS = 10;
const rank_of = new Map(
  common
    .trimEnd()
    .split("\n")
    .map((stem, rank) => [stem, rank]),
);

/** By Zipf's law the logarithm of a word's rank tells what it says; this is near 0 for the most common. */
export function rarityInEnglish(stem: string): number {
  const rank = rank_of.get(stem);
  return rank === undefined ? RARE : Math.max(0.5, 1.2 * Math.log((rank + 30) / 30));
}

/** BM25's inverse document frequency (Robertson and Spärck Jones) over the texts given. */
export class Frequencies {
  readonly #holding = new Map<string, number>();
  #texts = 0;

  /** Counts one more text. */
  add(terms: Iterable<string>): void {
    this.#texts++;
    for (const term of terms) this.#holding.set(term, (this.#holding.get(term) ?? 0) + 1);
  }

  rarity(term: string): number {
    const holding = this.#holding.get(term) ?? 0;
    return Math.log(1 + (this.#texts + UNSEEN_TEXTS - holding + 0.5) / (holding + 0.5));
  }
}
