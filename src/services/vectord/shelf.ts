/** The items of one index in memory, for comparing and filtering: a slot each, used again when it is free. */

import type { FilterTree, Metadata } from "../../shared/filter.ts";
import { Bits } from "./bits.ts";
import { Fields } from "./fields.ts";
import type { StoredItem } from "./store.ts";
import { type Lying, normOf } from "./vectors.ts";

/** Vectors lie together in blocks of so many, so that growing copies nothing. */
const BLOCK_SLOTS = 4096;

export class Shelf {
  readonly #dimension: number;
  readonly #blocks: Float32Array[] = [];
  readonly #slots = new Map<number, number>();
  readonly #by_id = new Map<string, number>();
  readonly #free: number[] = [];
  readonly #keys: number[] = [];
  readonly #ids: string[] = [];
  readonly #norms: number[] = [];
  /** JSON, as it is stored; read when it is first asked for. */
  readonly #json: (string | null)[] = [];
  readonly #metadata: (Metadata | undefined)[] = [];
  readonly #expires_ms: number[] = [];
  /** Slots with an item, expired or not. */
  readonly #held = new Bits(BLOCK_SLOTS);
  readonly #fields = new Fields();

  constructor(dimension: number) {
    this.#dimension = dimension;
  }

  get size(): number {
    return this.#slots.size;
  }

  get bytes(): number {
    return this.#blocks.length * BLOCK_SLOTS * this.#dimension * Float32Array.BYTES_PER_ELEMENT;
  }

  /** Takes the place of an item with the same id. */
  put(item: StoredItem): void {
    const before = this.#by_id.get(item.id);
    if (before !== undefined) this.remove(this.#keys[before] as number);
    const slot = this.#free.pop() ?? this.#keys.length;
    if (slot >= this.#blocks.length * BLOCK_SLOTS)
      this.#blocks.push(new Float32Array(BLOCK_SLOTS * this.#dimension));
    this.#slots.set(item.key, slot);
    this.#by_id.set(item.id, slot);
    this.#keys[slot] = item.key;
    this.#ids[slot] = item.id;
    const vector = this.vector(slot);
    new Uint8Array(vector.buffer, vector.byteOffset, vector.byteLength).set(item.vector);
    this.#norms[slot] = normOf(vector);
    this.#json[slot] = item.metadata;
    this.#metadata[slot] = undefined;
    this.#expires_ms[slot] = item.expires_ms ?? Number.POSITIVE_INFINITY;
    this.#held.set(slot);
    if (!this.#fields.is_empty) this.#fields.put(slot, read(item.metadata), this.#keys.length);
  }

  remove(key: number): void {
    const slot = this.#slots.get(key);
    if (slot === undefined) return;
    this.#slots.delete(key);
    if (this.#by_id.get(this.#ids[slot] as string) === slot) this.#by_id.delete(this.#ids[slot] as string);
    if (!this.#fields.is_empty) this.#fields.remove(slot, read(this.#json[slot] ?? null));
    this.#held.clear(slot);
    this.#json[slot] = null;
    this.#metadata[slot] = undefined;
    this.#free.push(slot);
  }

  /** Which keys of the metadata have postings, from now on. */
  declare(keys: readonly string[]): void {
    this.#fields.declare(keys, this.#keys.length);
  }

  /** Fills what was declared later. @returns whether anything is left to do */
  step(): boolean {
    return this.#fields.step({ slots: this.#keys.length, held: this.#held, metadata: this.metadata });
  }

  get is_settled(): boolean {
    return this.#fields.is_whole;
  }

  /** The slots that a filter lets through, of expired items, too. @param asking called before each item that is asked */
  passing(filter: FilterTree, asking: () => void = () => {}): Bits {
    return this.#fields.passing(filter, this.#held, (slot) => {
      asking();
      return this.metadata(slot);
    });
  }

  /** The slot of a key; undefined where its item is no more, or its time has passed. */
  slot(key: number, now_ms: number): number | undefined {
    const slot = this.#slots.get(key);
    return slot !== undefined && (this.#expires_ms[slot] as number) > now_ms ? slot : undefined;
  }

  slotOf(id: string, now_ms: number): number | undefined {
    const slot = this.#by_id.get(id);
    return slot !== undefined && (this.#expires_ms[slot] as number) > now_ms ? slot : undefined;
  }

  /** The id of a key that is there. */
  idOf(key: number): string | undefined {
    const slot = this.#slots.get(key);
    return slot === undefined ? undefined : this.#ids[slot];
  }

  has(key: number): boolean {
    return this.#slots.has(key);
  }

  /** Keys in the order in which they were put. */
  keys(): Iterable<number> {
    return this.#slots.keys();
  }

  /** Slots of all items, expired or not. */
  all(): number[] {
    return this.#held.list();
  }

  /** A slot's vector where it lies, for comparing. */
  lying(slot: number): Lying {
    const block = this.#blocks[Math.floor(slot / BLOCK_SLOTS)] as Float32Array;
    return { block, from: (slot % BLOCK_SLOTS) * this.#dimension, norm: this.#norms[slot] as number };
  }

  vector(slot: number): Float32Array {
    const from = (slot % BLOCK_SLOTS) * this.#dimension;
    return (this.#blocks[Math.floor(slot / BLOCK_SLOTS)] as Float32Array).subarray(
      from,
      from + this.#dimension,
    );
  }

  /** The vector of a key that is there. */
  vectorOf(key: number): Float32Array {
    return this.vector(this.#slots.get(key) as number);
  }

  key = (slot: number): number => this.#keys[slot] as number;
  id = (slot: number): string => this.#ids[slot] as string;
  json = (slot: number): string | null => this.#json[slot] ?? null;
  metadata = (slot: number): Metadata => {
    const known = this.#metadata[slot];
    if (known !== undefined) return known;
    const metadata = read(this.json(slot));
    this.#metadata[slot] = metadata;
    return metadata;
  };
  isLive = (slot: number, now_ms: number): boolean => (this.#expires_ms[slot] as number) > now_ms;
  expires_ms = (slot: number): number => this.#expires_ms[slot] as number;
}

const read = (json: string | null): Metadata => (json === null ? null : (JSON.parse(json) as Metadata));
