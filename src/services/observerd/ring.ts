/** The newest N of something, in order of arrival. */
export class Ring<T> {
  readonly #items: T[] = [];
  readonly #capacity: number;
  #next = 0;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  get size(): number {
    return this.#items.length;
  }

  push(item: T): void {
    this.#items[this.#next] = item;
    this.#next = this.#next + 1 === this.#capacity ? 0 : this.#next + 1;
  }

  /** The one that came `age` before the newest. @param age from 0 to size - 1 */
  newest(age: number): T {
    const { length } = this.#items;
    return this.#items[(this.#next - 1 - age + 2 * length) % length] as T;
  }
}
