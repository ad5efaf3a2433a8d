/** Corpora that are vector indexes: searched by words and vector at once. */
import { LakeError } from "../../shared/errors.ts";
import type { Found, Vectord } from "../vectord/schema.ts";
import type { Content } from "./complete.ts";
import type { Candidate, CorpusReader, Question, Standing } from "./corpus.ts";
import type { RegisteredCorpus } from "./store.ts";

/** Soft matches are left to the merged hits: asked of each corpus they would cost as often as there are corpora. */
const NO_SOFT_MATCHES = 0;
const NOTHING_OF_ITS_OWN = { extra: 0, factor: 1 };

export class IndexReader implements CorpusReader {
  readonly scope = "vectord:read";
  readonly #vectord: Vectord;
  /** By corpus: the model of its index when it was last looked at. */
  readonly #models = new Map<string, string>();

  constructor(vectord: Vectord) {
    this.#vectord = vectord;
  }

  async begin(corpus: RegisteredCorpus): Promise<void> {
    const index = indexOf(corpus);
    const { model } = await this.#vectord.index(index);
    if (model === null) throw modelless("invalid", index);
  }

  async standing(corpus: RegisteredCorpus): Promise<Standing> {
    const { state, items, model } = await this.#vectord.index(indexOf(corpus));
    if (model === null) throw modelless("unavailable", indexOf(corpus));
    return { state: state === "ready" ? "ready" : "building", items, model };
  }

  search(corpus: RegisteredCorpus, question: Question): Promise<Candidate[]> {
    return this.searchIndex(corpus.name, indexOf(corpus), question);
  }

  fetch(corpus: RegisteredCorpus, ids: readonly string[], question: Question): Promise<Candidate[]> {
    return this.fetchFromIndex(corpus.name, indexOf(corpus), ids, question);
  }

  contents(corpus: RegisteredCorpus, ids: readonly string[]): Promise<ReadonlyMap<string, Content>> {
    return this.contentsOfIndex(indexOf(corpus), ids);
  }

  async refresh({ name }: RegisteredCorpus): Promise<void> {
    throw new LakeError("invalid", `Corpus "${name}" is an index, which is always as new as its items.`);
  }

  async end({ name }: RegisteredCorpus): Promise<void> {
    this.forget(name);
  }

  /** Forgets what is known of a corpus's index. */
  forget(corpus: string): void {
    this.#models.delete(corpus);
  }

  /** @throws LakeError vectord's, embedd's */
  async searchIndex(corpus: string, index: string, question: Question): Promise<Candidate[]> {
    const known = this.#models.get(corpus) ?? (await this.#learn(corpus, index));
    const found = await this.#ask(index, question, known).catch((error) => {
      // It may be the vector that is not valid, where the index was made anew with another dimension.
      if (error instanceof LakeError && error.code === "invalid") return undefined;
      this.forget(corpus);
      throw error;
    });
    if (found?.model === known) return candidatesOf(corpus, found);
    // The index was made anew with another model: what a foreign vector found means nothing.
    const learnt = await this.#learn(corpus, index);
    return candidatesOf(corpus, await this.#ask(index, question, learnt));
  }

  /** @throws LakeError vectord's */
  async contentsOfIndex(index: string, ids: readonly string[]): Promise<ReadonlyMap<string, Content>> {
    const { items } = await this.#vectord.get(index, { ids: [...ids], include: ["metadata", "text"] });
    return new Map(items.map(({ id, text = null, metadata = null }) => [id, { text, metadata }]));
  }

  /** @throws LakeError vectord's, embedd's */
  async fetchFromIndex(
    corpus: string,
    index: string,
    ids: readonly string[],
    { vectorBy, k }: Question,
  ): Promise<Candidate[]> {
    const model = this.#models.get(corpus) ?? (await this.#learn(corpus, index));
    const asked = await vectorBy(model);
    const { items } = await this.#vectord.get(index, {
      ids: [...ids],
      include: ["metadata", "text", "vector"],
    });
    return items
      .filter(({ vector }) => vector?.length === asked.length)
      .map(({ id, text = null, metadata = null, vector = [] }) => {
        const cosine = cosineOf(asked, vector);
        const place = { rank: k + 1, score: cosine, bm25: 0, cosine };
        return { corpus, id, text, metadata, ...place, ...NOTHING_OF_ITS_OWN };
      });
  }

  async #learn(corpus: string, index: string): Promise<string> {
    this.forget(corpus);
    const { model } = await this.#vectord.index(index);
    if (model === null) throw modelless("unavailable", index);
    this.#models.set(corpus, model);
    return model;
  }

  async #ask(index: string, { text, k, filter, vectorBy }: Question, model: string): Promise<Found> {
    const vector = await vectorBy(model);
    return this.#vectord.search(index, {
      vector: Buffer.from(vector.buffer, vector.byteOffset, vector.byteLength).toString("base64"),
      hybrid: { text, soft: NO_SOFT_MATCHES, depth: k },
      k,
      include: [],
      ...(filter ? { filter } : {}),
    });
  }
}

function candidatesOf(corpus: string, { results }: Found): Candidate[] {
  return results.map(({ id, score, ranks, sides }, at) => ({
    corpus,
    id,
    rank: at + 1,
    score,
    bm25: sides?.bm25 ?? 0,
    cosine: sides?.cosine ?? 0,
    ...NOTHING_OF_ITS_OWN,
    ...(ranks ? { ranks } : {}),
  }));
}

function cosineOf(a: Float32Array, b: readonly number[]): number {
  let [dot, of_a, of_b] = [0, 0, 0];
  for (const [at, value] of b.entries()) {
    const other = a[at] ?? 0;
    dot += value * other;
    of_a += other * other;
    of_b += value * value;
  }
  return of_a * of_b === 0 ? 0 : dot / Math.sqrt(of_a * of_b);
}

function indexOf({ index }: RegisteredCorpus): string {
  if (index === undefined)
    throw new LakeError("invalid", "A corpus of kind `index` needs `index`, the name of a vector index.");
  return index;
}

function modelless(code: "invalid" | "unavailable", index: string): LakeError {
  return new LakeError(
    code,
    `Index "${index}" has no model, so that a query's words can't be compared with its vectors: make it with one.`,
  );
}
