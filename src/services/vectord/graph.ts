/**
 * The HNSW graph over one index's vectors (usearch): derived, added to in small steps between searches,
 * saved with the key that it covers, and built anew where it is missing, damaged or mostly masked.
 */
import { join } from "node:path";
import type { Index } from "usearch";
import { syncPath } from "./folders.ts";
import { checksumOf, graphManifest, removeGraph, sweepGraphs, writeGraphManifest } from "./graph_file.ts";
import { emptyIndex, OVERWRITTEN, SCALAR_BYTES } from "./graph_index.ts";
import { Scale, scaledMetric } from "./graph_scale.ts";
import type { IndexSettings, Quantization } from "./schema.ts";
import type { Shelf } from "./shelf.ts";
import { normOf, unitOf } from "./vectors.ts";

const LINK_BYTES = 5;
/** How long the graph grows before searches have their turn, however many there are: a load must go on, too. */
const STEP_MS = 1.5;
const STEP_VECTORS = 2;
/** The graph is built anew once it holds this many masked vectors, and as many as a part of it. */
const MASKED_MIN = 1000;
const MASKED_SHARE = 0.3;
/** Vectors overwritten in one go, and keys looked through for them; where there are more, the graph is built anew. */
const OVERWRITTEN_MAX = 512;
const LOOKED_THROUGH_MAX = 200_000;
/** What a saved graph may lack, as a part of the graph, before it is worth to save it anew. */
const OUTGROWN_SHARE = 0.2;
const THREADS = 1;

/** A graph being filled: keys in rising order. */
interface Growth {
  readonly index: Index;
  /** Every live key up to this one is in. */
  covers_key: number;
  waiting: number[];
  size: number;
  /** Where vectors are scaled: undefined until there is one. */
  scale: Scale | undefined;
}

export class Graph {
  readonly #folder: string;
  readonly #settings: IndexSettings;
  readonly #shelf: Shelf;
  #now: Growth;
  /** What takes the place of `#now` once it holds everything. */
  #next: Growth | undefined;
  #saved_key = -1;
  #saved_size = 0;
  /** Whether `#now` holds vectors that may not reach the disk any more. */
  #is_soiled = false;
  /** Whether what was saved knew of items that are not there any more: a part of the items' file is lost. */
  is_ahead = false;

  /** @param newest_key the highest that was ever given: a graph with later ones is of other items */
  constructor(folder: string, settings: IndexSettings, shelf: Shelf, newest_key: number) {
    this.#folder = folder;
    this.#settings = settings;
    this.#shelf = shelf;
    const loaded = this.#load(newest_key);
    this.#now = loaded ?? this.#empty();
    this.#saved_key = loaded?.covers_key ?? -1;
    this.#saved_size = loaded?.size ?? 0;
    this.#now.waiting = [...shelf.keys()].filter((key) => key > this.#now.covers_key);
  }

  /** Keys that are live and not in the graph yet: to be compared one by one. */
  get waiting(): readonly number[] {
    return this.#now.waiting;
  }

  get size(): number {
    return this.#now.size;
  }

  get quantization(): Quantization {
    return this.#settings.quantization;
  }

  get masked(): number {
    return Math.max(0, this.#now.size - (this.#shelf.size - this.#now.waiting.length));
  }

  get is_settled(): boolean {
    return this.#now.waiting.length === 0 && this.#next === undefined;
  }

  /** Whether what is on the disk is older than what is here. */
  get is_unsaved(): boolean {
    return !this.#is_soiled && this.#now.size > 0 && this.#now.covers_key !== this.#saved_key;
  }

  /** Whether a good part of it would have to be made again after a kill. */
  get is_outgrown(): boolean {
    return this.is_unsaved && this.#now.size - this.#saved_size >= OUTGROWN_SHARE * this.#now.size;
  }

  get bytes(): number {
    const { dimension, quantization, connectivity } = this.#settings;
    return this.#now.size * (dimension * SCALAR_BYTES[quantization] + connectivity * 2 * LINK_BYTES);
  }

  /** Tells of a key that was put on the shelf; keys come in rising order. */
  put(key: number): void {
    this.#now.waiting.push(key);
    this.#next?.waiting.push(key);
  }

  /** The nearest keys among so many candidates, masked ones among them; nearest first. */
  nearest(vector: Float32Array, count: number): number[] {
    if (this.#now.size === 0) return [];
    const asked = this.#now.scale?.asked(vector) ?? this.#compared(vector);
    return Array.from(this.#now.index.search(asked, Math.min(count, this.#now.size), THREADS).keys, Number);
  }

  #compared(vector: Float32Array): Float32Array {
    return this.#settings.metric === "cosine" ? unitOf(vector) : vector;
  }

  #add(growth: Growth, keys: readonly number[], vectors: Float32Array): void {
    const metric = scaledMetric(this.#settings);
    if (metric) growth.scale ??= Scale.chosen(this.#shelf, metric);
    growth.index.add(BigUint64Array.from(keys, BigInt), growth.scale?.held(vectors) ?? vectors, THREADS);
  }

  /** Does a small piece of what is to be done. @returns whether anything is left to do */
  step(): boolean {
    const until_ms = performance.now() + STEP_MS;
    if (this.#now.waiting.length > 0) this.#growUntil(this.#now, until_ms);
    else if (this.#next) {
      this.#growUntil(this.#next, until_ms);
      if (this.#next.waiting.length === 0) {
        this.#now = this.#next;
        this.#next = undefined;
        this.#saved_key = -1;
        this.#saved_size = 0;
        this.#is_soiled = false;
      }
    }
    if (this.is_settled) this.#judge();
    return !this.is_settled;
  }

  #judge(): void {
    const { size, scale } = this.#now;
    const successor = scale?.successor(this.#shelf, size * this.#settings.dimension);
    const is_masked = this.masked >= MASKED_MIN && this.masked >= MASKED_SHARE * size;
    if (successor || is_masked) this.#rebuild(successor);
  }

  #rebuild(scale?: Scale): void {
    this.#next = { ...this.#empty(), waiting: [...this.#shelf.keys()], scale };
  }

  /** Leaves nothing on the disk, now or later, of vectors whose items are no more. Durable when it returns. */
  erase(): void {
    removeGraph(this.#folder);
    this.#saved_key = -1;
    this.#saved_size = 0;
    const { covers_key } = this.#now;
    const is_cheap = this.masked <= OVERWRITTEN_MAX && covers_key <= this.#shelf.size + LOOKED_THROUGH_MAX;
    if (is_cheap && this.#next === undefined && !this.#is_soiled) {
      for (let key = 1; key <= covers_key; key++) if (!this.#shelf.has(key)) this.#overwrite(key);
      return;
    }
    this.#is_soiled = true;
    this.#rebuild();
  }

  /** A removed vector's bytes stay in the graph until another takes their place: one of no meaning, of like length. */
  #overwrite(key: number): void {
    const { index } = this.#now;
    if (!index.contains(BigInt(key))) return;
    index.remove(BigInt(key));
    const noise = Float32Array.from({ length: this.#settings.dimension }, () => Math.random() * 2 - 1);
    const [live] = this.#shelf.keys();
    const scale = (live === undefined ? 1 : normOf(this.#shelf.vectorOf(live))) / normOf(noise);
    const scaled = noise.map((it) => it * scale);
    this.#add(this.#now, [key + OVERWRITTEN], this.#compared(scaled));
  }

  #growUntil(growth: Growth, until_ms: number): void {
    do this.#grow(growth);
    while (growth.waiting.length > 0 && performance.now() < until_ms);
  }

  #grow(growth: Growth): void {
    const taken = growth.waiting.splice(0, STEP_VECTORS);
    const keys = taken.filter((key) => this.#shelf.has(key));
    if (keys.length > 0) {
      const { dimension } = this.#settings;
      const vectors = new Float32Array(keys.length * dimension);
      for (const [at, key] of keys.entries())
        vectors.set(this.#compared(this.#shelf.vectorOf(key)), at * dimension);
      this.#add(growth, keys, vectors);
      growth.size += keys.length;
    }
    growth.covers_key = Math.max(growth.covers_key, taken.at(-1) ?? 0);
  }

  #empty(): Growth {
    return { index: emptyIndex(this.#settings), covers_key: 0, waiting: [], size: 0, scale: undefined };
  }

  /** Writes the graph beside what is there, then names it: a crash leaves the one or the other. */
  save(): void {
    const { index, covers_key, size, scale } = this.#now;
    const file = `${covers_key}-${Date.now()}.usearch`;
    const path = join(this.#folder, file);
    index.save(path);
    syncPath(path);
    const checksum = checksumOf(path);
    writeGraphManifest(this.#folder, { file, covers_key, size, checksum, scale: scale?.factor });
    this.#saved_key = covers_key;
    this.#saved_size = size;
    sweepGraphs(this.#folder, file);
  }

  /** Undefined where it is gone, damaged or of no use: it is derived, and is built anew from the items. */
  #load(newest_key: number): Growth | undefined {
    const manifest = graphManifest(this.#folder);
    sweepGraphs(this.#folder, manifest?.file);
    if (manifest === undefined) return undefined;
    const { file, covers_key, size, checksum } = manifest;
    this.is_ahead = covers_key > newest_key;
    if (this.is_ahead) return undefined;
    const path = join(this.#folder, file);
    try {
      const metric = scaledMetric(this.#settings);
      const scale = metric && Scale.kept(manifest.scale, this.#shelf, metric);
      if ((metric && !scale) || checksumOf(path) !== checksum) return undefined;
      const growth = this.#empty();
      growth.index.load(path);
      return growth.index.size() === size ? { ...growth, covers_key, size, scale } : undefined;
    } catch {
      return undefined;
    }
  }
}
