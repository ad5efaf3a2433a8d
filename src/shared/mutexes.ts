/** One at a time for each key: a check and the change that rests on it can't be parted. */
export class Mutexes {
  readonly #tails = new Map<string, Promise<void>>();

  /** Runs `work` once all earlier work on the same key is done. */
  async run<T>(key: string, work: () => Promise<T>): Promise<T> {
    const before = this.#tails.get(key);
    const { promise: tail, resolve } = Promise.withResolvers<void>();
    this.#tails.set(key, tail);
    await before;
    try {
      return await work();
    } finally {
      if (this.#tails.get(key) === tail) this.#tails.delete(key);
      resolve();
    }
  }
}
