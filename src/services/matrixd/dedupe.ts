/**
 * Near-duplicates across corpora, by word shingles (Broder 1997): two texts are near-duplicates where the Jaccard
 * similarity of their sets of four-word shingles reaches a threshold. Exact, not estimated: candidates are few.
 */
export const SIMILAR = 0.8;
const SHINGLE_WORDS = 4;
/** Of a longer text the beginning is compared. */
const MAX_WORDS = 2000;
/** That many words have fewer; the rest of a text is not even read. */
const MAX_CHARS = 32_000;

/** What is compared: a hit's text, and where it comes from. */
export interface Textual {
  readonly candidate: { readonly corpus: string; readonly text?: string | null };
}

export interface Kept<T> {
  readonly hit: T;
  readonly duplicates: { readonly hit: T; readonly similarity: number }[];
}

/**
 * Keeps the first of each group of near-duplicates, in the order given, until `wanted` are kept; what comes after is not
 * looked at. A hit is dropped only for one of another corpus; what one corpus holds twice is its own affair.
 */
export function dedupe<T extends Textual>(hits: readonly T[], wanted: number): Kept<T>[] {
  const kept: (Kept<T> & { readonly size: number })[] = [];
  /** By shingle: the kept hits that have it. */
  const holders = new Map<string, number[]>();
  for (const hit of hits) {
    if (kept.length === wanted) break;
    const shingles = shinglesOf(hit.candidate.text ?? null);
    const original = nearest(hit, shingles, kept, holders);
    if (original) {
      kept[original.at]?.duplicates.push({ hit, similarity: original.similarity });
      continue;
    }
    for (const shingle of shingles) {
      const at = holders.get(shingle);
      if (at) at.push(kept.length);
      else holders.set(shingle, [kept.length]);
    }
    kept.push({ hit, duplicates: [], size: shingles.size });
  }
  return kept.map(({ hit, duplicates }) => ({ hit, duplicates }));
}

function nearest<T extends Textual>(
  { candidate: { corpus } }: T,
  shingles: ReadonlySet<string>,
  kept: readonly (Kept<T> & { readonly size: number })[],
  holders: ReadonlyMap<string, number[]>,
): { at: number; similarity: number } | undefined {
  const shared = new Map<number, number>();
  for (const shingle of shingles)
    for (const at of holders.get(shingle) ?? [])
      if (kept[at]?.hit.candidate.corpus !== corpus) shared.set(at, (shared.get(at) ?? 0) + 1);
  let best: { at: number; similarity: number } | undefined;
  for (const [at, count] of shared) {
    const similarity = count / (shingles.size + (kept[at]?.size ?? 0) - count);
    if (similarity >= SIMILAR && similarity > (best?.similarity ?? 0)) best = { at, similarity };
  }
  return best;
}

/** Sets of consecutive words, whatever their case and what stands between; a short text is one shingle. */
export function shinglesOf(text: string | null): Set<string> {
  const words =
    (text ?? "")
      .slice(0, MAX_CHARS)
      .normalize("NFKC")
      .toLowerCase()
      .match(/[\p{L}\p{N}\p{M}]+/gu) ?? [];
  const read = words.slice(0, MAX_WORDS);
  if (read.length === 0) return new Set();
  if (read.length <= SHINGLE_WORDS) return new Set([read.join(" ")]);
  return new Set(
    Array.from({ length: read.length - SHINGLE_WORDS + 1 }, (_, at) =>
      read.slice(at, at + SHINGLE_WORDS).join(" "),
    ),
  );
}
