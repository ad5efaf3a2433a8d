/**
 * A snapshot as one object: a tar whose first file, manifest.json, says what the others are and their SHA-256.
 * Written and read as a stream, so that no index is held in memory.
 */
import { type FileHandle, open } from "node:fs/promises";
import { join } from "node:path";
import { type Static, Type } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import { LakeError, messageOf } from "../../shared/errors.ts";
import { writeAll } from "../../shared/files.ts";
import { Factor } from "./graph_file.ts";
import { METRICS, NAME_PATTERN, QUANTIZATIONS } from "./schema.ts";
import { BLOCK_BYTES, END_BYTES, type Entry, headerOf, paddingOf, readHeader, TarError } from "./tar.ts";

export const FORMAT = "lakehouse-vector-index";
export const FORMAT_VERSION = 1;
export const ITEMS_FILE = "items.sqlite";
export const GRAPH_FILE = "graph.usearch";
const MANIFEST_FILE = "manifest.json";
const MAX_MANIFEST_BYTES = 1024 * 1024;
/** Empty blocks that another program may put behind the end. */
const MAX_TRAILING_BYTES = 64 * 1024;

const count = Type.Integer({ minimum: 0 });
const oneOf = (values: readonly string[]) => Type.String({ pattern: `^(${values.join("|")})$` });
const ManifestSchema = Type.Object({
  format: Type.Literal(FORMAT),
  version: Type.Literal(FORMAT_VERSION),
  /** The index that it was taken of. */
  name: Type.String({ pattern: NAME_PATTERN }),
  created_at: Type.String(),
  settings: Type.Object(
    {
      dimension: Type.Integer({ minimum: 1, maximum: 65_536 }),
      model: Type.Union([Type.String({ minLength: 1, maxLength: 128 }), Type.Null()]),
      metric: oneOf(METRICS),
      quantization: oneOf(QUANTIZATIONS),
      connectivity: Type.Integer({ minimum: 4, maximum: 128 }),
      ef_construction: Type.Integer({ minimum: 8, maximum: 1024 }),
      indexed: Type.Array(Type.String()),
    },
    { additionalProperties: false },
  ),
  items: count,
  /** The highest key ever given to an item. */
  last_key: count,
  /** What the graph's file holds; null where there was none to take. */
  graph: Type.Union([
    Type.Object({
      covers_key: count,
      size: count,
      checksum: Type.String(),
      scale: Type.Optional(Factor),
    }),
    Type.Null(),
  ]),
  files: Type.Array(
    Type.Object({
      name: Type.String(),
      size: count,
      sha256: Type.String({ pattern: "^[0-9a-f]{64}$" }),
    }),
    { minItems: 1, maxItems: 2 },
  ),
});
export type Manifest = Static<typeof ManifestSchema>;

const manifestBytes = (manifest: Manifest) => Buffer.from(`${JSON.stringify(manifest, null, 2)}\n`);

/** How many bytes `pack` makes. */
export function packedSize(manifest: Manifest): number {
  const sizes = [manifestBytes(manifest).byteLength, ...manifest.files.map((it) => it.size)];
  return sizes.reduce((sum, size) => sum + BLOCK_BYTES + size + paddingOf(size), END_BYTES);
}

/** The tar of a manifest and the files that it names. @param folder where they lie */
export async function* pack(manifest: Manifest, folder: string): AsyncGenerator<Uint8Array> {
  const modified_s = Math.floor(Date.parse(manifest.created_at) / 1000);
  const head = manifestBytes(manifest);
  yield headerOf({ name: MANIFEST_FILE, size: head.byteLength }, modified_s);
  yield head;
  yield new Uint8Array(paddingOf(head.byteLength));
  for (const file of manifest.files) {
    yield headerOf(file, modified_s);
    yield* Bun.file(join(folder, file.name)).stream() as unknown as AsyncIterable<Uint8Array>;
    yield new Uint8Array(paddingOf(file.size));
  }
  yield new Uint8Array(END_BYTES);
}

/**
 * Reads such a tar and writes its files, each compared with its checksum on the way.
 * @param judge told the manifest before anything is written; may throw
 * @throws LakeError invalid, naming what is wrong with the object
 */
export async function unpack(
  key: string,
  body: AsyncIterable<Uint8Array>,
  folder: string,
  judge: (manifest: Manifest) => void,
): Promise<Manifest> {
  const bytes = new Bytes(body);
  try {
    const manifest = await readManifest(bytes);
    judge(manifest);
    for (const file of manifest.files) await unpackFile(bytes, file, folder);
    await bytes.end();
    return manifest;
  } catch (error) {
    if (error instanceof TarError) throw new LakeError("invalid", `"${key}" ${error.message}.`);
    throw error;
  } finally {
    await bytes.close();
  }
}

async function readManifest(bytes: Bytes): Promise<Manifest> {
  const { name, size } = readHeader(await bytes.exactly(BLOCK_BYTES));
  if (name !== MANIFEST_FILE) throw new TarError(`begins with ${name}, and a snapshot with ${MANIFEST_FILE}`);
  if (size > MAX_MANIFEST_BYTES) throw new TarError(`has a manifest of ${size} bytes`);
  const json = await bytes.exactly(size);
  await bytes.padding(size);
  const manifest = parse(json);
  const { format, version } = Object(manifest) as Record<string, unknown>;
  if (format === FORMAT && version !== FORMAT_VERSION)
    throw new TarError(`is a snapshot of format version ${version}; this one reads ${FORMAT_VERSION}`);
  const fault = Value.Errors(ManifestSchema, manifest).First();
  if (fault) throw new TarError(`has a manifest that is none of a snapshot: ${fault.path} ${fault.message}`);
  const checked = manifest as Manifest;
  const expected = [ITEMS_FILE, ...(checked.graph === null ? [] : [GRAPH_FILE])];
  if (checked.files.map((it) => it.name).join() !== expected.join())
    throw new TarError(`has a manifest that names other files than ${expected.join(" and ")}`);
  return checked;
}

function parse(json: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(json));
  } catch (error) {
    throw new TarError(`has a manifest that is not JSON: ${messageOf(error)}`);
  }
}

async function unpackFile(bytes: Bytes, file: Manifest["files"][number], folder: string): Promise<void> {
  const entry: Entry = readHeader(await bytes.exactly(BLOCK_BYTES));
  if (entry.name !== file.name || entry.size !== file.size)
    throw new TarError(
      `holds ${entry.name} of ${entry.size} bytes where its manifest names ${file.name} of ${file.size}`,
    );
  const sha256 = new Bun.CryptoHasher("sha256");
  const handle = await open(join(folder, file.name), "wx", 0o644);
  try {
    await bytes.copy(file.size, handle, sha256);
    if (sha256.digest("hex") !== file.sha256)
      throw new TarError(`is damaged: ${file.name} has not the SHA-256 that the manifest names`);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await bytes.padding(file.size);
}

/** A stream's bytes, taken as many at a time as are wanted. */
class Bytes {
  readonly #chunks: AsyncIterator<Uint8Array>;
  #rest: Uint8Array = new Uint8Array(0);

  constructor(body: AsyncIterable<Uint8Array>) {
    this.#chunks = body[Symbol.asyncIterator]();
  }

  /** At most so many of the next bytes, and none only at the end. */
  async #some(most: number): Promise<Uint8Array> {
    while (this.#rest.byteLength === 0) {
      const { done, value } = await this.#next();
      if (done) break;
      this.#rest = value;
    }
    const taken = this.#rest.subarray(0, most);
    this.#rest = this.#rest.subarray(taken.byteLength);
    return taken;
  }

  async #next(): Promise<IteratorResult<Uint8Array>> {
    try {
      return await this.#chunks.next();
    } catch (error) {
      if (error instanceof LakeError) throw error;
      throw new LakeError("unreachable", "storaged's answer broke off; try again.", {}, error);
    }
  }

  async exactly(count: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(count);
    for (let at = 0; at < count; ) {
      const some = await this.#some(count - at);
      if (some.byteLength === 0) throw new TarError("ends before it is whole");
      bytes.set(some, at);
      at += some.byteLength;
    }
    return bytes;
  }

  async copy(count: number, to: FileHandle, hash: Bun.CryptoHasher): Promise<void> {
    for (let left = count; left > 0; ) {
      const some = await this.#some(left);
      if (some.byteLength === 0) throw new TarError("ends before it is whole");
      hash.update(some);
      await writeAll(to, some);
      left -= some.byteLength;
    }
  }

  /** What fills a file's last block. */
  async padding(size: number): Promise<void> {
    if ((await this.exactly(paddingOf(size))).some((byte) => byte !== 0))
      throw new TarError("is damaged between two files");
  }

  /** The empty blocks behind the last file, and nothing more. */
  async end(): Promise<void> {
    let count = 0;
    for (
      let some = await this.#some(BLOCK_BYTES);
      some.byteLength > 0;
      some = await this.#some(BLOCK_BYTES)
    ) {
      count += some.byteLength;
      if (count > MAX_TRAILING_BYTES || some.some((byte) => byte !== 0))
        throw new TarError("holds more than its manifest names");
    }
    if (count < END_BYTES) throw new TarError("ends before it is whole");
  }

  async close(): Promise<void> {
    await this.#chunks.return?.();
  }
}
