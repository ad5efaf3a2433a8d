/**
 * The last N ids, to make an append idempotent: 24 bytes an id instead of the hundred of a Set of strings.
 * Kept as 128-bit fingerprints (the chance that any two of a million fall together is 10^-26), found by open
 * addressing with linear probing, forgotten in order of arrival.
 */

const LANES = 4;
const LEAST_CAPACITY = 1024;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;

export class RecentIds {
  readonly #limit: number;
  /** Fingerprints in order of arrival, a ring. */
  #prints: Uint32Array;
  /** Where each fingerprint stands in the ring, plus one; 0 is free. */
  #slots: Uint32Array;
  #head = 0;
  #size = 0;
  readonly #print = new Uint32Array(LANES);

  constructor(limit: number) {
    this.#limit = limit;
    const capacity = Math.min(limit, LEAST_CAPACITY);
    this.#prints = new Uint32Array(capacity * LANES);
    this.#slots = new Uint32Array(slotCount(capacity));
  }

  get size(): number {
    return this.#size;
  }

  /** Remembers the id; false where it is remembered already. */
  add(id: string): boolean {
    if (this.#limit === 0) return true;
    fingerprint(id, this.#print);
    return this.#insert();
  }

  /** The same for an id as it stands in JSON, in `bytes` from `start` up to its closing quote. */
  addQuoted(bytes: Buffer, start: number): boolean {
    if (this.#limit === 0) return true;
    let end = start;
    let is_plain = true;
    for (; bytes[end] !== QUOTE; end++) {
      const byte = bytes[end] as number;
      if (byte === BACKSLASH) end++;
      if (byte === BACKSLASH || byte > 0x7f) is_plain = false;
    }
    return this.add(
      is_plain
        ? bytes.toString("latin1", start, end)
        : JSON.parse(bytes.toString("utf8", start - 1, end + 1)),
    );
  }

  #insert(): boolean {
    let slot = this.#find();
    if (this.#slots[slot] !== 0) return false;
    if (this.#size === this.#limit) {
      this.#forgetOldest();
      slot = this.#find();
    } else if (this.#size * LANES === this.#prints.length) {
      this.#grow();
      slot = this.#find();
    }
    const place = (this.#head + this.#size) % (this.#prints.length / LANES);
    this.#prints.set(this.#print, place * LANES);
    this.#slots[slot] = place + 1;
    this.#size++;
    return true;
  }

  /** The slot that holds the present fingerprint, or the free one where it belongs. */
  #find(): number {
    const mask = this.#slots.length - 1;
    for (let slot = (this.#print[0] as number) & mask; ; slot = (slot + 1) & mask) {
      const place = this.#slots[slot] as number;
      if (place === 0 || this.#isPrintAt((place - 1) * LANES)) return slot;
    }
  }

  #isPrintAt(at: number): boolean {
    for (let lane = 0; lane < LANES; lane++) if (this.#prints[at + lane] !== this.#print[lane]) return false;
    return true;
  }

  /** Frees the oldest's slot and moves back what had been pushed past it (Knuth, TAOCP 6.4, algorithm R). */
  #forgetOldest(): void {
    const mask = this.#slots.length - 1;
    const place = this.#head + 1;
    let hole = this.#homeOf(place);
    while (this.#slots[hole] !== place) hole = (hole + 1) & mask;
    for (let next = (hole + 1) & mask; this.#slots[next] !== 0; next = (next + 1) & mask) {
      const moved = this.#slots[next] as number;
      if (((next - this.#homeOf(moved)) & mask) < ((next - hole) & mask)) continue;
      this.#slots[hole] = moved;
      hole = next;
    }
    this.#slots[hole] = 0;
    this.#head = (this.#head + 1) % (this.#prints.length / LANES);
    this.#size--;
  }

  #homeOf(place: number): number {
    return (this.#prints[(place - 1) * LANES] as number) & (this.#slots.length - 1);
  }

  /** Only ever before the first id is forgotten, so the ring starts at 0. */
  #grow(): void {
    const capacity = Math.min(this.#limit, this.#size * 2);
    const prints = new Uint32Array(capacity * LANES);
    prints.set(this.#prints);
    this.#prints = prints;
    this.#slots = new Uint32Array(slotCount(capacity));
    const mask = this.#slots.length - 1;
    for (let place = 1; place <= this.#size; place++) {
      let slot = this.#homeOf(place);
      while (this.#slots[slot] !== 0) slot = (slot + 1) & mask;
      this.#slots[slot] = place;
    }
  }
}

/** A power of two, at least 1.5 times the capacity. */
function slotCount(capacity: number): number {
  return 2 ** Math.ceil(Math.log2(capacity * 1.5 + 1));
}

/**
 * 128 bits of the id's UTF-16 code units: the rounds of cyrb128 (bryc, github.com/bryc/code, public domain), which
 * lose nothing, and the end of MurmurHash3_x86_128 (Appleby), which mixes the lanes and loses nothing either.
 */
function fingerprint(id: string, out: Uint32Array): void {
  let a = 0x6a09e667;
  let b = 0xbb67ae85;
  let c = 0x3c6ef372;
  let d = 0xa54ff53a;
  for (let i = 0; i < id.length; i++) {
    const unit = id.charCodeAt(i);
    a = b ^ Math.imul(a ^ unit, 597399067);
    b = c ^ Math.imul(b ^ unit, 2869860233);
    c = d ^ Math.imul(c ^ unit, 951274213);
    d = a ^ Math.imul(d ^ unit, 2716044179);
  }
  a = (a + b + c + d + id.length) | 0;
  b = avalanche((b + a) | 0);
  c = avalanche((c + a) | 0);
  d = avalanche((d + a) | 0);
  a = avalanche(a);
  a = (a + b + c + d) | 0;
  out[0] = a;
  out[1] = b + a;
  out[2] = c + a;
  out[3] = d + a;
}

/** MurmurHash3's fmix32. */
function avalanche(lane: number): number {
  let h = lane;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}
