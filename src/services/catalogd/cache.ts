/** Keeps what is read from immutable objects, least recently used first out, by the bytes it stands for. */

export class ByteCache {
  readonly #entries = new Map<string, { value: Promise<unknown>; bytes: number }>();
  readonly #max_bytes: number;
  #bytes = 0;

  constructor(max_bytes: number) {
    this.#max_bytes = max_bytes;
  }

  /** The value for a key, made at most once at a time; one that failed to be made is not kept. */
  get<T>(key: string, make: () => Promise<{ value: T; bytes: number }>): Promise<T> {
    const known = this.#entries.get(key);
    if (known) {
      this.#entries.delete(key);
      this.#entries.set(key, known);
      return known.value as Promise<T>;
    }
    const made = make();
    const entry = { value: made.then(({ value }) => value), bytes: 0 };
    this.#entries.set(key, entry);
    made.then(
      ({ bytes }) => {
        if (this.#entries.get(key) !== entry) return;
        entry.bytes = bytes;
        this.#bytes += bytes;
        this.#shrink();
      },
      () => {
        if (this.#entries.get(key) === entry) this.#entries.delete(key);
      },
    );
    return entry.value;
  }

  #shrink(): void {
    for (const [key, { bytes }] of this.#entries) {
      if (this.#bytes <= this.#max_bytes) return;
      this.#entries.delete(key);
      this.#bytes -= bytes;
    }
  }
}
