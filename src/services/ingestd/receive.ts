/** A file as it arrives: counted, hashed, decompressed and written to disk, never held in memory. */
import { closeSync, mkdirSync, openSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import { Readable } from "node:stream";
import { createGunzip, createZstdDecompress } from "node:zlib";
import { reasonOf } from "../../shared/duckdb/process.ts";
import { LakeError, messageOf } from "../../shared/errors.ts";
import { BodyDigest } from "./digest.ts";
import { openMultipart } from "./multipart.ts";
import type { FileFormat, Upload } from "./schema.ts";

export interface ReceiveLimits {
  readonly max_body_bytes: number;
  readonly max_expanded_bytes: number;
}

export interface Received {
  /** Where the file lies, decompressed. */
  path: string;
  /** Bytes as sent, the form around them not counted. */
  bytes: number;
  /** Tells those bytes from others: `BodyDigest`, in hex. */
  digest: string;
  /** What the sender's headers say it is. */
  format: FileFormat | undefined;
}

type Chunks = AsyncIterable<Uint8Array>;

/** How often a file may have been compressed: once as itself and once for the way. */
const MAX_LAYERS = 2;

/**
 * @param on_written told the bytes that lie in the file so far
 * @throws LakeError too_large, invalid
 */
export async function receive(
  upload: Upload,
  path: string,
  limits: ReceiveLimits,
  on_written: (bytes: number) => void,
): Promise<Received> {
  const part = isForm(upload)
    ? await openMultipart(upload.body, upload.content_type as string)
    : { body: upload.body, filename: null, content_type: upload.content_type };
  const digest = new BodyDigest();
  let bytes = 0;
  async function* metered(): AsyncGenerator<Uint8Array> {
    for await (const chunk of part.body) {
      if (upload.signal.aborted) throw reasonOf(upload.signal);
      bytes += chunk.byteLength;
      if (bytes > limits.max_body_bytes)
        throw tooLarge("sent", limits.max_body_bytes, "ingestd.max_body_bytes");
      await digest.update(chunk);
      yield chunk;
    }
    // A sender that is gone can look like the end of the body.
    if (upload.signal.aborted) throw reasonOf(upload.signal);
  }
  const plain = await decoded(metered(), upload.content_encoding);
  await write(plain, path, limits.max_expanded_bytes, on_written);
  return { path, bytes, digest: await digest.hex(), format: formatOf(part.content_type, part.filename) };
}

function isForm(upload: Upload): boolean {
  return /^multipart\/form-data\b/i.test(upload.content_type ?? "");
}

function tooLarge(what: string, max_bytes: number, setting: string): LakeError {
  return new LakeError("too_large", `A file may have at most ${max_bytes} bytes as ${what} (${setting}).`, {
    max_bytes,
  });
}

async function write(
  chunks: Chunks,
  path: string,
  max_bytes: number,
  on_written: (bytes: number) => void,
): Promise<void> {
  mkdirSync(dirname(path), { recursive: true });
  const fd = openSync(path, "wx", 0o600);
  let written = 0;
  try {
    for await (const chunk of chunks) {
      written += chunk.byteLength;
      if (written > max_bytes) throw tooLarge("expanded", max_bytes, "ingestd.max_expanded_bytes");
      for (let at = 0; at < chunk.byteLength; ) at += writeSync(fd, chunk, at);
      on_written(written);
    }
  } finally {
    closeSync(fd);
  }
}

/** @throws LakeError invalid for a Content-Encoding that isn't known, or isn't what the bytes are */
async function decoded(chunks: Chunks, content_encoding: string | null): Promise<Chunks> {
  const encoding = (content_encoding ?? "identity").trim().toLowerCase();
  if (!["identity", "gzip", "x-gzip", "zstd", ""].includes(encoding))
    throw new LakeError("invalid", `Content-Encoding "${encoding}" is not read here; gzip and zstd are.`);
  let plain = chunks;
  for (let layer = 0; layer < MAX_LAYERS; layer++) {
    const { head, all } = await peek(plain);
    plain = all;
    const magic = magicOf(head);
    if (layer === 0 && encoding !== "identity" && encoding !== "" && magic !== encoding.replace("x-", ""))
      throw new LakeError(
        "invalid",
        `Content-Encoding says ${encoding}, but the body doesn't begin like it.`,
      );
    if (magic === undefined) break;
    plain = expand(plain, magic);
  }
  return plain;
}

function magicOf(head: Uint8Array): "gzip" | "zstd" | undefined {
  const [a, b, c, d] = head;
  if (a === 0x1f && b === 0x8b) return "gzip";
  return a === 0x28 && b === 0xb5 && c === 0x2f && d === 0xfd ? "zstd" : undefined;
}

async function* expand(chunks: Chunks, kind: "gzip" | "zstd"): AsyncGenerator<Uint8Array> {
  const decoder = kind === "gzip" ? createGunzip() : createZstdDecompress();
  const source = Readable.from(chunks, { objectMode: false, highWaterMark: 1 });
  // `pipe` leaves errors of the source behind: they are carried over by hand.
  source.once("error", (error) => decoder.destroy(error));
  try {
    for await (const chunk of source.pipe(decoder)) yield chunk as Uint8Array;
  } catch (error) {
    if (error instanceof LakeError) throw error;
    throw new LakeError("invalid", `The ${kind} data is damaged or cut short: ${messageOf(error)}.`);
  } finally {
    source.destroy();
    decoder.destroy();
  }
}

/** The first bytes, and all of them again. */
async function peek(chunks: Chunks): Promise<{ head: Uint8Array; all: Chunks }> {
  const iterator = chunks[Symbol.asyncIterator]();
  const first: Uint8Array[] = [];
  let held = 0;
  while (held < 4) {
    const { value, done } = await iterator.next();
    if (done) break;
    first.push(value);
    held += value.byteLength;
  }
  async function* all(): AsyncGenerator<Uint8Array> {
    yield* first;
    yield* { [Symbol.asyncIterator]: () => iterator };
  }
  return { head: Buffer.concat(first.map((it) => it.subarray(0, 4))), all: all() };
}

const BY_TYPE: Record<string, FileFormat> = {
  "text/csv": "csv",
  "application/csv": "csv",
  "text/tab-separated-values": "tsv",
  "application/json": "json",
  "application/x-ndjson": "ndjson",
  "application/ndjson": "ndjson",
  "application/jsonl": "ndjson",
  "application/vnd.apache.parquet": "parquet",
  "application/x-parquet": "parquet",
};
const BY_SUFFIX: Record<string, FileFormat> = {
  csv: "csv",
  tsv: "tsv",
  tab: "tsv",
  json: "json",
  ndjson: "ndjson",
  jsonl: "ndjson",
  parquet: "parquet",
};

/** The format that a Content-Type or a file's name stands for; undefined leaves it to the bytes. */
export function formatOf(content_type: string | null, filename: string | null): FileFormat | undefined {
  const type = BY_TYPE[(content_type ?? "").split(";", 1)[0]?.trim().toLowerCase() ?? ""];
  const suffix = /\.([a-z]+)(?:\.(?:gz|gzip|zst|zstd))?$/i.exec(filename ?? "")?.[1]?.toLowerCase();
  return type ?? (suffix === undefined ? undefined : BY_SUFFIX[suffix]);
}
