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
}
/** Values of one type, for ranges: in order, and those that came since. */
interface Order {
  sorted: Posting[];
  fresh: Posting[];
}

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
      if (isScalar(value)) this.#posting(value).slots.add(slot, slots);
    }
  }

  /** @param metadata what it was put with */
  remove(slot: number, metadata: Metadata): void {
    this.#present.delete(slot);
    this.#null.delete(slot);
    for (const value of valuesAt(metadata, this.#path)) {
      const posting = isScalar(value) ? this.#by_value.get(value) : undefined;
      posting?.slots.delete(slot);
      // What stands in an order stays until its next merge, so that no value stands there twice.
      if (posting?.slots.size === 0 && !this.#orders) this.#by_value.delete(posting.value);
    }
  }

  #posting(value: Scalar): Posting {
    const known = this.#by_value.get(value);
    if (known) return known;
    const posting = { value, slots: new SlotSet() };
    this.#by_value.set(value, posting);
    const order = typeof value === "boolean" ? undefined : this.#orders?.[orderOf(value)];
    if (order) {
      // Before the new one, which has no slot yet and would be taken for one that is gone.
      if (order.fresh.length > Math.max(FRESH_MIN, order.sorted.length * FRESH_SHARE)) this.#merge(order);
      order.fresh.push(posting);
    }
    return posting;
  }

  /** The slots of `within` for which a test of this field holds. */
  find(test: Test, within: Bits): Bits {
    if ("wanted" in test) return this.#is(test, within);
    const found = new Bits(within.capacity);
    if (test.kind === "any") for (const value of test.values) this.#by_value.get(value)?.slots.addTo(found);
    else for (const posting of this.#within(test)) posting.slots.addTo(found);
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

  /** The postings of a range: a stretch of the sorted ones, and some of those that came since. */
  #within({ range, within }: RangeTest): Posting[] {
    const bound = range.gte ?? range.gt ?? range.lte ?? range.lt;
    this.#orders ??= this.#order();
    const { sorted, fresh } = this.#orders[orderOf(bound as number | string)];
    const isBefore = ({ value }: Posting) =>
      (range.gt !== undefined && value <= range.gt) || (range.gte !== undefined && value < range.gte);
    const isAfter = ({ value }: Posting) =>
      (range.lt !== undefined && value >= range.lt) || (range.lte !== undefined && value > range.lte);
    const from = firstNot(sorted, isBefore);
    const to = firstNot(sorted, (it) => !isAfter(it), from);
    return sorted
      .slice(from, to)
      .concat(fresh)
      .filter((it) => within(it.value));
  }

  #order(): { number: Order; string: Order } {
    const orders = { number: { sorted: [], fresh: [] }, string: { sorted: [], fresh: [] } } as {
      number: Order;
      string: Order;
    };
    for (const posting of this.#by_value.values())
      if (typeof posting.value !== "boolean") orders[orderOf(posting.value)].fresh.push(posting);
    this.#merge(orders.number);
    this.#merge(orders.string);
    return orders;
  }

  #merge(order: Order): void {
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
  }
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
