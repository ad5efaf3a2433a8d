/** Corpora that are vector indexes: searched by words and vector at once. */
import { LakeError } from "../../shared/errors.ts";
import type { Found, Vectord } from "../vectord/schema.ts";
import type { Candidate, CorpusReader, Question, Standing } from "./corpus.ts";
import type { RegisteredCorpus } from "./store.ts";

/** Soft matches are left to the merged hits: asked of each corpus they would cost as often as there are corpora. */
const NO_SOFT_MATCHES = 0;

export class IndexReader implements CorpusReader {
  readonly scope = "vectord:read";
  readonly #vectord: Vectord;
  /** By corpus: the model of its index when it was last looked at. */
  readonly #models = new Map<string, string>();

  constructor(vectord: Vectord) {
    this.#vectord = vectord;
  }

  async standing(corpus: RegisteredCorpus): Promise<Standing> {
    const { state, items, model } = await this.#vectord.index(indexOf(corpus));
    if (model === null) throw modelless(corpus);
    return { state: state === "ready" ? "ready" : "building", items, model };
  }

  async search(corpus: RegisteredCorpus, question: Question): Promise<Candidate[]> {
    const known = this.#models.get(corpus.name) ?? (await this.#learn(corpus));
    const found = await this.#ask(corpus, question, known);
    if (found.model === known) return candidatesOf(corpus, found);
    // The index was made anew with another model: what a foreign vector found means nothing.
    return candidatesOf(corpus, await this.#ask(corpus, question, await this.#learn(corpus)));
  }

  async fetch(corpus: RegisteredCorpus, ids: readonly string[], question: Question): Promise<Candidate[]> {
    const model = this.#models.get(corpus.name) ?? (await this.#learn(corpus));
    const query = floats(await question.vectorBy(model));
    const { items } = await this.#vectord.get(indexOf(corpus), {
      ids: [...ids],
      include: ["metadata", "text", "vector"],
    });
    return items
      .filter(({ vector }) => vector?.length === query.length)
      .map(({ id, text = null, metadata = null, vector = [] }) => {
        const likeness = cosine(query, vector);
        return {
          corpus: corpus.name,
          id,
          text,
          metadata,
          rank: question.k + 1,
          score: likeness,
          bm25: 0,
          cosine: likeness,
        };
      });
  }

  forget(name: string): void {
    this.#models.delete(name);
  }

  async #learn(corpus: RegisteredCorpus): Promise<string> {
    this.forget(corpus.name);
    const { model } = await this.#vectord.index(indexOf(corpus));
    if (model === null) throw modelless(corpus);
    this.#models.set(corpus.name, model);
    return model;
  }

  async #ask(
    corpus: RegisteredCorpus,
    { text, k, filter, vectorBy }: Question,
    model: string,
  ): Promise<Found> {
    try {
      return await this.#vectord.search(indexOf(corpus), {
        vector: await vectorBy(model),
        hybrid: { text, soft: NO_SOFT_MATCHES },
        k,
        include: ["metadata", "text"],
        ...(filter ? { filter } : {}),
      });
    } catch (error) {
      // It may have been dropped and made anew with another dimension: look again the next time.
      this.forget(corpus.name);
      throw error;
    }
  }
}

function candidatesOf({ name }: RegisteredCorpus, { results }: Found): Candidate[] {
  return results.map(({ id, text = null, metadata = null, score, ranks, sides }, at) => ({
    corpus: name,
    id,
    text,
    metadata,
    rank: at + 1,
    score,
    bm25: sides?.bm25 ?? 0,
    cosine: sides?.cosine ?? 0,
    ...(ranks ? { ranks } : {}),
  }));
}

/** @param base64 of little-endian f32 */
function floats(base64: string): Float32Array {
  const bytes = Buffer.from(base64, "base64");
  return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
}

function cosine(a: Float32Array, b: readonly number[]): number {
  let [product, of_a, of_b] = [0, 0, 0];
  for (const [at, value] of b.entries()) {
    const other = a[at] as number;
    product += other * value;
    of_a += other * other;
    of_b += value * value;
  }
  return of_a * of_b === 0 ? 0 : product / Math.sqrt(of_a * of_b);
}

function indexOf({ name, index }: RegisteredCorpus): string {
  if (index === undefined) throw new Error(`corpus ${name} names no index`);
  return index;
}

function modelless({ index }: RegisteredCorpus): LakeError {
  return new LakeError(
    "invalid",
    `Index "${index}" has no model, so that a query's words can't be compared with its vectors: make it with one.`,
  );
}
