/** Vector indexes as files that a worker can read: fetched from vectord, and again once an index has changed. */
import { closeSync, mkdirSync, openSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import { LakeError } from "../../shared/errors.ts";
import type { Vectord } from "../vectord/schema.ts";

export interface IndexFilesOptions {
  readonly vectord: Vectord;
  /** Absolute; workers may read what lies in it, and it is nobody else's. */
  readonly folder: string;
  /** What the files may take together. */
  readonly max_bytes: number;
  /** How long a file that no query reads is kept: what is erased from an index must not stay in a copy. */
  readonly idle_ms: number;
}

/** A file that stays as long as it is needed. */
export interface IndexFile {
  readonly name: string;
  readonly path: string;
  readonly with_vector: boolean;
  release(): void;
}

/** With vectors or without them: the copies of an index live apart. */
type Form = Pick<IndexFile, "name" | "with_vector">;

interface Held extends Form {
  readonly version: string;
  readonly path: string;
  readonly bytes: number;
  users: number;
  idle: ReturnType<typeof setTimeout> | undefined;
  /** Whether a newer one has taken its place, or it had to make room. */
  is_retired: boolean;
  is_gone: boolean;
}

/** Of one index: the look at its version under way, and the one that begins after it. */
interface Lane {
  running?: Promise<Held> | undefined;
  next?: Promise<Held> | undefined;
}

export class IndexFiles {
  readonly #options: IndexFilesOptions;
  /** By form; the one longest unused first. */
  readonly #held = new Map<string, Held>();
  readonly #lanes = new Map<string, Lane>();

  constructor(options: IndexFilesOptions) {
    this.#options = options;
    rmSync(options.folder, { recursive: true, force: true });
    mkdirSync(options.folder, { recursive: true });
  }

  /**
   * The index with all that was acknowledged before this was asked; to be released.
   * @throws LakeError not_found, resource_limit, or vectord's
   */
  async take(name: string, with_vector: boolean): Promise<IndexFile> {
    const form = { name, with_vector };
    for (;;) {
      const held = await this.#newest(form);
      // Another index's file may have taken its room meanwhile.
      if (held.is_gone) continue;
      held.users++;
      clearTimeout(held.idle);
      let is_released = false;
      const release = () => {
        if (is_released) return;
        is_released = true;
        held.users--;
        if (held.users === 0) this.#retireLater(held);
        this.#sweep(held);
      };
      return { ...form, path: held.path, release };
    }
  }

  /** A look that began before this question could miss what was acknowledged since: the next is shared. */
  #newest(form: Form): Promise<Held> {
    const key = keyOf(form);
    const lane = this.#lanes.get(key) ?? {};
    this.#lanes.set(key, lane);
    const begin = () => {
      const look = this.#refresh(form).finally(() => {
        if (lane.running === look) lane.running = undefined;
        if (!lane.running && !lane.next) this.#lanes.delete(key);
      });
      lane.running = look;
      return look;
    };
    if (!lane.running) return begin();
    lane.next ??= lane.running
      .catch(() => {})
      .then(() => {
        lane.next = undefined;
        return begin();
      });
    return lane.next;
  }

  async #refresh(form: Form): Promise<Held> {
    const { name, with_vector } = form;
    const key = keyOf(form);
    const before = this.#held.get(key);
    const { version, body } = await this.#options.vectord.tables.parquet(name, {
      vectors: with_vector,
      ...(before === undefined ? {} : { unless_version: before.version }),
    });
    if (body === undefined) {
      const same = this.#held.get(key);
      // It made room for another while vectord was asked.
      if (same === undefined) return this.#refresh(form);
      this.#held.delete(key);
      this.#held.set(key, same);
      return same;
    }
    const path = join(this.#options.folder, `${Bun.randomUUIDv7()}.parquet`);
    const bytes = await this.#write(name, body, path);
    const held: Held = {
      ...form,
      version,
      path,
      bytes,
      users: 0,
      idle: undefined,
      is_retired: false,
      is_gone: false,
    };
    if (before) this.#retire(before);
    this.#held.set(key, held);
    // Whoever asked may have given up by now.
    this.#retireLater(held);
    this.#makeRoom(held);
    return held;
  }

  async #write(name: string, body: ReadableStream<Uint8Array>, path: string): Promise<number> {
    const { max_bytes } = this.#options;
    const fd = openSync(path, "wx", 0o600);
    let bytes = 0;
    try {
      for await (const chunk of body) {
        bytes += chunk.byteLength;
        if (bytes > max_bytes)
          throw new LakeError(
            "resource_limit",
            `Index "${name}" takes more than the ${max_bytes} bytes that indexes may take here (queryd.index_cache_mib).`,
          );
        for (let at = 0; at < chunk.byteLength; ) at += writeSync(fd, chunk, at);
      }
      return bytes;
    } catch (error) {
      rmSync(path, { force: true });
      if (error instanceof LakeError) throw error;
      throw new LakeError("unreachable", "vectord's answer broke off.", {}, error);
    } finally {
      closeSync(fd);
    }
  }

  /** Lets go of those longest unused; what queries are reading stays until they are done. */
  #makeRoom(newest: Held): void {
    let bytes = [...this.#held.values()].reduce((sum, it) => sum + it.bytes, 0);
    for (const held of this.#held.values()) {
      if (bytes <= this.#options.max_bytes) return;
      if (held === newest || held.users > 0) continue;
      bytes -= held.bytes;
      this.#retire(held);
    }
  }

  #retireLater(held: Held): void {
    clearTimeout(held.idle);
    held.idle = setTimeout(() => this.#retire(held), this.#options.idle_ms).unref();
  }

  #retire(held: Held): void {
    held.is_retired = true;
    if (this.#held.get(keyOf(held)) === held) this.#held.delete(keyOf(held));
    this.#sweep(held);
  }

  #sweep(held: Held): void {
    if (!held.is_retired || held.users > 0) return;
    held.is_gone = true;
    clearTimeout(held.idle);
    rmSync(held.path, { force: true });
  }
}

function keyOf({ name, with_vector }: Form): string {
  return with_vector ? `${name} with vectors` : name;
}
