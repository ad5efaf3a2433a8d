/** Items that the index does not hold as they are now, in the order in which they first changed. */

interface Entry {
  /** The record that changed it first. */
  readonly seq: number;
  /** Whether the index never held it. */
  readonly is_new: boolean;
  touches: number;
}

/** An item as it was taken, to be told apart from what it becomes meanwhile. */
export interface Taken {
  readonly id: string;
  readonly is_new: boolean;
  readonly touches: number;
}

export class Dirty {
  readonly #entries = new Map<string, Entry>();

  get size(): number {
    return this.#entries.size;
  }

  /** The oldest record that is not in the index; undefined where all are. */
  get first_seq(): number | undefined {
    return this.#entries.values().next().value?.seq;
  }

  has(id: string): boolean {
    return this.#entries.has(id);
  }

  touch(id: string, seq: number, is_new: boolean): void {
    const entry = this.#entries.get(id);
    if (entry) entry.touches++;
    else this.#entries.set(id, { seq, is_new, touches: 1 });
  }

  clear(): void {
    this.#entries.clear();
  }

  /** The first ones; they stay until they are `done`. */
  take(count: number): Taken[] {
    const taken: Taken[] = [];
    for (const [id, { is_new, touches }] of this.#entries) {
      if (taken.length === count) break;
      taken.push({ id, is_new, touches });
    }
    return taken;
  }

  /** They are in the index, but for those that changed again meanwhile. */
  done(taken: readonly Taken[]): void {
    for (const { id, touches } of taken)
      if (this.#entries.get(id)?.touches === touches) this.#entries.delete(id);
  }
}
