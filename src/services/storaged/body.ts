/** The bytes of an object, in and out: counted, hashed and cut to a range, never held whole. */
import { closeSync, existsSync, openSync, read, readSync } from "node:fs";
import { promisify } from "node:util";
import { LakeError } from "../../shared/errors.ts";
import type { ByteRange, ObjectBody, ObjectInfo, ObjectRead } from "./schema.ts";
import type { Chunks } from "./store.ts";

/**
 * Up to here an object is read at once, on the loop: from the page cache that takes microseconds, where a
 * trip through the thread pool takes ten times as long. Past it, it is read as the reader takes it.
 */
const WHOLE_BYTES = 256 * 1024;
const CHUNK_BYTES = 1024 * 1024;

const readAsync = promisify(read);
const CAN_REOPEN = existsSync("/dev/fd");
const open_files = new WeakMap<ReadableStream, { file: OpenFile; start: number; end: number }>();

export interface MeterOptions {
  readonly max_bytes: number;
  /** The setting `max_bytes` comes from, for the refusal. */
  readonly limit: string;
  /** How many bytes the body was said to have. */
  readonly size: number | undefined;
  readonly signal: AbortSignal | undefined;
}

/** A body's chunks as they pass, counted and hashed. */
export class Meter {
  readonly #sha256 = new Bun.CryptoHasher("sha256");
  readonly #options: MeterOptions;

  constructor(options: MeterOptions) {
    this.#options = options;
  }

  /** @throws LakeError `too_large` as soon as the cap is passed, `invalid` for a body that is not whole */
  async *through(body: ObjectBody): Chunks {
    const { max_bytes, limit, size, signal } = this.#options;
    let passed = 0;
    for await (const chunk of chunksOf(body)) {
      signal?.throwIfAborted();
      passed += chunk.byteLength;
      if (passed > max_bytes) throw tooLarge(max_bytes, limit);
      this.#sha256.update(chunk);
      yield chunk;
    }
    // A sender that is gone can look like the end of the body.
    signal?.throwIfAborted();
    if (size !== undefined && passed !== size)
      throw new LakeError("invalid", `The body ended after ${passed} of ${size} bytes.`);
  }

  /** The digest of what has passed, in hex; ends the meter. */
  sha256(): string {
    return this.#sha256.digest("hex");
  }
}

export function tooLarge(max_bytes: number, limit: string): LakeError {
  return new LakeError("too_large", `An object here may have at most ${max_bytes} bytes (${limit}).`, {
    max_bytes,
  });
}

async function* chunksOf(body: ObjectBody): Chunks {
  if (body instanceof Uint8Array) {
    for (let at = 0; at < body.byteLength; at += CHUNK_BYTES) yield body.subarray(at, at + CHUNK_BYTES);
    return;
  }
  yield* (body instanceof Blob ? body.stream() : body) as ReadableStream<Uint8Array>;
}

/** An open file, closed once: its number is another file's afterwards. */
export class OpenFile {
  readonly fd: number;
  #is_open = true;

  /** @throws the system's error */
  constructor(path: string, flags: number) {
    this.fd = openSync(path, flags);
  }

  close(): void {
    if (!this.#is_open) return;
    this.#is_open = false;
    closeSync(this.fd);
  }
}

/**
 * The bytes asked for of an open file. Takes the file over: it is closed once they are read or given up.
 * @throws LakeError `range_not_satisfiable`
 */
export function bodyOf(
  file: OpenFile,
  info: ObjectInfo,
  asked: ByteRange | undefined,
): Pick<ObjectRead, "body" | "range"> {
  const range = asked && resolveRange(asked, info);
  const start = range?.start ?? 0;
  const end = range ? range.end + 1 : info.size;
  const body = end - start <= WHOLE_BYTES ? readWhole(file, start, end) : streamOf(file, start, end);
  return range ? { body, range } : { body };
}

/** @throws LakeError `range_not_satisfiable` where no byte of the object is asked for */
export function resolveRange(asked: ByteRange, info: ObjectInfo): { start: number; end: number } {
  const start = "suffix" in asked ? Math.max(0, info.size - asked.suffix) : asked.start;
  const end = "suffix" in asked ? info.size - 1 : Math.min(asked.end ?? info.size - 1, info.size - 1);
  if (start > end)
    throw new LakeError(
      "range_not_satisfiable",
      `"${info.key}" has ${info.size} bytes, and none of them was asked for.`,
      {
        content_range: `bytes */${info.size}`,
      },
    );
  return { start, end };
}

function readWhole(file: OpenFile, start: number, end: number): Blob {
  const bytes = new Uint8Array(end - start);
  for (let at = 0; at < bytes.byteLength; ) {
    const count = readSync(file.fd, bytes, at, bytes.byteLength - at, start + at);
    if (count === 0) throw shrunk();
    at += count;
  }
  file.close();
  return new Blob([bytes]);
}

function streamOf(file: OpenFile, start: number, end: number): ReadableStream<Uint8Array> {
  let at = start;
  const stream = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const bytes = new Uint8Array(Math.min(CHUNK_BYTES, end - at));
        const { bytesRead } = await readAsync(file.fd, bytes, 0, bytes.byteLength, at).catch((error) => {
          file.close();
          throw error;
        });
        at += bytesRead;
        if (bytesRead > 0) controller.enqueue(bytes.subarray(0, bytesRead));
        if (bytesRead > 0 && at < end) return;
        file.close();
        if (at < end) throw shrunk();
        controller.close();
      },
      cancel: () => file.close(),
    },
    { highWaterMark: 0 },
  );
  if (CAN_REOPEN) open_files.set(stream, { file, start, end });
  return stream;
}

/** An open file as the server can send it by itself: with its length, and never through our memory. */
export interface SendableFile {
  readonly blob: Blob;
  /** To be called once the server has opened it, and not before: the number may then be another file's. */
  close(): void;
}

/**
 * A body as a file, where it is one; the stream is then not to be read. The file is named by its number,
 * so that what is sent is the version that was opened, whatever took its name since.
 */
export function asFile(body: ObjectRead["body"]): SendableFile | undefined {
  const open = body instanceof ReadableStream ? open_files.get(body) : undefined;
  if (open === undefined) return undefined;
  const { file, start, end } = open;
  return { blob: Bun.file(`/dev/fd/${file.fd}`).slice(start, end), close: () => file.close() };
}

/** Objects are replaced, never changed: only a hand on the disk does that. */
function shrunk(): Error {
  return new Error("the object's file became shorter while it was read");
}
