/**
 * One search: which items are compared, by what, and in which order they are told. The planner compares all
 * that the filter lets through where that is cheaper than the graph, and else takes ever more from the graph
 * until enough of them pass.
 */

import type { FilterTree } from "../../shared/filter.ts";
import { Best } from "./best.ts";
import type { Bits } from "./bits.ts";
import type { Deadline } from "./deadline.ts";
import type { Graph } from "./graph.ts";
import { DEFAULT_WEIGHTS, type Metric } from "./schema.ts";
import type { Shelf } from "./shelf.ts";
import type { ItemReader } from "./store.ts";
import { cosineOf, distanceOf, normOf, scoreOf } from "./vectors.ts";
import { type Worded, type Words, wordsOf } from "./words.ts";

/** What a candidate of the graph costs, in vectors compared one by one, and what a search costs at least. */
const GRAPH_CANDIDATE = 4;
const GRAPH_SEARCH = 100;
/** More may be nearer that a filter keeps out than its share of all says. */
const SLACK = 1.2;
/** Candidates more for each that a filter keeps out: with so many it finds as well as a search without one. */
const EF_FOR_EACH_OUT = 5;
/** Candidates of the graph for each result, and more, where the query doesn't say. */
const EF_FOR_EACH = 3;
const EF_MORE = 16;
/** Of them, the nearest by the graph are ranked by the vectors as sent: i8 ranks coarsely. */
const RANKED_FOR_EACH = { f32: 1, f16: 1, i8: 2 };
const RANKED_MORE = 8;
/** A hybrid search fuses so many of each side, where the query says nothing; at least k. */
const DEPTH = 100;
/** Candidates of the graph beyond what a hybrid search fuses of each side. */
const DEPTH_MORE = 32;
/** Of what is fused, the best get soft matches: more measured no better. */
const SOFT_CANDIDATES = 100;
const MAX_WORDS = 64;
/** So few items that pass a filter are looked at one by one for words, too. */
const FEW = 5000;

export interface HybridQuestion {
  readonly text: string;
  readonly bm25?: number;
  readonly vector?: number;
  readonly depth?: number;
  /** Where soft matches are to be added, more candidates are told than the first k. */
  readonly soft: number;
}

export interface Question {
  readonly vector: Float32Array;
  readonly k: number;
  /** Candidates of the graph that are looked at. */
  readonly ef: number | undefined;
  readonly exact: boolean;
  readonly filter?: FilterTree;
  readonly hybrid?: HybridQuestion;
}

export interface Ranked {
  readonly slot: number;
  readonly score: number;
  readonly distance: number;
  readonly ranks?: { bm25?: number; vector?: number };
  readonly sides?: { bm25: number; cosine: number };
}

export interface Ranking {
  readonly hits: Ranked[];
  readonly exact: boolean;
}

export interface Sources {
  readonly metric: Metric;
  /** Where the question says none: at least so many. */
  readonly ef: number;
  readonly shelf: Shelf;
  readonly graph: Graph;
  readonly reader: ItemReader;
  /** Undefined while they are not all in memory. */
  readonly words: Words | undefined;
}

/** @throws LakeError deadline */
export function find(sources: Sources, question: Question, now_ms: number, deadline: Deadline): Ranking {
  const search = new Search(sources, question, now_ms, deadline);
  return question.hybrid ? search.hybrid(question.hybrid) : search.nearest(question.k);
}

class Search {
  readonly #norm: number;
  /** What the filter lets through, expired items among it. */
  readonly #passing: Bits | undefined;

  constructor(
    readonly sources: Sources,
    readonly question: Question,
    readonly now_ms: number,
    readonly deadline: Deadline,
  ) {
    this.#norm = normOf(question.vector);
    this.#passing = question.filter && sources.shelf.passing(question.filter, () => deadline.check());
  }

  #passes(slot: number): boolean {
    return this.#passing?.has(slot) ?? true;
  }

  /** @param ef where the question says none, and the settings no more */
  nearest(k: number, ef = k * EF_FOR_EACH + EF_MORE): Ranking {
    const { shelf, graph, metric } = this.sources;
    // A text of which the model knows no word: there is no direction, and so nothing is nearest.
    if (metric === "cosine" && this.#norm === 0) return { hits: [], exact: true };
    const all = this.#passing?.count() ?? shelf.size;
    const asked = Math.max(k, this.question.ef ?? Math.max(this.sources.ef, ef));
    // Without a filter, too, some may be items no more.
    const enough = this.#passing ? k * EF_FOR_EACH : k;
    const kept_out = all === shelf.size ? 0 : k * ((SLACK * shelf.size) / all - 1);
    const first = Math.ceil(asked + kept_out * EF_FOR_EACH_OUT);
    if (all > 0)
      for (let wanted = first; !this.#isExactCheaper(all, wanted); wanted *= 2) {
        const found = this.#fromGraph(wanted);
        if (found.length < Math.min(enough, all) && wanted < graph.size) continue;
        const ranked = found.slice(0, k * RANKED_FOR_EACH[graph.quantization] + RANKED_MORE);
        return { hits: this.#order(this.#withWaiting(ranked), k), exact: false };
      }
    return { hits: this.#order(this.#passing?.list() ?? shelf.all(), k), exact: true };
  }

  #isExactCheaper(all: number, wanted: number): boolean {
    const { graph } = this.sources;
    const by_graph = GRAPH_SEARCH + wanted * GRAPH_CANDIDATE + graph.waiting.length;
    return this.question.exact || graph.size === 0 || all <= by_graph;
  }

  #fromGraph(wanted: number): number[] {
    const { shelf, graph } = this.sources;
    const slots: number[] = [];
    for (const key of graph.nearest(this.question.vector, wanted)) {
      const slot = shelf.slot(key, this.now_ms);
      if (slot !== undefined && this.#passes(slot)) slots.push(slot);
    }
    return slots;
  }

  *#withWaiting(found: readonly number[]): Iterable<number> {
    yield* found;
    const { shelf, graph } = this.sources;
    for (const key of graph.waiting) {
      const slot = shelf.slot(key, this.now_ms);
      if (slot !== undefined && this.#passes(slot)) yield slot;
    }
  }

  /** The k nearest by the vectors as sent; among equals the older item first. */
  #order(slots: Iterable<number>, k: number): Ranked[] {
    const { metric, shelf } = this.sources;
    const best = new Best(k);
    for (const slot of slots) {
      this.deadline.check();
      if (!shelf.isLive(slot, this.now_ms)) continue;
      best.add(slot, this.#distance(slot), shelf.key(slot));
    }
    return best
      .list()
      .map(({ item, cost }) => ({ slot: item, distance: cost, score: scoreOf(metric, cost) }));
  }

  #distance(slot: number): number {
    const { metric, shelf } = this.sources;
    return distanceOf(metric, this.question.vector, this.#norm, shelf.lying(slot));
  }

  /** The weighted sum of BM25 over its highest, and of the cosine, for what either side ranks high. */
  hybrid({
    text,
    bm25 = DEFAULT_WEIGHTS.bm25,
    vector = DEFAULT_WEIGHTS.vector,
    soft,
    depth = DEPTH,
  }: HybridQuestion): Ranking {
    const { metric, shelf } = this.sources;
    const side = Math.max(depth, this.question.k);
    const near = this.nearest(side, side + DEPTH_MORE);
    const worded = this.#byWords(text, side);
    const highest = worded[0]?.bm25 ?? 1;
    const fused = new Map<number, { bm25: number; ranks: { bm25?: number; vector?: number } }>();
    for (const [at, { slot }] of near.hits.entries()) fused.set(slot, { bm25: 0, ranks: { vector: at + 1 } });
    for (const [at, { slot, bm25 }] of worded.entries())
      fused.set(slot, { bm25, ranks: { ...fused.get(slot)?.ranks, bm25: at + 1 } });
    const hits = [...fused].map(([slot, it]) => {
      const cosine = cosineOf(this.question.vector, this.#norm, shelf.lying(slot));
      const score = (bm25 * it.bm25) / highest + vector * cosine;
      const sides = { bm25: it.bm25, cosine };
      const distance = metric === "cosine" ? 1 - cosine : this.#distance(slot);
      return { slot, score, distance, ranks: it.ranks, sides };
    });
    hits.sort((a, b) => b.score - a.score || shelf.key(a.slot) - shelf.key(b.slot));
    const { k } = this.question;
    const told = soft > 0 ? Math.max(SOFT_CANDIDATES, k) : k;
    return { hits: hits.slice(0, told), exact: near.exact };
  }

  /** From memory; by FTS5, taking ever more until enough pass the filter, while not all words are there. */
  #byWords(text: string, count: number): { slot: number; bm25: number }[] {
    const { shelf, reader, words } = this.sources;
    const asked = [...new Set(wordsOf(text))].slice(0, MAX_WORDS);
    const slotOf = (key: number) => {
      const slot = shelf.slot(key, this.now_ms);
      return slot !== undefined && this.#passes(slot) ? slot : undefined;
    };
    const told = (rows: readonly Worded[]) =>
      rows.flatMap(({ key, bm25 }) => {
        const slot = slotOf(key);
        return slot === undefined ? [] : [{ slot, bm25 }];
      });
    const among =
      this.#passing && this.#passing.count() < FEW ? this.#passing.list().map(shelf.key) : undefined;
    if (words) return told(words.rank(asked, count, (key) => slotOf(key) !== undefined, among));
    // An expression of FTS5 for any of the words.
    const match = asked.map((word) => `"${word}"`).join(" OR ");
    for (let limit = count; match !== ""; limit *= 4) {
      const rows = reader.rank(match, limit);
      const found = told(rows);
      if (found.length >= count || rows.length < limit) return found.slice(0, count);
    }
    return [];
  }
}
