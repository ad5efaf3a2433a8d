/** Sets of slots: one bit each for what many slots are in, sorted numbers where few are. */

const WORD = 32;

/** A set of whole numbers, a bit each. */
export class Bits {
  #words: Int32Array;

  /** @param capacity numbers below this can be held; it grows */
  constructor(capacity: number, from?: Bits) {
    this.#words = new Int32Array(Math.ceil(Math.max(from ? from.capacity : 0, capacity) / WORD));
    if (from) this.#words.set(from.#words);
  }

  get capacity(): number {
    return this.#words.length * WORD;
  }

  set(at: number): void {
    const word = at >>> 5;
    if (word >= this.#words.length) {
      const grown = new Int32Array(Math.max(word + 1, this.#words.length * 2));
      grown.set(this.#words);
      this.#words = grown;
    }
    this.#words[word] = (this.#words[word] as number) | (1 << at);
  }

  clear(at: number): void {
    const word = at >>> 5;
    if (word < this.#words.length) this.#words[word] = (this.#words[word] as number) & ~(1 << at);
  }

  has(at: number): boolean {
    return (((this.#words[at >>> 5] ?? 0) >>> at) & 1) === 1;
  }

  and(other: Bits): this {
    const words = this.#words;
    for (let at = 0; at < words.length; at++) words[at] = (words[at] as number) & (other.#words[at] ?? 0);
    return this;
  }

  andNot(other: Bits): this {
    const both = Math.min(this.#words.length, other.#words.length);
    for (let at = 0; at < both; at++)
      this.#words[at] = (this.#words[at] as number) & ~(other.#words[at] as number);
    return this;
  }

  or(other: Bits): this {
    if (other.#words.length > this.#words.length) {
      const grown = new Int32Array(other.#words.length);
      grown.set(this.#words);
      this.#words = grown;
    }
    for (let at = 0; at < other.#words.length; at++)
      this.#words[at] = (this.#words[at] as number) | (other.#words[at] as number);
    return this;
  }

  count(): number {
    let sum = 0;
    for (let word of this.#words) {
      // Counts the bits of a word in parallel (Warren, Hacker's Delight, 5-1).
      word -= (word >>> 1) & 0x55555555;
      word = (word & 0x33333333) + ((word >>> 2) & 0x33333333);
      sum += Math.imul((word + (word >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
    }
    return sum;
  }

  /** The numbers, rising. */
  list(): number[] {
    const list: number[] = [];
    for (let at = 0; at < this.#words.length; at++)
      for (let word = this.#words[at] as number; word !== 0; word &= word - 1)
        list.push(at * WORD + 31 - Math.clz32(word & -word));
    return list;
  }
}

/** A set of slots that takes 8 bytes for each, or a bit for each slot there is, whichever is less. */
export class SlotSet {
  #sorted: number[] | undefined = [];
  #bits = new Bits(0);
  #size = 0;

  /** @param sorted rising; it is kept @param slots how many slots there are */
  static of(sorted: number[], slots: number): SlotSet {
    const set = new SlotSet();
    set.#sorted = sorted;
    set.#size = sorted.length;
    set.#shrink(slots);
    return set;
  }

  get size(): number {
    return this.#size;
  }

  /** @param slots how many slots there are */
  add(slot: number, slots: number): void {
    if (this.#sorted === undefined) {
      if (!this.#bits.has(slot)) this.#size++;
      this.#bits.set(slot);
      return;
    }
    const at = place(this.#sorted, slot);
    if (this.#sorted[at] === slot) return;
    this.#sorted.splice(at, 0, slot);
    this.#size++;
    this.#shrink(slots);
  }

  #shrink(slots: number): void {
    if (this.#sorted === undefined || this.#size <= WORD || this.#size <= slots / 64) return;
    this.#bits = new Bits(slots);
    for (const it of this.#sorted) this.#bits.set(it);
    this.#sorted = undefined;
  }

  delete(slot: number): void {
    if (this.#sorted === undefined) {
      if (this.#bits.has(slot)) this.#size--;
      this.#bits.clear(slot);
      return;
    }
    const at = place(this.#sorted, slot);
    if (this.#sorted[at] !== slot) return;
    this.#sorted.splice(at, 1);
    this.#size--;
  }

  /** Rising. */
  list(): readonly number[] {
    return this.#sorted ?? this.#bits.list();
  }

  addTo(bits: Bits): void {
    const sorted = this.#sorted;
    if (sorted === undefined) bits.or(this.#bits);
    else for (let at = 0; at < sorted.length; at++) bits.set(sorted[at] as number);
  }
}

/** Where a number is in a rising list, or would be. */
export function place(sorted: readonly number[], wanted: number): number {
  if (sorted.length === 0 || (sorted[sorted.length - 1] as number) < wanted) return sorted.length;
  let low = 0;
  for (let high = sorted.length; low < high; ) {
    const middle = (low + high) >> 1;
    if ((sorted[middle] as number) < wanted) low = middle + 1;
    else high = middle;
  }
  return low;
}
