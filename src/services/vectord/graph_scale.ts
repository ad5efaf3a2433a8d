/**
 * One factor for all vectors of a graph that holds a byte for each number, so that lengths and distances keep their
 * relation: usearch's own cast divides each vector by its length, which only the cosine doesn't see.
 */
import type { IndexSettings } from "./schema.ts";
import { normOf } from "./vectors.ts";

/** The vectors that a factor is chosen for. */
export interface Vectors {
  readonly size: number;
  all(): readonly number[];
  vector(slot: number): Float32Array;
}

/** What the largest number of a byte stands for. */
const LARGEST = 127;
type ScaledMetric = Exclude<IndexSettings["metric"], "cosine">;
/** The part of the vectors, the longest, that is left out in choosing: by l2 a few must not make all others coarse. */
const LEFT_OUT = { l2: 0.05, dot: 0 };
/** The part of the others' numbers that may be larger. */
const BEYOND = 0.0001;
/** Too small once this part of all numbers is clamped; what follows has room for numbers of twice the size. */
const CLAMPED = { l2: 0.1, dot: 0.001 };
const HEADROOM = 2;
/** Another one suits as well that makes numbers up to so many times as large or small. */
const OFF = 4;
/** With fewer vectors all are compared one by one anyway. */
const JUDGED_MIN = 1000;
/** Looked at in choosing: some milliseconds. */
const SAMPLED_NUMBERS = 1_000_000;
const SAMPLED_VECTORS = 10_000;
/** A float's bits without its sign, of which the upper ones tell its size to within a hundredth. */
const SIZE_BITS = 0x7fffffff;
const DROPPED_BITS = 16;
const LARGEST_FLOAT = 3.4028234663852886e38;

/** The metric where a graph with these settings has a factor. */
export function scaledMetric({
  metric,
  quantization,
}: Pick<IndexSettings, "metric" | "quantization">): ScaledMetric | undefined {
  return quantization === "i8" && metric !== "cosine" ? metric : undefined;
}

export class Scale {
  /** By which numbers are multiplied; finite and above 0. */
  readonly factor: number;
  readonly #metric: ScaledMetric;
  #clamped = 0;
  /** How many vectors there were when it was last seen to fit. */
  #judged_size: number;

  private constructor(factor: number, metric: ScaledMetric, judged_size: number) {
    this.factor = factor;
    this.#metric = metric;
    this.#judged_size = judged_size;
  }

  static chosen(vectors: Vectors, metric: ScaledMetric): Scale {
    return new Scale(LARGEST / largestOf(sampleOf(vectors), metric), metric, vectors.size);
  }

  /** One that was kept with a graph; undefined where it doesn't suit the vectors that there are now. */
  static kept(factor: number | undefined, vectors: Vectors, metric: ScaledMetric): Scale | undefined {
    if (factor === undefined) return undefined;
    const it = new Scale(factor, metric, vectors.size);
    return it.#isNear(Scale.chosen(vectors, metric)) ? it : undefined;
  }

  /** Vectors as the graph is to hold them. */
  held(vectors: Float32Array): Int8Array {
    const { bytes, clamped } = bytesOf(vectors, this.factor);
    this.#clamped += clamped;
    return bytes;
  }

  /** A vector to search by. By dot its length changes no order, so it may fill its bytes. */
  asked(vector: Float32Array): Int8Array {
    const own = LARGEST / vector.reduce((most, it) => Math.max(most, Math.abs(it)), 0);
    return bytesOf(vector, this.#metric === "dot" && Number.isFinite(own) ? own : this.factor).bytes;
  }

  /**
   * What should take its place, where too much is clamped or, looked at each time there are twice as many vectors,
   * another would suit them. Where vectors grow ever longer, they double before there is a next one.
   * @param numbers how many the graph holds
   */
  successor(vectors: Vectors, numbers: number): Scale | undefined {
    if (vectors.size < JUDGED_MIN) return undefined;
    const is_small = this.#clamped > CLAMPED[this.#metric] * numbers;
    if (!is_small && vectors.size < 2 * this.#judged_size) return undefined;
    this.#judged_size = vectors.size;
    const fresh = Scale.chosen(vectors, this.#metric);
    if (!is_small) return this.#isNear(fresh) ? undefined : fresh;
    return new Scale(Math.min(fresh.factor, this.factor) / HEADROOM, this.#metric, vectors.size);
  }

  #isNear({ factor }: Scale): boolean {
    return factor < OFF * this.factor && this.factor < OFF * factor;
  }
}

/**
 * usearch's JavaScript makes a Float32Array of vectors of any other kind, which would then be divided by their lengths;
 * it tells the kinds apart by `constructor`, while what it calls takes bytes as they are.
 */
function bytesOf(vectors: Float32Array, factor: number): { bytes: Int8Array; clamped: number } {
  const bytes = new Int8Array(vectors.length);
  let clamped = 0;
  for (let at = 0; at < vectors.length; at++) {
    const number = Math.round((vectors[at] as number) * factor);
    if (number > LARGEST || number < -LARGEST) clamped++;
    bytes[at] = Math.max(-LARGEST, Math.min(LARGEST, number));
  }
  Object.defineProperty(bytes, "constructor", { value: Float32Array });
  return { bytes, clamped };
}

/** Some of the vectors, evenly out of all. */
function sampleOf(vectors: Vectors): Float32Array[] {
  const slots = vectors.all();
  const [first] = slots;
  if (first === undefined) return [];
  const most = Math.min(SAMPLED_VECTORS, Math.ceil(SAMPLED_NUMBERS / vectors.vector(first).length));
  const count = Math.min(most, slots.length);
  const every = slots.length / count;
  return Array.from({ length: count }, (_, at) => vectors.vector(slots[Math.floor(at * every)] as number));
}

/** The size that hardly any number of the sample exceeds, some of the longest vectors aside; 1 where all are zero. */
function largestOf(sample: readonly Float32Array[], metric: ScaledMetric): number {
  const norms = Float64Array.from(sample, normOf).sort();
  const longest = norms.at(-1 - Math.floor(LEFT_OUT[metric] * norms.length)) ?? 0;
  const bins = new Uint32Array(1 << (31 - DROPPED_BITS));
  for (const vector of sample) {
    if (normOf(vector) > longest) continue;
    for (const bits of new Uint32Array(vector.buffer, vector.byteOffset, vector.length)) {
      const bin = (bits & SIZE_BITS) >>> DROPPED_BITS;
      bins[bin] = (bins[bin] as number) + 1;
    }
  }
  bins[0] = 0;
  let left = BEYOND * bins.reduce((sum, it) => sum + it, 0);
  let bin = bins.length;
  while (bin > 0 && left >= 0) left -= bins[--bin] as number;
  const end = new Float32Array(new Uint32Array([(bin + 1) << DROPPED_BITS]).buffer);
  return bin === 0 ? 1 : Math.min(end[0] as number, LARGEST_FLOAT);
}
