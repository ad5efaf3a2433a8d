/**
 * The catalog's pointers, in SQLite: which metadata document is a table's present one. A commit is a
 * compare-and-swap here; several processes may hold the file open. Durable when a call returns.
 */
import { Database } from "bun:sqlite";
import { mkdirSync } from "node:fs";
import { dirname } from "node:path";

export interface Pointer {
  /** `namespace.table` */
  readonly name: string;
  readonly uuid: string;
  /** The folder's key, without a slash at its end. */
  readonly folder: string;
  /** The present metadata document's key. */
  readonly metadata_key: string;
}

/** A commit's idempotency key, remembered with the swap that made it. */
export interface CommitKey {
  readonly key: string;
  readonly snapshot_id: string;
  readonly summary: Readonly<Record<string, string>>;
}

/** An object that was copied into a table when it was registered. */
export interface RegisteredObject {
  readonly source_key: string;
  readonly source_etag: string;
  /** Of its bytes, in hex. */
  readonly sha256: string;
  /** Where its copy lies. */
  readonly key: string;
}

export interface Swap {
  readonly uuid: string;
  readonly from_metadata_key: string;
  readonly to_metadata_key: string;
  readonly commit_key?: CommitKey;
  /** Keys that the table no longer refers to from now on. */
  readonly released?: { readonly keys: readonly string[]; readonly at_ms: number };
}

export interface PointerStore {
  find(name: string): Pointer | undefined;
  /** All names, sorted. */
  names(): string[];
  hasFolder(folder: string): boolean;
  /** False where the name is taken, in whatever case. */
  insert(pointer: Pointer, commit_key?: CommitKey, registered?: readonly RegisteredObject[]): boolean;
  /** False where the pointer isn't `from_metadata_key` any more. */
  swap(swap: Swap): boolean;
  /** The commit made with a key; undefined where none was. */
  committed(uuid: string, key: string): CommitKey | undefined;
  registered(uuid: string): RegisteredObject[];
  /** When each of a table's keys was released, ms since 1970. */
  released(uuid: string): Map<string, number>;
  forgetReleased(uuid: string, keys: readonly string[]): void;
  /** False where the pointer isn't `metadata_key` any more. */
  remove(pointer: Pointer, at_ms: number): boolean;
  /** Folders of tables that were removed, and when. */
  dropped(): { folder: string; at_ms: number }[];
  /** Lets a removed table's folder go now, without waiting out its age. */
  forgetDropped(folder: string): void;
  close(): void;
}

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS tables (
    name TEXT PRIMARY KEY COLLATE NOCASE,
    uuid TEXT NOT NULL UNIQUE,
    folder TEXT NOT NULL UNIQUE,
    metadata_key TEXT NOT NULL
  ) STRICT;
  CREATE TABLE IF NOT EXISTS commit_keys (
    id INTEGER PRIMARY KEY,
    uuid TEXT NOT NULL,
    key TEXT NOT NULL,
    snapshot_id TEXT NOT NULL,
    summary TEXT NOT NULL,
    UNIQUE (uuid, key)
  ) STRICT;
  CREATE TABLE IF NOT EXISTS registered_objects (
    uuid TEXT NOT NULL,
    source_key TEXT NOT NULL,
    source_etag TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    key TEXT NOT NULL,
    PRIMARY KEY (uuid, source_key)
  ) STRICT;
  CREATE TABLE IF NOT EXISTS released_keys (
    uuid TEXT NOT NULL,
    key TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    PRIMARY KEY (uuid, key)
  ) STRICT;
  CREATE TABLE IF NOT EXISTS dropped_tables (
    folder TEXT PRIMARY KEY,
    at_ms INTEGER NOT NULL
  ) STRICT;
`;

/** @param commit_keys_kept the newest commit keys remembered of each table */
// biome-ignore lint/complexity/noExcessiveLinesPerFunction: the statements are prepared once, for all methods
export function openPointerStore(path: string, commit_keys_kept: number): PointerStore {
  mkdirSync(dirname(path), { recursive: true });
  const db = new Database(path, { create: true, strict: true });
  // The wait comes first: changing the journal mode takes a lock that another process may hold.
  db.run("PRAGMA busy_timeout = 10000");
  db.run("PRAGMA journal_mode = WAL");
  db.run("PRAGMA synchronous = FULL");
  db.transaction(() => db.run(SCHEMA)).immediate();
  const find = db.query<Pointer, [string]>(
    "SELECT name, uuid, folder, metadata_key FROM tables WHERE name = ?",
  );
  const rememberKey = db.query(
    "INSERT INTO commit_keys (uuid, key, snapshot_id, summary) VALUES (?, ?, ?, ?)",
  );
  const forgetKeys = db.query(
    "DELETE FROM commit_keys WHERE uuid = ?1 AND id <= (SELECT id FROM commit_keys WHERE uuid = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)",
  );
  const release = db.query("INSERT OR IGNORE INTO released_keys (uuid, key, at_ms) VALUES (?, ?, ?)");

  const remember = (uuid: string, commit_key: CommitKey | undefined) => {
    if (!commit_key) return;
    rememberKey.run(uuid, commit_key.key, commit_key.snapshot_id, JSON.stringify(commit_key.summary));
    forgetKeys.run(uuid, commit_keys_kept);
  };
  const insert = db.transaction(
    (pointer: Pointer, commit_key?: CommitKey, registered: readonly RegisteredObject[] = []) => {
      const { changes } = db
        .query("INSERT OR IGNORE INTO tables (name, uuid, folder, metadata_key) VALUES (?, ?, ?, ?)")
        .run(pointer.name, pointer.uuid, pointer.folder, pointer.metadata_key);
      if (changes === 0) return false;
      remember(pointer.uuid, commit_key);
      const add = db.query(
        "INSERT INTO registered_objects (uuid, source_key, source_etag, sha256, key) VALUES (?, ?, ?, ?, ?)",
      );
      for (const it of registered) add.run(pointer.uuid, it.source_key, it.source_etag, it.sha256, it.key);
      return true;
    },
  );
  const swap = db.transaction(({ uuid, from_metadata_key, to_metadata_key, commit_key, released }: Swap) => {
    const { changes } = db
      .query("UPDATE tables SET metadata_key = ? WHERE uuid = ? AND metadata_key = ?")
      .run(to_metadata_key, uuid, from_metadata_key);
    if (changes === 0) return false;
    remember(uuid, commit_key);
    for (const key of released?.keys ?? []) release.run(uuid, key, released?.at_ms ?? 0);
    return true;
  });
  const remove = db.transaction((pointer: Pointer, at_ms: number) => {
    const { changes } = db
      .query("DELETE FROM tables WHERE uuid = ? AND metadata_key = ?")
      .run(pointer.uuid, pointer.metadata_key);
    if (changes === 0) return false;
    for (const table of ["commit_keys", "registered_objects", "released_keys"])
      db.query(`DELETE FROM ${table} WHERE uuid = ?`).run(pointer.uuid);
    db.query("INSERT OR REPLACE INTO dropped_tables (folder, at_ms) VALUES (?, ?)").run(
      pointer.folder,
      at_ms,
    );
    return true;
  });
  const forgetReleased = db.transaction((uuid: string, keys: readonly string[]) => {
    const forget = db.query("DELETE FROM released_keys WHERE uuid = ? AND key = ?");
    for (const key of keys) forget.run(uuid, key);
  });

  return {
    find: (name) => find.get(name) ?? undefined,
    names: () =>
      db
        .query<{ name: string }, []>("SELECT name FROM tables ORDER BY name COLLATE BINARY")
        .all()
        .map(({ name }) => name),
    hasFolder: (folder) => db.query("SELECT 1 FROM tables WHERE folder = ?").get(folder) !== null,
    insert: (pointer, commit_key, registered) => insert.immediate(pointer, commit_key, registered),
    swap: (it) => swap.immediate(it),
    committed: (uuid, key) => {
      const found = db
        .query<{ snapshot_id: string; summary: string }, [string, string]>(
          "SELECT snapshot_id, summary FROM commit_keys WHERE uuid = ? AND key = ?",
        )
        .get(uuid, key);
      return found ? { key, snapshot_id: found.snapshot_id, summary: JSON.parse(found.summary) } : undefined;
    },
    registered: (uuid) =>
      db
        .query<RegisteredObject, [string]>(
          "SELECT source_key, source_etag, sha256, key FROM registered_objects WHERE uuid = ? ORDER BY source_key",
        )
        .all(uuid),
    released: (uuid) =>
      new Map(
        db
          .query<{ key: string; at_ms: number }, [string]>(
            "SELECT key, at_ms FROM released_keys WHERE uuid = ?",
          )
          .all(uuid)
          .map(({ key, at_ms }) => [key, at_ms]),
      ),
    forgetReleased: (uuid, keys) => forgetReleased.immediate(uuid, keys),
    remove: (pointer, at_ms) => remove.immediate(pointer, at_ms),
    dropped: () =>
      db
        .query<{ folder: string; at_ms: number }, []>(
          "SELECT folder, at_ms FROM dropped_tables ORDER BY folder",
        )
        .all(),
    forgetDropped: (folder) => {
      db.query("DELETE FROM dropped_tables WHERE folder = ?").run(folder);
    },
    close: () => db.close(),
  };
}
