/**
 * One search: relevance by the index's hybrid search over the versions that a moment lets through, then the factors
 * of each trace. What the index answers is checked against the truth in memory.
 */
import { LakeError, messageOf } from "../../shared/errors.ts";
import { holds, readFilter } from "../../shared/filter.ts";
import { readTime } from "../../shared/time.ts";
import type { Hit, Found as IndexFound, Vectord } from "../vectord/schema.ts";
import { judgeFilter } from "./filter_keys.ts";
import { INDEX_NAME, type IndexLink } from "./index_link.ts";
import { filterOf, indexText, metadataOf, readItemId, statesOf } from "./item.ts";
import { type Factors, factorsOf, scoreOf } from "./rank.ts";
import type { Body } from "./records.ts";
import { type Relevance, relevances } from "./relevance.ts";
import type { Explain, Found, FoundTrace, SearchQuery } from "./schema.ts";
import { DEFAULT_K, MAX_QUERY_CHARS } from "./search_schema.ts";
import { isValidAt, type Kept, presentOf, told, type Version, versionAt } from "./trace.ts";
import { scopeId, type Traces } from "./traces.ts";
import { tallyAt } from "./uses.ts";

/**
 * Candidates that neighbours and factors may reorder: so many, and so many for each result. With 50 the recall on
 * conversations is 0.011 lower.
 */
const POOL = 100;
const POOL_FOR_EACH = 3;
/** Near duplicates that are told. */
const SIMILAR = 10;

export interface FinderOptions {
  readonly vectord: Vectord;
  readonly link: IndexLink;
  readonly traces: Traces;
  /** How long a search waits for an index that is being made. */
  readonly wait_ms: number;
  now_ms(): number;
}

/** A hit on its way to its place. */
interface Judged {
  readonly kept: Kept;
  readonly version: Version;
  readonly score: number;
  readonly hit: Hit;
  readonly hybrid_rank: number;
  readonly parts: Relevance;
  readonly factors: Factors;
}

export class Finder {
  readonly #options: FinderOptions;

  constructor(options: FinderOptions) {
    this.#options = options;
  }

  /** @throws LakeError invalid, unavailable */
  async search(query: SearchQuery): Promise<Found> {
    const started_ms = performance.now();
    const { link, now_ms } = this.#options;
    const at_ms = momentOf(query, now_ms());
    const results =
      query.query === undefined
        ? this.#newest(query, at_ms)
        : await this.#ranked({ ...query, query: query.query }, at_ms);
    const unindexed = query.query === undefined ? 0 : link.waiting;
    return {
      results,
      ...(unindexed > 0 ? { unindexed } : {}),
      elapsed_ms: Math.round((performance.now() - started_ms) * 1000) / 1000,
    };
  }

  #newest(query: SearchQuery, at_ms: number): FoundTrace[] {
    const passes = passesOf(query, at_ms);
    const results: FoundTrace[] = [];
    for (const kept of this.#options.traces.newest()) {
      const version = versionAt(kept, query.as_of === undefined ? Number.POSITIVE_INFINITY : at_ms);
      if (!version || !passes(kept, version)) continue;
      results.push({ uid: kept.uid, score: 0, trace: told(kept, version, usesTo(query, at_ms)) });
      if (results.length === (query.k ?? DEFAULT_K)) break;
    }
    return results;
  }

  async #ranked(query: SearchQuery & { query: string }, at_ms: number): Promise<FoundTrace[]> {
    const { traces } = this.#options;
    const { k = DEFAULT_K } = query;
    const passes = passesOf(query, at_ms);
    const hits = await this.#ask(query, at_ms, Math.max(POOL, k * POOL_FOR_EACH));
    const candidates = hits.flatMap((hit) => {
      const { uid, version: number } = readItemId(hit.id);
      const kept = traces.get(uid);
      const version = kept?.versions.find((it) => it.version === number);
      return kept && version && passes(kept, version) ? [{ kept, version, score: hit.score, hit }] : [];
    });
    const judged = relevances(query.query, candidates).map((parts, at): Judged => {
      const { kept, version, hit } = candidates[at] as (typeof candidates)[number];
      const factors = factorsOf(at_ms - version.at_ms, tallyAt(kept.uses, usesTo(query, at_ms)));
      const score = scoreOf(parts.relevance, factors);
      return { kept, version, score, hit, hybrid_rank: at + 1, parts, factors };
    });
    const by_relevance = judged.toSorted((a, b) => b.parts.relevance - a.parts.relevance);
    return judged
      .sort((a, b) => b.score - a.score)
      .slice(0, k)
      .map((it) => ({
        uid: it.kept.uid,
        score: it.score,
        trace: told(it.kept, it.version, usesTo(query, at_ms)),
        ...(query.explain ? { explain: explained(it, by_relevance.indexOf(it) + 1) } : {}),
      }));
  }

  #ask(query: SearchQuery & { query: string }, at_ms: number, k: number): Promise<Hit[]> {
    const { vectord, traces } = this.#options;
    return this.#asked(() =>
      vectord.search(INDEX_NAME, {
        text: query.query,
        k,
        filter: filterOf(query, at_ms, traces.bounded > 0),
        hybrid: {},
        include: [],
        ...(query.exact ? { exact: true } : {}),
      }),
    );
  }

  /** Live traces of exactly this scope that are near in meaning, nearest first. @throws LakeError unavailable */
  async similar(body: Body, above: number): Promise<{ uid: string; score: number }[]> {
    const { scope = {} } = body;
    const { vectord, traces, now_ms } = this.#options;
    const hits = await this.#asked(() =>
      vectord.search(INDEX_NAME, {
        text: indexText(body).slice(0, MAX_QUERY_CHARS),
        k: SIMILAR,
        filter: filterOf({ scope }, now_ms(), traces.bounded > 0),
        include: [],
      }),
    );
    const passes = passesOf({ scope }, now_ms());
    return hits.flatMap(({ id, score }) => {
      const { uid } = readItemId(id);
      const kept = traces.get(uid);
      const is_same = kept && passes(kept, presentOf(kept)) && scopeId(kept.scope) === scopeId(scope);
      return is_same && score >= above ? [{ uid, score }] : [];
    });
  }

  /** Asks the index once it is there. @throws LakeError unavailable where it can't be asked, or vectord's */
  async #asked(ask: () => Promise<IndexFound>): Promise<Hit[]> {
    const { link, wait_ms, traces } = this.#options;
    if (traces.size === 0) return [];
    if (!(await link.ready(wait_ms)))
      throw unavailable(link.failure ?? `it is being made (${link.waiting} versions to go)`);
    try {
      return (await ask()).results;
    } catch (error) {
      const code = error instanceof LakeError ? error.code : "internal";
      if (code === "not_found") link.lost(messageOf(error));
      if (["not_found", "unreachable", "unavailable", "deadline"].includes(code))
        throw unavailable(messageOf(error));
      throw error;
    }
  }
}

/** The moment that a search asks for, once it is one that can be asked. @throws LakeError invalid */
export function momentOf({ as_of, filter }: SearchQuery, now_ms: number): number {
  const at_ms = as_of === undefined ? now_ms : readTime(as_of);
  if (at_ms === undefined) throw new LakeError("invalid", `as_of "${as_of}" names no time; use RFC 3339.`);
  if (filter) judgeFilter(filter);
  return at_ms;
}

/** Uses count until the moment that is asked for. */
const usesTo = ({ as_of }: SearchQuery, at_ms: number) =>
  as_of === undefined ? Number.POSITIVE_INFINITY : at_ms;

function explained({ hit, hybrid_rank, parts, factors }: Judged, rank: number): Explain {
  const { neighbours, asks, subject, relevance } = parts;
  const { ranks, sides } = hit;
  const side = (score: number, at?: number) => ({ ...(at === undefined ? {} : { rank: at }), score });
  return {
    relevance: { rank, score: relevance },
    hybrid: { rank: hybrid_rank, score: hit.score },
    bm25: side(sides?.bm25 ?? 0, ranks?.bm25),
    vector: side(sides?.cosine ?? hit.score, ranks?.vector),
    soft: side(sides?.soft ?? 0),
    neighbours,
    asks,
    subject,
    ...factors,
  };
}

/**
 * Whether a version is what a search asks for: the truth, whatever the index says.
 * @throws LakeError invalid (the filter)
 */
export function passesOf(query: SearchQuery, at_ms: number): (kept: Kept, version: Version) => boolean {
  const states = statesOf(query);
  const scope = Object.entries(query.scope ?? {});
  const { tags = [], kind, subject, as_of, filter } = query;
  const tree = filter && readFilter(filter);
  return (kept, version) => {
    const { body, state } = version;
    const wanted = as_of === undefined ? presentOf(kept) : versionAt(kept, at_ms);
    return (
      wanted === version &&
      states.includes(state) &&
      isValidAt(version, at_ms) &&
      (kind === undefined || body.kind === kind) &&
      (subject === undefined || body.subject === subject) &&
      tags.every((it) => body.tags?.includes(it)) &&
      scope.every(([label, value]) => kept.scope[label] === value) &&
      (tree === undefined || holds(tree, metadataOf(kept, version)))
    );
  };
}

function unavailable(why: string): LakeError {
  return new LakeError("unavailable", `The search index can't be asked: ${why}`, { retry_after_s: 1 });
}
