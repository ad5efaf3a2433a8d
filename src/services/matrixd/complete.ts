/** Texts and metadata of the merged hits that are looked at further: the others', most of them, are never read. */
import type { Candidate } from "./corpus.ts";
import type { Merged } from "./merge.ts";

/** What is told of an item, beside how it was found. */
export type Content = Pick<Candidate, "text" | "metadata">;

/**
 * The same hits in the same order, each with its text and metadata; those without, and there no more, are left out.
 * @param contentsOf items of a corpus, by id
 * @param completed told of each candidate which one stands for it from now on
 */
export async function complete(
  hits: readonly Merged[],
  contentsOf: (corpus: string, ids: readonly string[]) => Promise<ReadonlyMap<string, Content>>,
  completed: (before: Candidate, after: Candidate) => void,
): Promise<Merged[]> {
  const missing = Map.groupBy(hits.map(({ candidate }) => candidate).filter(isBare), ({ corpus }) => corpus);
  const asked = [...missing].map(async ([corpus, candidates]) => {
    const ids = candidates.map(({ id }) => id);
    return [corpus, await contentsOf(corpus, ids)] as const;
  });
  const contents = new Map(await Promise.all(asked));
  return hits.flatMap((hit) => {
    const { candidate } = hit;
    if (!isBare(candidate)) return [hit];
    const content = contents.get(candidate.corpus)?.get(candidate.id);
    if (content === undefined) return [];
    const whole = { ...candidate, ...content };
    completed(candidate, whole);
    return [{ ...hit, candidate: whole }];
  });
}

const isBare = ({ text }: Candidate) => text === undefined;
