/** storaged's interface: objects by key. The same for the local domain and the client of a remote one. */

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
  signal?: AbortSignal;
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
  /** Durable when it returns. @throws LakeError invalid, too_large, precondition_failed, forbidden */
  put(key: string, body: ObjectBody, options?: PutOptions): Promise<StoredObject>;
  /** @throws LakeError not_found, invalid (a range past the end) */
  get(key: string, range?: ByteRange): Promise<ObjectRead>;
  /** @throws LakeError not_found */
  head(key: string): Promise<ObjectInfo>;
  /** Succeeds whether or not the key was there. */
  delete(key: string, options?: { by_service?: boolean }): Promise<void>;
  /** In key order (code points of UTF-8 bytes). */
  list(options: ListOptions): Promise<ObjectList>;
}
