/**
 * What past successes say of a new query: playbooks whose query is near it speak for their answers. Compared exactly,
 * with vectors held in memory and made when they are first needed, so that recording waits for no model.
 */

import { pauser } from "../../shared/pause.ts";
import type { Embedd } from "../embedd/schema.ts";
import type { Playbook } from "./judgement_schema.ts";
import type { Known } from "./playbook_store.ts";

/** The cosine from which a playbook's query is near. */
export const NEAR = 0.5;
/** Answers that playbooks speak for in one search. */
const MAX_ANSWERS = 10;
/** Texts of one call to embedd. */
const TEXTS_AT_ONCE = 250;

/** An answer that playbooks speak for. */
export interface Advice {
  readonly corpus: string;
  readonly id: string;
  /** From 0 to 1: how near the queries are, and how well it went. */
  readonly weight: number;
  /** The playbooks that speak for it, the nearest first. */
  readonly playbooks: readonly string[];
}

/**
 * How much a playbook counts, from 0 to 1: what the mean of its Beta(1, 1) posterior is above one half, doubled. One
 * success makes ⅓, ten make 0.83; as many failures as successes silence it.
 */
export function strengthOf({ successes, failures, retired_at }: Known): number {
  if (retired_at !== null) return 0;
  return Math.max(0, (successes - failures) / (successes + failures + 2));
}

export function toPlaybook({ place: _place, ...known }: Known): Playbook {
  return { ...known, strength: Math.round(strengthOf(known as Known) * 1e6) / 1e6 };
}

export class Playbooks {
  readonly #known: ReadonlyMap<string, Known>;
  readonly #embedd: Embedd;
  /** By id: which row of `#matrix` is the vector of its query, by `#model`. */
  #rows = new Map<string, number>();
  #matrix = new Float32Array(0);
  #model: string | undefined;
  #filling: Promise<void> = Promise.resolve();

  constructor(known: ReadonlyMap<string, Known>, embedd: Embedd) {
    this.#known = known;
    this.#embedd = embedd;
  }

  /** The answers that playbooks near the query speak for, the weightiest first. @throws LakeError embedd's */
  async near(query: string, corpora: ReadonlySet<string>): Promise<Advice[]> {
    const speaking = [...this.#known.values()].filter(
      (it) => corpora.has(it.answer.corpus) && strengthOf(it) > 0,
    );
    if (speaking.length === 0) return [];
    const asked = await this.#embed([query]);
    const vector = asked.vectors[0] as Float32Array;
    this.#filling = this.#filling.catch(() => undefined).then(() => this.#fill(speaking, asked.model));
    await this.#filling;
    const [rows, matrix, pause] = [this.#rows, this.#matrix, pauser()];
    const found = new Map<
      string,
      { answer: Known["answer"]; silence: number; by: { id: string; near: number }[] }
    >();
    for (const it of speaking) {
      await pause();
      const row = rows.get(it.id);
      const near = row === undefined ? 0 : dotOfRow(vector, matrix, row);
      if (!(near >= NEAR)) continue; // One that is not in the matrix yet gives NaN.
      const { corpus, id } = it.answer;
      const key = `${corpus}\n${id}`;
      const answer = found.get(key) ?? { answer: it.answer, silence: 1, by: [] };
      // What several say counts for more, and never beyond 1.
      answer.silence *= 1 - strengthOf(it) * ((near - NEAR) / (1 - NEAR));
      answer.by.push({ id: it.id, near });
      found.set(key, answer);
    }
    return [...found.values()]
      .map(({ answer, silence, by }) => ({
        ...answer,
        weight: Math.min(1, Math.max(0, 1 - silence)),
        playbooks: by.sort((a, b) => b.near - a.near).map(({ id }) => id),
      }))
      .filter(({ weight }) => weight > 0)
      .sort((a, b) => b.weight - a.weight || (a.id < b.id ? -1 : 1))
      .slice(0, MAX_ANSWERS);
  }

  /** Makes the vectors that are missing; all of them anew where the default model is another one. */
  async #fill(wanted: readonly Known[], model: string): Promise<void> {
    if (this.#model !== model) this.#rows = new Map(); // A search under way goes on with the old ones.
    this.#model = model;
    const missing = wanted.filter(({ id }) => !this.#rows.has(id));
    for (let from = 0; from < missing.length; from += TEXTS_AT_ONCE) {
      const batch = missing.slice(from, from + TEXTS_AT_ONCE);
      const made = await this.#embed(batch.map(({ query }) => query));
      if (made.model !== model) return;
      this.#room((this.#rows.size + batch.length) * made.dimension);
      for (const [at, { id }] of batch.entries()) {
        const row = this.#rows.size;
        this.#matrix.set(made.vectors[at] as Float32Array, row * made.dimension);
        this.#rows.set(id, row);
      }
    }
  }

  #room(numbers: number): void {
    if (numbers <= this.#matrix.length) return;
    const larger = new Float32Array(Math.max(numbers, 2 * this.#matrix.length));
    larger.set(this.#matrix);
    this.#matrix = larger;
  }

  #embed(texts: readonly string[]) {
    return this.#embedd.embed({ texts, truncate: true });
  }
}

function dotOfRow(vector: Float32Array, matrix: Float32Array, row: number): number {
  const { length } = vector;
  // Four sums, so that no addition waits for the one before.
  let [a, b, c, d] = [0, 0, 0, 0];
  let at = 0;
  let cell = row * length;
  for (; at + 3 < length; at += 4, cell += 4) {
    a += (vector[at] as number) * (matrix[cell] as number);
    b += (vector[at + 1] as number) * (matrix[cell + 1] as number);
    c += (vector[at + 2] as number) * (matrix[cell + 2] as number);
    d += (vector[at + 3] as number) * (matrix[cell + 3] as number);
  }
  for (; at < length; at++, cell++) a += (vector[at] as number) * (matrix[cell] as number);
  return a + b + c + d;
}
