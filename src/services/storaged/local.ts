/**
 * Objects as files. A write streams to a temporary beside its target, is synced, and takes the target's
 * name in one step: by link where the key must be free, else by rename. One process owns the tree.
 */
import { type BigIntStats, constants, fstatSync, lstatSync } from "node:fs";
import { link, rename, unlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import { LakeError } from "../../shared/errors.ts";
import { DurableTree, errnoOf, makeDirectory, writeAll } from "../../shared/files.ts";
import { type FileLock, lockFile } from "../../shared/lock.ts";
import { Mutexes } from "../../shared/mutexes.ts";
import { bodyOf, OpenFile } from "./body.ts";
import { LAKE_PREFIX } from "./keys.ts";
import { type Area, Layout } from "./layout.ts";
import { listPage } from "./list.ts";
import type { ByteRange, ObjectInfo, ObjectRead } from "./schema.ts";
import type { Chunks, ListPage, ListQuery, ObjectStore, Stored } from "./store.ts";
import { sweep } from "./sweep.ts";

/** What must hold of the key for a write to be published. */
type Condition = { only: "free" } | { only: "version"; etag: string } | { only: "any" };

export class LocalStore implements ObjectStore {
  readonly #layout: Layout;
  readonly #trees: Record<Area, DurableTree>;
  readonly #lock: FileLock;
  readonly #publishing = new Mutexes();
  #last_modified_us = 0;

  private constructor(root: string, lock: FileLock) {
    this.#layout = new Layout(root);
    this.#trees = {
      warehouse: new DurableTree(this.#layout.area("warehouse")),
      objects: new DurableTree(this.#layout.area("objects")),
    };
    this.#lock = lock;
  }

  /**
   * Opens the objects under `root` and removes what an earlier process left unfinished.
   * @param wait_ms how long to wait for a process that is leaving the same tree
   * @throws LockHeldError where another process keeps the tree
   */
  static async open(root: string, wait_ms: number): Promise<LocalStore> {
    for (const area of ["warehouse", "objects"]) await makeDirectory(join(root, area));
    const lock = await lockFile(join(root, "lock"), wait_ms);
    const store = new LocalStore(root, lock);
    for (const area of ["warehouse", "objects"] as const) await sweep(area, store.#layout.area(area));
    return store;
  }

  create(key: string, body: Chunks): Promise<Stored> {
    return this.#write(key, body, { only: "free" });
  }

  replace(key: string, body: Chunks, if_match?: string): Promise<Stored> {
    return this.#write(
      key,
      body,
      if_match === undefined ? { only: "any" } : { only: "version", etag: if_match },
    );
  }

  async read(key: string, range?: ByteRange): Promise<ObjectRead> {
    // The open file is one version, whatever takes its name meanwhile.
    const file = openObject(key, this.#layout.pathOf(key));
    try {
      const stats = fstatSync(file.fd, { bigint: true });
      if (!stats.isFile()) throw notFound(key);
      const info = infoOf(key, stats);
      return { info, ...bodyOf(file, info, range) };
    } catch (error) {
      file.close();
      throw error;
    }
  }

  async head(key: string): Promise<ObjectInfo> {
    const info = this.#find(key, this.#layout.pathOf(key));
    if (info === undefined) throw notFound(key);
    return info;
  }

  async remove(key: string, if_match?: string): Promise<void> {
    const path = this.#layout.pathOf(key);
    await this.#publishing.run(key, async () => {
      const found = this.#find(key, path);
      if (if_match !== undefined) refuseOther(key, found, if_match);
      if (found === undefined) return;
      await unlink(path).catch(refuseUnlessGone);
      const tree = this.#treeOf(key);
      await tree.sync(dirname(path));
      tree.prune(dirname(path));
    });
  }

  list(query: ListQuery): Promise<ListPage> {
    return listPage(this.#layout, query, (key) => this.#find(key, this.#layout.pathOf(key)));
  }

  async close(): Promise<void> {
    this.#lock.release();
  }

  async #write(key: string, body: Chunks, condition: Condition): Promise<Stored> {
    const path = this.#layout.pathOf(key);
    // A write that can't be published is refused before its body is read, and judged again after.
    judge(key, condition, this.#find(key, path));
    const tree = this.#treeOf(key);
    const temporary = this.#layout.temporaryBeside(path, Bun.randomUUIDv7());
    try {
      const stats = await this.#stage(tree, temporary, body);
      const created = await this.#publishing.run(key, () => this.#publish(key, temporary, path, condition));
      await tree.sync(dirname(path));
      return { info: infoOf(key, stats), created };
    } catch (error) {
      await unlink(temporary).catch(refuseUnlessGone);
      tree.prune(dirname(path));
      throw writeFailure(key, error);
    }
  }

  /** Writes the body to a temporary and waits until its bytes are on disk. */
  async #stage(tree: DurableTree, temporary: string, body: Chunks): Promise<BigIntStats> {
    const file = await tree.create(temporary);
    let writing: Promise<void> | undefined;
    try {
      // The next chunk is fetched and hashed while the one before it is written.
      for await (const chunk of body) {
        await writing;
        writing = writeAll(file, chunk);
        writing.catch(() => {});
      }
      await writing;
      const modified_s = this.#nextModified_us() / 1e6;
      await file.utimes(modified_s, modified_s);
      await file.sync();
      return await file.stat({ bigint: true });
    } finally {
      // A write under way when the body fails must not meet a number that is another file's by then.
      await writing?.catch(() => {});
      await file.close();
    }
  }

  /** Gives the temporary its name. Answers whether the key was new. */
  async #publish(key: string, temporary: string, path: string, condition: Condition): Promise<boolean> {
    const found = this.#find(key, path);
    judge(key, condition, found);
    if (condition.only === "free") {
      await link(temporary, path);
      await unlink(temporary);
    } else await rename(temporary, path);
    return found === undefined;
  }

  /** No two writes of this process share a time, so that the time tells versions apart. */
  #nextModified_us(): number {
    const now_us = Math.floor((performance.timeOrigin + performance.now()) * 1000);
    this.#last_modified_us = Math.max(now_us, this.#last_modified_us + 1);
    return this.#last_modified_us;
  }

  #find(key: string, path: string): ObjectInfo | undefined {
    try {
      const stats = lstatSync(path, { bigint: true, throwIfNoEntry: false });
      return stats?.isFile() ? infoOf(key, stats) : undefined;
    } catch (error) {
      if (errnoOf(error) === "ENOTDIR") return undefined;
      throw error;
    }
  }

  #treeOf(key: string): DurableTree {
    return this.#trees[key.startsWith(LAKE_PREFIX) ? "warehouse" : "objects"];
  }
}

/** The ETag is size and modification time: see docs/decisions on why that is strong here. */
function infoOf(key: string, stats: BigIntStats): ObjectInfo {
  return {
    key,
    size: Number(stats.size),
    etag: `"${stats.size.toString(36)}-${stats.mtimeNs.toString(36)}"`,
    modified: new Date(Number(stats.mtimeNs / 1_000_000n)).toISOString(),
  };
}

function judge(key: string, condition: Condition, found: ObjectInfo | undefined): void {
  if (condition.only === "free" && found !== undefined) throw taken(key);
  if (condition.only === "version") refuseOther(key, found, condition.etag);
}

function refuseOther(key: string, found: ObjectInfo | undefined, etag: string): void {
  if (found === undefined)
    throw new LakeError("precondition_failed", `There is no object "${key}" to match ${etag}.`);
  if (etag !== "*" && found.etag !== etag)
    throw new LakeError("precondition_failed", `The object "${key}" is ${found.etag} now, not ${etag}.`, {
      etag: found.etag,
    });
}

function taken(key: string): LakeError {
  return new LakeError("precondition_failed", `The key "${key}" is taken, and the write was to create it.`);
}

function notFound(key: string): LakeError {
  return new LakeError("not_found", `There is no object "${key}".`);
}

/** @throws LakeError `not_found`, also for what is no file: a directory, a link, a socket */
function openObject(key: string, path: string): OpenFile {
  try {
    return new OpenFile(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    const absent = ["ENOENT", "ENOTDIR", "ELOOP", "EISDIR", "ENXIO"].includes(errnoOf(error) ?? "");
    throw absent ? notFound(key) : error;
  }
}

function writeFailure(key: string, error: unknown): unknown {
  switch (errnoOf(error)) {
    case "ENOTDIR":
    case "EISDIR":
    case "ENOTEMPTY":
    case "EEXIST":
      return new LakeError(
        "conflict",
        `"${key}" can't be stored: under ${LAKE_PREFIX} keys are files, and this one would lie beneath an object or stand where others lie beneath. Delete those first, or choose another key.`,
      );
    case "ENOSPC":
    case "EDQUOT":
      return new LakeError(
        "unavailable",
        "The disk that keeps the objects is full; nothing was stored.",
        {},
        error,
      );
    default:
      return error;
  }
}

function refuseUnlessGone(error: unknown): void {
  if (!["ENOENT", "ENOTDIR"].includes(errnoOf(error) ?? "")) throw error;
}
