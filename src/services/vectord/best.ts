/** The few best of many, kept in order while they come. */

export interface Placed {
  readonly item: number;
  readonly cost: number;
  readonly tie: number;
}

export class Best {
  readonly #count: number;
  readonly #placed: Placed[] = [];

  constructor(count: number) {
    this.#count = count;
  }

  /** Whether one would be kept: the lower cost is better, and among equals the lower tie. */
  isWorthy(cost: number, tie: number): boolean {
    if (this.#placed.length < this.#count) return true;
    const last = this.#placed[this.#count - 1];
    return last !== undefined && isBetter(cost, tie, last);
  }

  add(item: number, cost: number, tie: number): void {
    if (!this.isWorthy(cost, tie)) return;
    let low = 0;
    for (let high = this.#placed.length; low < high; ) {
      const middle = (low + high) >> 1;
      if (isBetter(cost, tie, this.#placed[middle] as Placed)) high = middle;
      else low = middle + 1;
    }
    this.#placed.splice(low, 0, { item, cost, tie });
    if (this.#placed.length > this.#count) this.#placed.pop();
  }

  /** The best first. */
  list(): readonly Placed[] {
    return this.#placed;
  }
}

const isBetter = (cost: number, tie: number, than: Placed) =>
  cost < than.cost || (cost === than.cost && tie < than.tie);
