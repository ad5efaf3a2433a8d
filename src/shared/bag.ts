/** Things under way, in no order: put in and taken out at the cost of an array's end, where a Set would hash. */

export interface Placed {
  /** Where it stands in its bag; the bag's own. */
  place: number;
}

export class Bag<T extends Placed> implements Iterable<T> {
  readonly #items: T[] = [];

  get size(): number {
    return this.#items.length;
  }

  add(item: T): void {
    item.place = this.#items.push(item) - 1;
  }

  /** Takes out what is in; nothing happens where it is not. */
  remove(item: T): void {
    if (this.#items[item.place] !== item) return;
    const last = this.#items.pop() as T;
    if (last === item) return;
    this.#items[item.place] = last;
    last.place = item.place;
  }

  /** Over those there were at the start, so that they may be taken out meanwhile. */
  [Symbol.iterator](): Iterator<T> {
    return [...this.#items][Symbol.iterator]();
  }
}
