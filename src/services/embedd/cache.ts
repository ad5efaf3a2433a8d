/** Vectors already made, the longest unused forgotten first, bounded in bytes. */

export interface Made {
  readonly vector: Float32Array;
  readonly tokens: number;
  readonly is_truncated: boolean;
}

/** What an entry takes beside its vector: key, objects and their places in the map. */
const ENTRY_BYTES = 320;

export class VectorCache {
  /** In order of use, the oldest first. */
  readonly #entries = new Map<string, Made>();
  readonly #max_bytes: number;
  bytes = 0;
  hits = 0;
  misses = 0;

  constructor(max_bytes: number) {
    this.#max_bytes = max_bytes;
  }

  /** SHA-256, so that nobody can make two texts that share an entry. */
  static keyOf(model: string, text: string): string {
    return `${model}\n${new Bun.CryptoHasher("sha256").update(text).digest("base64")}`;
  }

  get(key: string): Made | undefined {
    const found = this.#entries.get(key);
    if (found === undefined) {
      this.misses++;
      return undefined;
    }
    this.hits++;
    this.#entries.delete(key);
    this.#entries.set(key, found);
    return found;
  }

  put(key: string, made: Made): void {
    const size = sizeOf(made);
    if (size > this.#max_bytes) return;
    const before = this.#entries.get(key);
    if (before) {
      this.bytes -= sizeOf(before);
      this.#entries.delete(key);
    }
    this.#entries.set(key, made);
    this.bytes += size;
    for (const [oldest, it] of this.#entries) {
      if (this.bytes <= this.#max_bytes) break;
      this.#entries.delete(oldest);
      this.bytes -= sizeOf(it);
    }
  }
}

const sizeOf = ({ vector }: Made) => vector.byteLength + ENTRY_BYTES;
