/** How versions lie in the search index: an item each, with the intervals in which it is valid and was known. */
import type { Filter, NewItem } from "../vectord/schema.ts";
import type { Body } from "./records.ts";
import type { SearchQuery } from "./schema.ts";
import { textOf } from "./text.ts";
import { type Kept, knownTo, presentOf, type Version, validity } from "./trace.ts";

type Clause = NonNullable<Filter["must"]>[number];

/** Kept apart by vectord, so that filters on them ask no item. */
export const INDEXED = [
  "now",
  "state",
  "kind",
  "tags",
  "subject",
  "scope.user_id",
  "scope.agent_id",
  "scope.run_id",
  "valid_from",
  "valid_to",
  "expires",
  "known_from",
  "known_to",
];
/** Of a text, what the index takes. */
const MAX_TEXT_CHARS = 65_536;

export const itemId = (uid: string, version: number): string => `${uid}@${version}`;

export function readItemId(id: string): { uid: string; version: number } {
  const at = id.lastIndexOf("@");
  return { uid: id.slice(0, at), version: Number(id.slice(at + 1)) };
}

export function itemOf(kept: Kept, version: Version): NewItem {
  const text = indexText(version.body).slice(0, MAX_TEXT_CHARS);
  return { id: itemId(kept.uid, version.version), text, metadata: metadataOf(kept, version) };
}

/** What filters are asked of. */
export function metadataOf(kept: Kept, version: Version): Record<string, unknown> {
  const { body, state } = version;
  const { from_ms, to_ms, expires_ms } = validity(version);
  const is_present = presentOf(kept) === version;
  return {
    uid: kept.uid,
    version: version.version,
    // Of the present version only, so that the common search asks for one value.
    ...(is_present ? { now: state } : {}),
    state,
    ...(body.kind === undefined ? {} : { kind: body.kind }),
    ...(body.tags && body.tags.length > 0 ? { tags: body.tags } : {}),
    ...(body.subject === undefined ? {} : { subject: body.subject }),
    ...(body.source === undefined ? {} : { source: body.source }),
    ...(Object.keys(kept.scope).length === 0 ? {} : { scope: kept.scope }),
    valid_from: from_ms,
    valid_to: to_ms,
    expires: expires_ms,
    known_from: version.at_ms,
    known_to: knownTo(kept, version),
  };
}

/** What a version says, beginning with what it is about: a question mostly names it, and a turn of a talk does not. */
export function indexText({ content, subject }: Body): string {
  const text = textOf(content);
  const is_named = subject === undefined || text.toLowerCase().startsWith(subject.toLowerCase());
  return is_named ? text : `${subject}: ${text}`;
}

/** The states that a search lets through. */
export function statesOf({ include_retired, include_superseded }: SearchQuery): string[] {
  return ["live", ...(include_retired ? ["retired"] : []), ...(include_superseded ? ["superseded"] : [])];
}

/**
 * The filter that a search asks of the index.
 * @param at_ms the moment asked for
 * @param is_bounded whether any trace has a validity or an expiry, and has to be asked for it
 */
export function filterOf(query: SearchQuery, at_ms: number, is_bounded: boolean): Filter {
  const states = statesOf(query);
  const one = (key: string): Clause => (states.length === 1 ? { key, match: "live" } : { key, any: states });
  const must: Clause[] =
    query.as_of === undefined
      ? [one("now")]
      : [
          one("state"),
          { key: "known_from", range: { lte: at_ms } },
          { key: "known_to", range: { gt: at_ms } },
        ];
  for (const tag of query.tags ?? []) must.push({ key: "tags", match: tag });
  if (query.kind !== undefined) must.push({ key: "kind", match: query.kind });
  if (query.subject !== undefined) must.push({ key: "subject", match: query.subject });
  for (const [label, value] of Object.entries(query.scope ?? {}))
    must.push({ key: `scope.${label}`, match: value });
  if (is_bounded)
    must.push(
      { key: "valid_from", range: { lte: at_ms } },
      { key: "valid_to", range: { gt: at_ms } },
      { key: "expires", range: { gt: at_ms } },
    );
  if (query.filter) must.push(query.filter);
  return { must };
}
