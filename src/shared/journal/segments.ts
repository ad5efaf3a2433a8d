/** The files of a journal: `<name>.jsonl` is appended to, `<name>.<first _seq>.jsonl` are closed. */
import { fdatasync, readdirSync, writeSync } from "node:fs";
import { basename, dirname, join } from "node:path";

const EXTENSION = ".jsonl";

export interface Segment {
  readonly path: string;
  readonly first_seq: number;
}

export class JournalFiles {
  readonly active: string;
  readonly directory: string;
  readonly #stem: string;

  /** @param path of the active segment, ending in .jsonl */
  constructor(path: string) {
    if (!path.endsWith(EXTENSION) || basename(path) === EXTENSION)
      throw new Error(`a journal's path ends in <name>${EXTENSION} (got "${path}")`);
    this.active = path;
    this.directory = dirname(path);
    this.#stem = basename(path, EXTENSION);
  }

  get lock(): string {
    return join(this.directory, `${this.#stem}.lock`);
  }

  /** What the active segment is called once closed. */
  closed(first_seq: number): string {
    return join(this.directory, `${this.#stem}.${first_seq}${EXTENSION}`);
  }

  /** The closed segments, oldest first. */
  segments(): Segment[] {
    const found: Segment[] = [];
    for (const name of readdirSync(this.directory)) {
      if (!name.startsWith(`${this.#stem}.`) || !name.endsWith(EXTENSION)) continue;
      const digits = name.slice(this.#stem.length + 1, -EXTENSION.length);
      if (/^[1-9]\d{0,15}$/.test(digits))
        found.push({ path: join(this.directory, name), first_seq: Number(digits) });
    }
    return found.sort((a, b) => a.first_seq - b.first_seq);
  }
}

/** Makes a file's content and length durable. Off the event loop: a slow disk delays nobody else. */
export function syncData(fd: number): Promise<void> {
  return new Promise((resolve, reject) => fdatasync(fd, (error) => (error ? reject(error) : resolve())));
}

/** Writes all of `bytes[0, length)`: a single write may take less. */
export function writeAll(fd: number, bytes: Uint8Array, length: number): void {
  for (let written = 0; written < length; ) written += writeSync(fd, bytes, written, length - written);
}
