/** Memory has a fixed set of keys: a filter on another one, or on a time as a text, would silently find nothing. */
import { LakeError } from "../../shared/errors.ts";
import { type FilterTree, type Question, readFilter } from "../../shared/filter.ts";
import type { Filter } from "../../shared/filter_schema.ts";
import { readTime } from "../../shared/time.ts";
import { suggest } from "../../shared/wording.ts";

const WORDS = ["uid", "state", "now", "kind", "tags", "subject", "source", "scope"];
const TIMES = ["valid_from", "valid_to", "expires", "known_from", "known_to"];
/** What metadata of traces has; any label may follow `scope.`. */
const KEYS = [...WORDS, ...TIMES, "version"];
const TOLD = [...KEYS.filter((it) => it !== "now" && it !== "scope"), "scope.<label>"];

/** @throws LakeError invalid, with the key as `filter_key` */
export function judgeFilter(filter: Filter): void {
  judgeTree(readFilter(filter));
}

function judgeTree({ must, should, must_not }: FilterTree): void {
  for (const clause of [...must, ...should, ...must_not])
    if ("must" in clause) judgeTree(clause);
    else judgeQuestion(clause);
}

function judgeQuestion({ key, test }: Question): void {
  if (!KEYS.includes(key) && !key.startsWith("scope."))
    throw refused(key, `Memory has no key "${key}" to filter by${suggest(key, TOLD)}.`);
  if (!TIMES.includes(key)) return;
  const asked =
    test.kind === "any" ? [...test.values] : test.kind === "range" ? Object.values(test.range) : [];
  const wrong = asked.find((it) => typeof it !== "number");
  if (wrong === undefined) return;
  const at_ms = typeof wrong === "string" ? readTime(wrong) : undefined;
  const instead = at_ms === undefined ? "" : `; write ${at_ms}`;
  throw refused(key, `"${key}" is a number of ms since 1970 (got ${JSON.stringify(wrong)}${instead}).`);
}

function refused(key: string, why: string): LakeError {
  return new LakeError("invalid", why, { filter_key: key });
}
