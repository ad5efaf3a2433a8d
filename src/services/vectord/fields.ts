/** The declared fields of one index, and what a filter lets through by them. */

import type { FilterTree, Metadata, Question } from "../../shared/filter.ts";
import { Bits } from "./bits.ts";
import { Postings } from "./postings.ts";

/** Slots of a field declared later that are read in one go: what a search may have to wait for. */
const STEP_SLOTS = 500;

interface Field {
  readonly postings: Postings;
  /** Slots below this are in; infinite once all are. */
  built: number;
}

/** What the fields are made of. */
export interface Items {
  /** Slots there are, free ones among them. */
  readonly slots: number;
  readonly held: Bits;
  metadata(slot: number): Metadata;
}

export class Fields {
  readonly #fields = new Map<string, Field>();

  get keys(): string[] {
    return [...this.#fields.keys()];
  }

  get is_whole(): boolean {
    return this.#fields.values().every((it) => it.built === Number.POSITIVE_INFINITY);
  }

  get is_empty(): boolean {
    return this.#fields.size === 0;
  }

  /** Keeps these and no others; what is new is filled step by step where there are items already. */
  declare(keys: readonly string[], slots: number): void {
    for (const key of this.keys) if (!keys.includes(key)) this.#fields.delete(key);
    for (const key of keys)
      if (!this.#fields.has(key))
        this.#fields.set(key, {
          postings: new Postings(key),
          built: slots === 0 ? Number.POSITIVE_INFINITY : 0,
        });
  }

  put(slot: number, metadata: Metadata, slots: number): void {
    for (const { postings } of this.#fields.values()) postings.put(slot, metadata, slots);
  }

  remove(slot: number, metadata: Metadata): void {
    for (const { postings } of this.#fields.values()) postings.remove(slot, metadata);
  }

  /** Reads a few items into what is not whole. @returns whether anything is left to do */
  step({ slots, held, metadata }: Items): boolean {
    for (const field of this.#fields.values()) {
      if (field.built >= slots) field.built = Number.POSITIVE_INFINITY;
      if (field.built === Number.POSITIVE_INFINITY) continue;
      const to = Math.min(slots, field.built + STEP_SLOTS);
      for (let slot = field.built; slot < to; slot++)
        if (held.has(slot)) field.postings.put(slot, metadata(slot), slots);
      field.built = to;
      return true;
    }
    return false;
  }

  /** What a filter lets through, of `within`; items are asked only for what no declared field answers. */
  passing(tree: FilterTree, within: Bits, metadata: (slot: number) => Metadata): Bits {
    const one = (clause: FilterTree | Question, among: Bits) =>
      "must" in clause ? this.passing(clause, among, metadata) : this.#find(clause, among, metadata);
    let left = within;
    for (const clause of tree.must.toSorted((a, b) => this.#cost(a) - this.#cost(b)))
      left = one(clause, left);
    if (tree.should.length > 0) {
      const some = new Bits(0);
      for (const clause of tree.should) some.or(one(clause, left));
      left = some;
    }
    for (const clause of tree.must_not) left = new Bits(0, left).andNot(one(clause, left));
    return left;
  }

  /** What asks no item comes first, so that few are left to be asked. */
  #cost(clause: FilterTree | Question): number {
    if ("must" in clause) return 1;
    return this.#whole(clause.key) ? 0 : 2;
  }

  #whole(key: string): Postings | undefined {
    const field = this.#fields.get(key);
    return field?.built === Number.POSITIVE_INFINITY ? field.postings : undefined;
  }

  #find({ key, test, passes }: Question, within: Bits, metadata: (slot: number) => Metadata): Bits {
    const postings = this.#whole(key);
    if (postings) return postings.find(test, within);
    const found = new Bits(0);
    for (const slot of within.list()) if (passes(metadata(slot))) found.set(slot);
    return found;
  }
}
