/** A deletion by a filter must say which items it means. */
import { LakeError } from "../../shared/errors.ts";
import { type FilterTree, readFilter } from "../../shared/filter.ts";
import type { Filter } from "./schema.ts";

/**
 * A filter that is empty, or holds an empty one, lets every item through where it was meant to name some.
 * @throws LakeError invalid
 */
export function refuseAll(name: string, filter: Filter): void {
  if (saysNothing(readFilter(filter)))
    throw new LakeError(
      "invalid",
      `The filter of a deletion needs a condition, and so does each filter in it: one without lets every item of "${name}" through. To remove all items, drop the index (DELETE /v1/vectors/index/${name}); to remove some, say a condition, as in {"must": [{"key": "city", "match": "Oslo"}]}.`,
    );
}

function saysNothing({ must, should, must_not }: FilterTree): boolean {
  const clauses = [...must, ...should, ...must_not];
  return clauses.length === 0 || clauses.some((it) => "must" in it && saysNothing(it));
}
