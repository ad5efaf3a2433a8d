/** The rules of objects: which keys, how large, who may write where, and which version is answered. */
import { LakeError } from "../../shared/errors.ts";
import { Meter, tooLarge } from "./body.ts";
import { allowsRange, type Conditions, judgeRead } from "./conditions.ts";
import { checkKey, LAKE_PREFIX, MAX_KEY_BYTES } from "./keys.ts";
import {
  type ByteRange,
  type DeleteOptions,
  LIST_LIMIT,
  LIST_LIMIT_MAX,
  type ListOptions,
  type ObjectBody,
  type ObjectInfo,
  type ObjectList,
  type ObjectRead,
  type PutOptions,
  type Storaged,
  type StoredObject,
} from "./schema.ts";
import type { ObjectStore } from "./store.ts";

/** How often a read whose object is replaced between its judgement and its opening is judged again. */
const READ_ATTEMPTS = 8;

export interface Limits {
  readonly max_object_bytes: number;
  /** A cap of its own for each prefix. */
  readonly prefix_max_bytes: Readonly<Record<string, number>>;
}

/** A read under conditions: nothing is opened where the reader has the version already. */
export type ConditionalRead = {
  info: ObjectInfo;
  unchanged: boolean;
  body?: ObjectRead["body"];
  range?: ObjectRead["range"];
};

export class StoragedDomain implements Storaged {
  readonly #store: ObjectStore;
  readonly #limits: Limits;

  constructor(store: ObjectStore, limits: Limits) {
    this.#store = store;
    this.#limits = limits;
  }

  async put(key: string, body: ObjectBody, options: PutOptions = {}): Promise<StoredObject> {
    checkKey(key);
    refuseStranger(key, options.by_service);
    if (options.create_only && options.if_match !== undefined)
      throw new LakeError(
        "invalid",
        "A write either creates (If-None-Match: *) or replaces (If-Match), not both.",
      );
    const [max_bytes, limit] = this.#capOf(key);
    const size = options.size ?? (body instanceof ReadableStream ? undefined : sizeOf(body));
    if (size !== undefined && size > max_bytes) throw tooLarge(max_bytes, limit);
    const meter = new Meter({ max_bytes, limit, size: options.size, signal: options.signal });
    const chunks = meter.through(body);
    const { info, created } = options.create_only
      ? await this.#store.create(key, chunks)
      : await this.#store.replace(key, chunks, options.if_match);
    return { key, size: info.size, etag: info.etag, sha256: meter.sha256(), created };
  }

  async get(key: string, range?: ByteRange): Promise<ObjectRead> {
    checkKey(key);
    return this.#store.read(key, range);
  }

  /**
   * Reads what the conditions let through.
   * @throws LakeError not_found, precondition_failed, range_not_satisfiable
   */
  async getIf(key: string, conditions: Conditions, range?: ByteRange): Promise<ConditionalRead> {
    if (Object.values(conditions).every((it) => it === undefined))
      return { unchanged: false, ...(await this.get(key, range)) };
    for (let attempt = 1; attempt <= READ_ATTEMPTS; attempt++) {
      const { unchanged, info } = await this.headIf(key, conditions);
      if (unchanged) return { unchanged, info };
      const read = await this.#store.read(key, allowsRange(conditions.if_range, info) ? range : undefined);
      if (read.info.etag === info.etag) return { unchanged, ...read };
      if (read.body instanceof ReadableStream) await read.body.cancel();
    }
    throw new LakeError("unavailable", `"${key}" is being replaced faster than it can be read; try again.`, {
      retry_after_s: 1,
    });
  }

  /** Judges the conditions on the object as it is. @throws LakeError not_found, precondition_failed */
  async headIf(key: string, conditions: Conditions): Promise<{ unchanged: boolean; info: ObjectInfo }> {
    const info = await this.head(key);
    const verdict = judgeRead(conditions, info);
    if (verdict === "failed")
      throw new LakeError("precondition_failed", `The object "${key}" is ${info.etag} now.`, {
        etag: info.etag,
      });
    return { unchanged: verdict === "unchanged", info };
  }

  async head(key: string): Promise<ObjectInfo> {
    checkKey(key);
    return this.#store.head(key);
  }

  async delete(key: string, options: DeleteOptions = {}): Promise<void> {
    checkKey(key);
    refuseStranger(key, options.by_service);
    await this.#store.remove(key, options.if_match);
  }

  async list(options: ListOptions): Promise<ObjectList> {
    const { prefix = "", delimiter = "", limit = LIST_LIMIT, cursor } = options;
    for (const [name, text] of Object.entries({ prefix, delimiter })) {
      if (!text.isWellFormed() || text.includes("\0") || text.includes("\ufffd"))
        throw new LakeError("invalid", `The ${name} must be UTF-8 without NUL; no key holds anything else.`);
      if (Buffer.byteLength(text) > MAX_KEY_BYTES)
        throw new LakeError("invalid", `The ${name} may have at most ${MAX_KEY_BYTES} bytes, as a key has.`);
    }
    if (!Number.isInteger(limit) || limit < 1 || limit > LIST_LIMIT_MAX)
      throw new LakeError("invalid", `The limit must be a whole number from 1 to ${LIST_LIMIT_MAX}.`);
    return this.#store.list({ prefix, delimiter, limit, cursor });
  }

  /** The cap of a key and the setting it comes from: the longest prefix that fits, or the general one. */
  #capOf(key: string): [max_bytes: number, setting: string] {
    let longest: string | undefined;
    for (const prefix of Object.keys(this.#limits.prefix_max_bytes))
      if (key.startsWith(prefix) && prefix.length >= (longest?.length ?? 0)) longest = prefix;
    return longest === undefined
      ? [this.#limits.max_object_bytes, "max_object_bytes"]
      : [this.#limits.prefix_max_bytes[longest] as number, `prefix_max_bytes of "${longest}"`];
  }
}

function refuseStranger(key: string, by_service = false): void {
  if (key.startsWith(LAKE_PREFIX) && !by_service)
    throw new LakeError(
      "forbidden",
      `Keys under ${LAKE_PREFIX} hold the lake's tables and are written by its own services only; ingest the data, or choose another prefix.`,
    );
}

function sizeOf(body: Uint8Array | Blob): number {
  return body instanceof Uint8Array ? body.byteLength : body.size;
}
