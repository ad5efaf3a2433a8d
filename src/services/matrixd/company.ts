/** What chunks are to each other, so that one is judged by those it resembles too. */

export interface Company {
  /** chunks × chunks, row by row: the squared cosine of their words' weights. */
  readonly by_words: Float32Array;
  /** The same of their vectors without what all have in common, where it is positive. */
  readonly by_vector: Float32Array;
}

/** @param weights the words of each chunk, of unit length @param vectors one of each chunk */
export async function companyOf(
  weights: readonly ReadonlyMap<string, number>[],
  vectors: readonly Float32Array[],
  pause: () => Promise<void>,
): Promise<Company> {
  const by_words = await wordProducts(weights, pause);
  const by_vector = new Float32Array(vectors.length ** 2);
  const own = centred(vectors);
  for (let a = 0; a < own.length; a++) {
    for (let b = 0; b < a; b++) {
      const cosine = Math.max(0, dot(own[a] as Float32Array, own[b] as Float32Array));
      put(by_vector, own.length, a, b, cosine * cosine);
    }
    await pause();
  }
  for (let at = 0; at < by_words.length; at++) by_words[at] = (by_words[at] as number) ** 2;
  return { by_words, by_vector };
}

/** The mean score of the others, each counting by its likeness; of one that is like no other, everyone's. */
export function supportOf(
  likeness: Float32Array,
  scores: readonly number[],
  of: number,
  mean: number,
): number {
  let sum = 0;
  let total = 0;
  const row = of * scores.length;
  for (let at = 0; at < scores.length; at++) {
    const weight = likeness[row + at] as number;
    sum += weight * (scores[at] as number);
    total += weight;
  }
  return total > 1e-9 ? sum / total : mean;
}

/** By word and not by pair, since most pairs share few. */
async function wordProducts(
  weights: readonly ReadonlyMap<string, number>[],
  pause: () => Promise<void>,
): Promise<Float32Array> {
  const count = weights.length;
  const out = new Float32Array(count ** 2);
  const having = new Map<string, [number, number][]>();
  for (const [at, words] of weights.entries()) {
    for (const [stem, weight] of words) {
      const list = having.get(stem);
      if (list) list.push([at, weight]);
      else having.set(stem, [[at, weight]]);
    }
    await pause();
  }
  for (const list of having.values()) {
    for (let i = 1; i < list.length; i++) {
      const [a, of_a] = list[i] as [number, number];
      for (let j = 0; j < i; j++) {
        const [b, of_b] = list[j] as [number, number];
        put(out, count, a, b, (out[a * count + b] as number) + of_a * of_b);
      }
    }
    await pause();
  }
  return out;
}

function centred(vectors: readonly Float32Array[]): Float32Array[] {
  const mean = new Float32Array(vectors[0]?.length ?? 0);
  for (const vector of vectors)
    for (let at = 0; at < mean.length; at++)
      mean[at] = (mean[at] as number) + (vector[at] as number) / vectors.length;
  return vectors.map((vector) => {
    const moved = vector.map((value, at) => value - (mean[at] as number));
    const length = Math.sqrt(dot(moved, moved));
    return length === 0 ? moved : moved.map((value) => value / length);
  });
}

function put(matrix: Float32Array, width: number, a: number, b: number, value: number): void {
  matrix[a * width + b] = value;
  matrix[b * width + a] = value;
}

function dot(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let at = 0; at < a.length; at++) sum += (a[at] as number) * (b[at] as number);
  return sum;
}
