/** The lake's objects as catalogd sees them: metadata documents, manifests and Parquet footers, by storaged. */
import { randomUUID } from "node:crypto";
import { LakeError } from "../../shared/errors.ts";
import type { Storaged } from "../storaged/schema.ts";
import { ByteCache } from "./cache.ts";
import type { ParquetObject } from "./datafile.ts";
import { footerLength, readFooter, TAIL_BYTES } from "./footer.ts";
import { decodeManifest, decodeManifestList, type ManifestFile, type ManifestRead } from "./manifest.ts";
import { formatMetadata, readMetadata, type TableMetadata } from "./metadata.ts";

export const BUCKET_LOCATION = "s3://lakehouse/";
/** Most footers are smaller than this, and come with the file's last bytes in one read. */
const FOOTER_GUESS_BYTES = 64 * 1024;
/** What a parsed document takes in memory, for each byte of the object it came from, roughly. */
const PARSED_PER_BYTE = 8;

/** @throws LakeError invalid where the location is in another bucket */
export function keyOf(location: string): string {
  if (!location.startsWith(BUCKET_LOCATION))
    throw new LakeError(
      "invalid",
      `The location "${location}" is not in this lake, whose locations begin with ${BUCKET_LOCATION}.`,
    );
  return location.slice(BUCKET_LOCATION.length);
}

export function locationOf(key: string): string {
  return BUCKET_LOCATION + key;
}

export class Warehouse {
  readonly storaged: Storaged;
  readonly #cache: ByteCache;
  readonly #max_footer_bytes: number;

  constructor(storaged: Storaged, limits: { cache_bytes: number; max_footer_bytes: number }) {
    this.storaged = storaged;
    this.#cache = new ByteCache(limits.cache_bytes);
    this.#max_footer_bytes = limits.max_footer_bytes;
  }

  metadata(key: string): Promise<TableMetadata> {
    return this.cached(key, key, (bytes) => readMetadata(new TextDecoder().decode(bytes), locationOf(key)));
  }

  manifestList(location: string): Promise<readonly ManifestFile[]> {
    return this.cached(location, keyOf(location), (bytes) => decodeManifestList(bytes, location));
  }

  manifest(file: ManifestFile): Promise<ManifestRead> {
    return this.cached(file.manifest_path, keyOf(file.manifest_path), (bytes) => decodeManifest(bytes, file));
  }

  /** What is made from an immutable object, kept while there is room. */
  cached<T>(name: string, key: string, make: (bytes: Uint8Array) => T): Promise<T> {
    return this.#cache.get(name, async () => {
      const bytes = await this.#read(key);
      return { value: make(bytes), bytes: bytes.length * PARSED_PER_BYTE };
    });
  }

  /** What is derived from several objects, kept under a name of its own. */
  derived<T>(name: string, make: () => Promise<{ value: T; bytes: number }>): Promise<T> {
    return this.#cache.get(name, make);
  }

  async #read(key: string): Promise<Uint8Array> {
    const { body } = await this.storaged.get(key);
    return new Uint8Array(await new Response(body).arrayBuffer());
  }

  /** Writes a new object of the lake; durable when it returns. */
  async write(key: string, bytes: Uint8Array): Promise<void> {
    await this.storaged.put(key, bytes, { create_only: true, by_service: true });
  }

  /** Writes a table's next metadata document and answers its key. */
  async writeMetadata(folder: string, version: number, metadata: TableMetadata): Promise<string> {
    const key = `${folder}/metadata/${String(version).padStart(5, "0")}-${randomUUID()}.metadata.json`;
    await this.write(key, new TextEncoder().encode(formatMetadata(metadata)));
    return key;
  }

  async remove(keys: readonly string[]): Promise<void> {
    for (const key of keys) await this.storaged.delete(key, { by_service: true });
  }

  /** Reads a Parquet object's footer. @throws LakeError not_found, invalid, too_large */
  async parquet(key: string): Promise<ParquetObject> {
    const { size } = await this.storaged.head(key);
    if (size < TAIL_BYTES)
      throw new LakeError("invalid", `Object "${key}" is not a Parquet file: it is too short.`);
    let tail = await this.#range(key, size - Math.min(size, FOOTER_GUESS_BYTES), size);
    const length = footerLength(tail, size, key);
    if (length > this.#max_footer_bytes)
      throw new LakeError(
        "too_large",
        `Object "${key}" has a Parquet footer of ${length} bytes; at most ${this.#max_footer_bytes} are read.`,
      );
    if (length + TAIL_BYTES > tail.length) tail = await this.#range(key, size - TAIL_BYTES - length, size);
    const end = tail.length - TAIL_BYTES;
    return { key, size, footer: readFooter(tail.subarray(end - length, end), key) };
  }

  async #range(key: string, start: number, end: number): Promise<Uint8Array> {
    const { body } = await this.storaged.get(key, { start, end: end - 1 });
    return new Uint8Array(await new Response(body).arrayBuffer());
  }

  /** Every object under a folder, in key order. */
  async *objects(folder: string): AsyncGenerator<{ key: string; size: number; modified: string }> {
    let cursor: string | undefined;
    do {
      const page = await this.storaged.list({ prefix: `${folder}/`, limit: 1000, cursor });
      yield* page.objects;
      cursor = page.next_cursor ?? undefined;
    } while (cursor !== undefined);
  }
}
