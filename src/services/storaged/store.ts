/** What keeps the objects. The local disk is one; an S3 of the same shape can stand in its place. */
import type { ByteRange, ObjectInfo, ObjectRead } from "./schema.ts";

/** The bytes of an object to be, in order; the store reads them once and never holds them all. */
export type Chunks = AsyncIterable<Uint8Array>;

export interface Stored {
  info: ObjectInfo;
  /** Whether the key was new. */
  created: boolean;
}

export interface ListQuery {
  prefix: string;
  /** "" lists every key. */
  delimiter: string;
  limit: number;
  cursor: string | undefined;
}

export interface ListPage {
  objects: ObjectInfo[];
  prefixes: string[];
  next_cursor: string | null;
}

/**
 * Objects by key. Each is replaced as a whole: a reader gets one version or another, a failed or broken
 * write leaves the one before. What is answered is durable. Keys come checked (keys.ts).
 */
export interface ObjectStore {
  /** Writes only where the key is free (S3: If-None-Match: *). @throws LakeError `precondition_failed`, `conflict` */
  create(key: string, body: Chunks): Promise<Stored>;
  /**
   * Writes whether or not the key is taken; with `if_match` only over the version of that ETag.
   * @throws LakeError `precondition_failed`, `conflict`
   */
  replace(key: string, body: Chunks, if_match?: string): Promise<Stored>;
  /** @throws LakeError `not_found`, `range_not_satisfiable` */
  read(key: string, range?: ByteRange): Promise<ObjectRead>;
  /** @throws LakeError `not_found` */
  head(key: string): Promise<ObjectInfo>;
  /** Succeeds where the key is free, too. @throws LakeError `precondition_failed` */
  remove(key: string, if_match?: string): Promise<void>;
  list(query: ListQuery): Promise<ListPage>;
  close(): Promise<void>;
}
