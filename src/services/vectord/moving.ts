/** Snapshots to storaged and restores from it: what is copied is consistent, and what comes is judged first. */
import { mkdirSync } from "node:fs";
import { rm } from "node:fs/promises";
import { ReadableStream } from "node:stream/web";
import { LakeError } from "../../shared/errors.ts";
import type { Storaged } from "../storaged/schema.ts";
import { type Manifest, pack, packedSize, unpack } from "./archive.ts";
import { scratchPath } from "./folders.ts";
import type { Line } from "./line.ts";
import type { MoverApi } from "./mover.ts";
import { SNAPSHOTS, type Snapshot } from "./moving_schema.ts";

export interface MovingOptions {
  readonly root: string;
  readonly mover: Line<MoverApi>;
  readonly storaged: Storaged;
  readonly timeout_ms: number;
  now_ms(): number;
}

/** Snapshots and restores at a time. */
const MAX_MOVES = 4;

export class Moving {
  readonly #options: MovingOptions;
  #moves = 0;

  constructor(options: MovingOptions) {
    this.#options = options;
  }

  /** Copies an index, and sends it as one object. @throws LakeError invalid, queue_full, deadline, or storaged's */
  async snapshot(name: string, given_key: string | undefined, gone?: AbortSignal): Promise<Snapshot> {
    const { mover, storaged, now_ms } = this.#options;
    const created_at = new Date(now_ms()).toISOString();
    const key = given_key ?? `${SNAPSHOTS}${name}/${created_at.replaceAll(":", "-")}.tar`;
    refuseKey(key);
    return this.#within("snapshot", gone, async (signal) => {
      const { folder, manifest } = await mover.ask("pack", [name, created_at]);
      try {
        signal.throwIfAborted();
        const body = ReadableStream.from(
          pack(manifest, folder),
        ) as unknown as globalThis.ReadableStream<Uint8Array>;
        const { size, etag, sha256 } = await storaged.put(key, body, { size: packedSize(manifest), signal });
        const { items, settings } = manifest;
        return { key, size, etag, sha256, index: name, items, dimension: settings.dimension, created_at };
      } finally {
        await removeFolder(folder);
      }
    });
  }

  /**
   * Fetches a snapshot into a folder, judges it, and has it put in its place.
   * @param judge told what is coming before any of it is written; may throw
   * @param install moves the folder; what it leaves is removed
   * @throws LakeError invalid, not_found, queue_full, deadline, or storaged's
   */
  async restore<T>(
    key: string,
    judge: (manifest: Manifest) => void,
    install: (folder: string, manifest: Manifest) => Promise<T>,
    gone?: AbortSignal,
  ): Promise<T> {
    const { root, mover, storaged } = this.#options;
    refuseKey(key);
    return this.#within("restore", gone, async (signal) => {
      const { info, body } = await storaged.get(key);
      const folder = scratchPath(root);
      mkdirSync(folder);
      try {
        const chunks = watched(body instanceof Blob ? body.stream() : body, signal);
        const manifest = await unpack(key, chunks, folder, (it) => {
          if (packedSize(it) > info.size) throw new LakeError("invalid", `"${key}" ends before it is whole.`);
          judge(it);
        });
        await mover.ask("judge", [key, folder, manifest]);
        signal.throwIfAborted();
        return await install(folder, manifest);
      } finally {
        await removeFolder(folder);
      }
    });
  }

  async #within<T>(what: string, gone: AbortSignal | undefined, work: (signal: AbortSignal) => Promise<T>) {
    const { timeout_ms } = this.#options;
    if (gone?.aborted) throw goneAsker();
    if (this.#moves >= MAX_MOVES)
      throw new LakeError("queue_full", `${MAX_MOVES} snapshots and restores already run; try again soon.`, {
        retry_after_s: 5,
      });
    const abort = new AbortController();
    const late = new LakeError(
      "deadline",
      `The ${what} took more than ${timeout_ms} ms (vectord.timeout_ms).`,
    );
    const timer = setTimeout(() => abort.abort(late), timeout_ms);
    const leave = () => abort.abort(goneAsker());
    gone?.addEventListener("abort", leave, { once: true });
    this.#moves++;
    try {
      return await work(abort.signal);
    } catch (error) {
      throw abort.signal.aborted ? abort.signal.reason : error;
    } finally {
      this.#moves--;
      clearTimeout(timer);
      gone?.removeEventListener("abort", leave);
    }
  }
}

const goneAsker = () => new LakeError("invalid", "Whoever asked has gone.");

/** So that who may write indexes can't overwrite any other object by a snapshot's name, nor read one. */
function refuseKey(key: string): void {
  if (!key.startsWith(SNAPSHOTS) || key.length === SNAPSHOTS.length)
    throw new LakeError("invalid", `key: snapshots lie under ${SNAPSHOTS} (got ${JSON.stringify(key)}).`);
}

/** A body's chunks, until nobody waits for them any more. */
async function* watched(body: AsyncIterable<Uint8Array>, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  for await (const chunk of body) {
    signal.throwIfAborted();
    yield chunk;
  }
}

async function removeFolder(path: string): Promise<void> {
  await rm(path, { recursive: true, force: true });
}
