/** A body's digest, computed in the thread pool while the body arrives: the loop has the socket and the disk to mind. */

const BLOCK_BYTES = 1024 * 1024;
/** Blocks being hashed at a time; a body that outruns them waits. */
const MAX_AHEAD = 4;

/**
 * SHA-256 over the SHA-256 of each MiB and of the rest, in order: blocks, unlike one running hash, can be
 * handed to other threads. The same for the same bytes however they are cut into chunks.
 */
export class BodyDigest {
  readonly #outer = new Bun.CryptoHasher("sha256");
  /** Made with the first byte, and filled again and again: a block is copied as it is handed over. */
  #block: Uint8Array<ArrayBuffer> | undefined;
  #filled = 0;
  readonly #ahead: Promise<ArrayBuffer>[] = [];

  /** One at a time: to be awaited before the next. */
  async update(chunk: Uint8Array): Promise<void> {
    this.#block ??= new Uint8Array(BLOCK_BYTES);
    for (let at = 0; at < chunk.byteLength; ) {
      const part = chunk.subarray(at, at + BLOCK_BYTES - this.#filled);
      this.#block.set(part, this.#filled);
      this.#filled += part.byteLength;
      at += part.byteLength;
      if (this.#filled < BLOCK_BYTES) continue;
      await this.#settle(MAX_AHEAD - 1);
      this.#ahead.push(crypto.subtle.digest("SHA-256", this.#block));
      this.#filled = 0;
    }
  }

  /** The digest of all that was given, in hex; ends it. */
  async hex(): Promise<string> {
    await this.#settle(0);
    // The rest is hashed here: a small body isn't worth a trip through the pool.
    const rest = this.#block?.subarray(0, this.#filled) ?? new Uint8Array();
    return this.#outer.update(new Bun.CryptoHasher("sha256").update(rest).digest()).digest("hex");
  }

  /** Takes in the oldest digests until at most `left` blocks are still being hashed. */
  async #settle(left: number): Promise<void> {
    while (this.#ahead.length > left) {
      const oldest = this.#ahead.shift();
      if (oldest) this.#outer.update(await oldest);
    }
  }
}
