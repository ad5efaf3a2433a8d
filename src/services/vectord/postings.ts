/**
 * One declared field of an index: which slots hold each of its values, so that a filter on it asks no item.
 * Derived from the metadata, and kept with every write.
 */

import {
  type Existence,
  type Metadata,
  type RangeTest,
  readPath,
  type Test,
  valuesAt,
} from "../../shared/filter.ts";
import type { Scalar } from "../../shared/filter_schema.ts";
import { Bits, SlotSet } from "./bits.ts";

interface Posting {
  readonly value: Scalar;
  readonly slots: SlotSet;
  /** Where it is in order: the slots of its stretch. */
  stretch: SlotSet | undefined;
}
/** Values of one type, for ranges: in order, the slots of each stretch of these, and values that came since. */
interface Order {
  sorted: Posting[];
  stretches: SlotSet[];
  fresh: Posting[];
}

/** So many values in order make a stretch: a long range joins whole ones, and looks at single values at its ends. */
const STRETCH = 512;

/** New values wait until there are so many, or as many as a part of the sorted ones, and are merged then. */
const FRESH_MIN = 1024;
const FRESH_SHARE = 1 / 16;

export class Postings {
  readonly #path: readonly string[];
  readonly #by_value = new Map<Scalar, Posting>();
  readonly #present = new SlotSet();
  readonly #null = new SlotSet();
  /** Made when a range is first asked. */
  #orders: { number: Order; string: Order } | undefined;

  constructor(key: string) {
    this.#path = readPath(key);
  }

  /** May be told of a slot again. @param slots how many slots there are */
  put(slot: number, metadata: Metadata, slots: number): void {
    for (const value of valuesAt(metadata, this.#path)) {
      (value === null ? this.#null : this.#present).add(slot, slots);
      if (!isScalar(value)) continue;
      const posting = this.#posting(value, slots);
      posting.slots.add(slot, slots);
      posting.stretch?.add(slot, slots);
    }
  }

  /** @param metadata what it was put with */
  remove(slot: number, metadata: Metadata): void {
    this.#present.delete(slot);
    this.#null.delete(slot);
    for (const value of valuesAt(metadata, this.#path)) {
      const posting = isScalar(value) ? this.#by_value.get(value) : undefined;
      posting?.slots.delete(slot);
      // With all its values a slot leaves the stretch, too.
      posting?.stretch?.delete(slot);
      // What stands in an order stays until its next merge, so that no value stands there twice.
      if (posting?.slots.size === 0 && !this.#orders) this.#by_value.delete(posting.value);
    }
  }

  #posting(value: Scalar, slots: number): Posting {
    const known = this.#by_value.get(value);
    if (known) return known;
    const posting = { value, slots: new SlotSet(), stretch: undefined };
    this.#by_value.set(value, posting);
    const order = typeof value === "boolean" ? undefined : this.#orders?.[orderOf(value)];
    if (order) {
      // Before the new one, which has no slot yet and would be taken for one that is gone.
      if (order.fresh.length > Math.max(FRESH_MIN, order.sorted.length * FRESH_SHARE))
        this.#merge(order, slots);
      order.fresh.push(posting);
    }
    return posting;
  }

  /** The slots of `within` for which a test of this field holds. */
  find(test: Test, within: Bits): Bits {
    if ("wanted" in test) return this.#is(test, within);
    const found = new Bits(within.capacity);
    if (test.kind === "any") for (const value of test.values) this.#by_value.get(value)?.slots.addTo(found);
    else this.#addRange(test, found);
    return found.and(within);
  }

  #is({ kind, wanted }: Existence, within: Bits): Bits {
    const held = new Bits(within.capacity);
    const present = new Bits(within.capacity);
    this.#present.addTo(present);
    if (kind === "exists") held.or(present);
    else {
      this.#null.addTo(held);
      held.andNot(present);
    }
    const result = new Bits(0, within);
    return wanted ? result.and(held) : result.andNot(held);
  }

  #addRange({ range, within }: RangeTest, found: Bits): void {
    const bounds = Object.values(range).filter((it) => it !== undefined);
    const type = orderOf(bounds[0] as number | string);
    if (bounds.some((it) => typeof it !== type)) return;
    this.#orders ??= this.#order(found.capacity);
    const { sorted, stretches, fresh } = this.#orders[type];
    const isBefore = ({ value }: Posting) =>
      (range.gt !== undefined && value <= range.gt) || (range.gte !== undefined && value < range.gte);
    const isAfter = ({ value }: Posting) =>
      (range.lt !== undefined && value >= range.lt) || (range.lte !== undefined && value > range.lte);
    const from = firstNot(sorted, isBefore);
    const to = firstNot(sorted, (it) => !isAfter(it), from);
    for (let at = from; at < to; )
      if (at % STRETCH === 0 && at + STRETCH <= to) {
        stretches[at / STRETCH]?.addTo(found);
        at += STRETCH;
      } else sorted[at++]?.slots.addTo(found);
    for (const posting of fresh) if (within(posting.value)) posting.slots.addTo(found);
  }

  #order(slots: number): { number: Order; string: Order } {
    const orders: { number: Order; string: Order } = {
      number: { sorted: [], stretches: [], fresh: [] },
      string: { sorted: [], stretches: [], fresh: [] },
    };
    for (const posting of this.#by_value.values())
      if (typeof posting.value !== "boolean") orders[orderOf(posting.value)].fresh.push(posting);
    this.#merge(orders.number, slots);
    this.#merge(orders.string, slots);
    return orders;
  }

  #merge(order: Order, slots: number): void {
    const fresh = order.fresh.sort(byValue);
    const merged: Posting[] = [];
    let at = 0;
    const take = (posting: Posting) => {
      if (posting.slots.size > 0) merged.push(posting);
      else this.#by_value.delete(posting.value);
    };
    for (const posting of order.sorted) {
      while (at < fresh.length && byValue(fresh[at] as Posting, posting) < 0) take(fresh[at++] as Posting);
      take(posting);
    }
    while (at < fresh.length) take(fresh[at++] as Posting);
    order.sorted = merged;
    order.fresh = [];
    order.stretches = [];
    for (let from = 0; from < merged.length; from += STRETCH)
      order.stretches.push(joined(merged.slice(from, from + STRETCH), slots));
  }
}

/** The slots of some values, of which each is told. */
function joined(postings: readonly Posting[], slots: number): SlotSet {
  const all = postings.flatMap((it) => it.slots.list());
  const stretch = SlotSet.of([...new Set(Int32Array.from(all).sort())], slots);
  for (const posting of postings) posting.stretch = stretch;
  return stretch;
}

const isScalar = (value: unknown): value is Scalar =>
  typeof value === "string" || typeof value === "number" || typeof value === "boolean";
const orderOf = (value: number | string) => typeof value as "number" | "string";
const byValue = (a: Posting, b: Posting) => (a.value < b.value ? -1 : a.value > b.value ? 1 : 0);

/** The first place from which on a test, that holds up to somewhere, doesn't. */
function firstNot(sorted: readonly Posting[], test: (it: Posting) => boolean, from = 0): number {
  let low = from;
  for (let high = sorted.length; low < high; ) {
    const middle = (low + high) >> 1;
    if (test(sorted[middle] as Posting)) low = middle + 1;
    else high = middle;
  }
  return low;
}
