/** storaged's interface: objects by key. The same for the local domain and the client of a remote one. */
import { t } from "elysia";

export const LIST_LIMIT = 100;
export const LIST_LIMIT_MAX = 1000;

export interface ObjectInfo {
  key: string;
  size: number;
  /** Quoted, as in the ETag header. */
  etag: string;
  /** RFC 3339 UTC with milliseconds. */
  modified: string;
}

export interface StoredObject {
  key: string;
  size: number;
  etag: string;
  sha256: string;
  /** Whether the key was new. */
  created: boolean;
}

export type ObjectBody = ReadableStream<Uint8Array> | Uint8Array | Blob;

export interface PutOptions {
  /** Create only: `precondition_failed` where the key is taken. */
  create_only?: boolean;
  /** Replace only what has this ETag: `precondition_failed` otherwise. */
  if_match?: string;
  /** Set for this lake's own services, which alone may write under `warehouse/`. */
  by_service?: boolean;
  /** How many bytes the body must have, where the caller knows: a body cut short is then refused. */
  size?: number;
  signal?: AbortSignal;
}

export interface DeleteOptions {
  /** Delete only what has this ETag: `precondition_failed` otherwise. */
  if_match?: string;
  /** Set for this lake's own services, which alone may delete under `warehouse/`. */
  by_service?: boolean;
}

/** Bytes `start` to `end` (inclusive), from `start` on, or the last `suffix`. */
export type ByteRange = { start: number; end?: number } | { suffix: number };

export interface ObjectRead {
  info: ObjectInfo;
  /** The bytes asked for. */
  body: ReadableStream<Uint8Array> | Blob;
  /** Where `body` lies in the object, when a range was asked for. */
  range?: { start: number; end: number };
}

export interface ListOptions {
  prefix?: string;
  delimiter?: string;
  limit?: number;
  cursor?: string;
}

export interface ObjectList {
  objects: ObjectInfo[];
  prefixes: string[];
  next_cursor: string | null;
}

export interface Storaged {
  /**
   * Durable when it returns; the object is replaced as a whole or not at all.
   * @throws LakeError invalid, too_large, precondition_failed, forbidden, conflict (under `warehouse/` a key
   * can't be both an object and the directory of others), unavailable (the disk is full)
   */
  put(key: string, body: ObjectBody, options?: PutOptions): Promise<StoredObject>;
  /** One version, whatever replaces it meanwhile; read or cancel the body. @throws LakeError not_found, range_not_satisfiable */
  get(key: string, range?: ByteRange): Promise<ObjectRead>;
  /** @throws LakeError not_found */
  head(key: string): Promise<ObjectInfo>;
  /** Succeeds whether or not the key was there; durable when it returns. @throws LakeError forbidden, precondition_failed */
  delete(key: string, options?: DeleteOptions): Promise<void>;
  /** In the order of the keys' UTF-8 bytes. @throws LakeError invalid */
  list(options: ListOptions): Promise<ObjectList>;
}

export const ObjectInfoSchema = t.Object({
  key: t.String({ description: "The object's key" }),
  size: t.Integer({ description: "Bytes" }),
  etag: t.String({ description: "Tells versions of the object apart; quoted, as in the ETag header" }),
  modified: t.String({ format: "date-time", description: "When it was written, UTC with milliseconds" }),
});

export const StoredObjectSchema = t.Object({
  key: t.String({ description: "The object's key" }),
  size: t.Integer({ description: "Bytes" }),
  etag: t.String({ description: "For If-Match, If-None-Match and If-Range" }),
  sha256: t.String({ description: "Of the object's bytes, in hex" }),
});

export const ObjectListSchema = t.Object({
  objects: t.Array(ObjectInfoSchema),
  prefixes: t.Array(t.String(), { description: "What keys past the delimiter begin with" }),
  next_cursor: t.Union([t.String(), t.Null()], { description: "Asks for the next page; null at the end" }),
});

export const ListQuerySchema = t.Object({
  prefix: t.Optional(t.String({ description: "Only keys that begin with it", examples: ["reports/2026/"] })),
  delimiter: t.Optional(
    t.String({
      description: "Keys that hold it past the prefix are told once, as a prefix",
      examples: ["/"],
    }),
  ),
  limit: t.Optional(
    t.Integer({
      minimum: 1,
      maximum: LIST_LIMIT_MAX,
      default: LIST_LIMIT,
      description: "Objects and prefixes on one page, at most",
    }),
  ),
  cursor: t.Optional(
    t.String({
      maxLength: 2048,
      description: "`next_cursor` of the page before, with the same prefix and delimiter",
    }),
  ),
});
