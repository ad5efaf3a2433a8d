/**
 * Files that survive a crash: what is published is whole and stays, what is not leaves nothing.
 * A file is durable once its bytes are synced and every directory entry on the way to it is, too.
 */
import { mkdirSync, rmdirSync } from "node:fs";
import { type FileHandle, mkdir, open } from "node:fs/promises";
import { dirname, sep } from "node:path";

/** Directories whose entry is known to be on disk, above which the memory of them starts anew. */
const MAX_KNOWN_DIRECTORIES = 50_000;
/** How often a directory that vanishes while a file is made in it is made again. */
const MAX_ATTEMPTS = 16;

/** The system's name of a failure, such as ENOENT; undefined for what is no system error. */
export function errnoOf(error: unknown): string | undefined {
  const code = (error as NodeJS.ErrnoException | undefined)?.code;
  return typeof code === "string" ? code : undefined;
}

/** Waits until the directory's entries are on disk. */
export async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, "r");
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

/** Makes a directory and those above it that are missing, durably. */
export async function makeDirectory(path: string): Promise<void> {
  const first_made = await mkdir(path, { recursive: true });
  if (first_made === undefined) return;
  for (let it = path; it.length >= first_made.length; it = dirname(it)) await syncDirectory(dirname(it));
}

/**
 * A tree of directories that files come and go in. It makes directories when a file needs them, removes
 * them when the last file is gone, and knows which of them a crash could still take back.
 */
export class DurableTree {
  readonly #root: string;
  /** Directories that were seen; `synced` once the entry in the parent is on disk. */
  readonly #known = new Map<string, { synced: boolean }>();
  readonly #syncs = new Map<string, { running: Promise<void>; next?: Promise<void> }>();

  /** @param root absolute; made if missing, never removed */
  constructor(root: string) {
    this.#root = root;
  }

  /** Opens a new file, making its directories. @throws the system's error (EEXIST, ENOTDIR, ENOSPC …) */
  async create(path: string): Promise<FileHandle> {
    const directory = dirname(path);
    for (let attempt = 1; ; attempt++) {
      this.#ensure(directory);
      try {
        return await open(path, "wx", 0o644);
      } catch (error) {
        // Pruned between the two steps, or removed by hand.
        if (errnoOf(error) !== "ENOENT" || attempt === MAX_ATTEMPTS) throw error;
        for (const it of this.#chain(directory)) this.#known.delete(it);
      }
    }
  }

  /** Waits until every entry made or removed on the way from the root to this directory's files is on disk. */
  async sync(directory: string): Promise<void> {
    const waits = [this.#syncEntries(directory)];
    for (const it of this.#chain(directory)) {
      const known = this.#known.get(it);
      if (known?.synced) continue;
      waits.push(
        this.#syncEntries(dirname(it)).then(() => {
          // Another directory may stand there by now: only the one that was meant is marked.
          if (known !== undefined && this.#known.get(it) === known) known.synced = true;
        }),
      );
    }
    await Promise.all(waits);
  }

  /** Removes the directory and those above it, as far as they are empty. */
  prune(directory: string): void {
    for (const it of this.#chain(directory)) {
      try {
        rmdirSync(it);
      } catch (error) {
        const errno = errnoOf(error) ?? "";
        if (["ENOTEMPTY", "EEXIST", "EBUSY"].includes(errno)) return;
        // ENOTDIR: a file stands where a directory was wanted.
        if (errno !== "ENOENT" && errno !== "ENOTDIR") throw error;
      }
      this.#known.delete(it);
    }
  }

  /** The directory and those above it, below the root, deepest first. */
  #chain(directory: string): string[] {
    const chain: string[] = [];
    for (let it = directory; it !== this.#root && it.startsWith(this.#root + sep); it = dirname(it))
      chain.push(it);
    return chain;
  }

  /** In one step with `#known`, so that no directory is taken for another that stood there before. */
  #ensure(directory: string): void {
    if (this.#known.has(directory)) return;
    if (this.#known.size >= MAX_KNOWN_DIRECTORIES) this.#known.clear();
    const first_made = mkdirSync(directory, { recursive: true });
    for (const it of this.#chain(directory)) {
      const made = first_made !== undefined && it.length >= first_made.length;
      if (made || !this.#known.has(it)) this.#known.set(it, { synced: false });
    }
  }

  /** One sync at a time for a directory: whoever comes while it runs shares the one after it. */
  #syncEntries(directory: string): Promise<void> {
    const current = this.#syncs.get(directory);
    if (current === undefined) return this.#start(directory);
    current.next ??= current.running.then(
      () => this.#start(directory),
      () => this.#start(directory),
    );
    return current.next;
  }

  /** A directory that was pruned meanwhile is gone for good once the one above it is on disk. */
  async #syncNearest(directory: string): Promise<void> {
    try {
      await syncDirectory(directory);
    } catch (error) {
      const gone = errnoOf(error) === "ENOENT" || errnoOf(error) === "ENOTDIR";
      if (!gone || directory === this.#root) throw error;
      await this.#syncNearest(dirname(directory));
    }
  }

  #start(directory: string): Promise<void> {
    const running = this.#syncNearest(directory);
    const entry: { running: Promise<void>; next?: Promise<void> } = { running };
    this.#syncs.set(directory, entry);
    const forget = () => {
      if (entry.next === undefined) this.#syncs.delete(directory);
    };
    running.then(forget, forget);
    return running;
  }
}

/** Writes all of `bytes` where the file stands; a system may take fewer at a time. */
export async function writeAll(file: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.byteLength; ) {
    const { bytesWritten } = await file.write(bytes, at, bytes.byteLength - at);
    at += bytesWritten;
  }
}
