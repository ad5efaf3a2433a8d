/**
 * The truth of one index, in SQLite: items by id, each under a key that is never used twice, so that a key
 * names one version of an item. Texts are indexed by word beside them. Durable when a call returns.
 */
import { Database } from "bun:sqlite";
import { LakeError } from "../../shared/errors.ts";
import type { JudgedItem } from "./batch.ts";
import type { IndexSettings } from "./schema.ts";
import type { Origin, Source } from "./tables_schema.ts";

/** How FTS5 takes a text apart. */
export const TOKENIZER = "porter unicode61";
/** Made by every start where it is missing. */
const SOURCE_TABLE = "CREATE TABLE IF NOT EXISTS source (source TEXT NOT NULL) STRICT;";
/** What there is in an index's file. */
export const SCHEMA = `
  ${SOURCE_TABLE}
  CREATE TABLE IF NOT EXISTS settings (settings TEXT NOT NULL) STRICT;
  CREATE TABLE IF NOT EXISTS items (
    key INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    vector BLOB NOT NULL,
    metadata TEXT,
    text TEXT,
    expires_ms INTEGER
  ) STRICT;
  CREATE INDEX IF NOT EXISTS items_by_expiry ON items (expires_ms) WHERE expires_ms IS NOT NULL;
  CREATE VIRTUAL TABLE IF NOT EXISTS words
    USING fts5 (text, content = '', contentless_delete = 1, tokenize = '${TOKENIZER}');
`;
export const BUSY_MS = 10_000;
/** Keys that a read or a sweep takes at a time. */
const EXPIRED_AT_ONCE = 10_000;

export interface StoredItem {
  readonly key: number;
  readonly id: string;
  readonly vector: Uint8Array;
  readonly metadata: string | null;
  readonly expires_ms: number | null;
}

/** An item with all that was sent of it. */
export interface ExportedItem extends StoredItem {
  readonly text: string | null;
}

/** An item with its vector. */
export type WholeItem = JudgedItem & { readonly vector: Float32Array };

/** What a write changed. */
export interface Change {
  /** The highest key there is. */
  readonly last_key: number;
  readonly added: number;
  /** Keys of items that are no more. */
  readonly removed: number[];
}

function open(path: string): Database {
  const db = new Database(path, { create: true, strict: true });
  db.run(`PRAGMA busy_timeout = ${BUSY_MS}`);
  db.run("PRAGMA journal_mode = WAL");
  db.run("PRAGMA synchronous = FULL");
  return db;
}

/** Makes the file of a new index. */
export function createItemFile(path: string, settings: IndexSettings): void {
  const db = open(path);
  db.transaction(() => {
    db.run(SCHEMA);
    db.query("INSERT INTO settings (settings) VALUES (?)").run(JSON.stringify(settings));
  }).immediate();
  db.close();
}

/** The one writer of an index. */
export class ItemWriter {
  readonly settings: IndexSettings;
  readonly #db: Database;
  /** Upserts by id, all or nothing. */
  readonly add: (items: readonly WholeItem[]) => Change;
  /** Answers with the keys that were there. */
  readonly removeKeys: (keys: readonly number[]) => number[];

  constructor(path: string) {
    const db = open(path);
    // A file of before tables were read has none.
    db.run(SOURCE_TABLE);
    this.#db = db;
    this.settings = readSettings(db);
    const find = db.query<{ key: number; text: string | null }, [string]>(
      "SELECT key, text FROM items WHERE id = ?",
    );
    const drop = db.query("DELETE FROM items WHERE key = ?");
    const forget = db.query("DELETE FROM words WHERE rowid = ?");
    const insert = db.query(
      "INSERT INTO items (id, vector, metadata, text, expires_ms) VALUES (?, ?, ?, ?, ?)",
    );
    const learn = db.query("INSERT INTO words (rowid, text) VALUES (?, ?)");
    const take = (key: number, text: string | null) => {
      drop.run(key);
      if (text !== null) forget.run(key);
    };
    const textOf = db.query<{ text: string | null }, [number]>("SELECT text FROM items WHERE key = ?");

    const add = db.transaction((items: readonly WholeItem[]) => {
      const removed: number[] = [];
      let last_key = 0;
      for (const { id, vector, metadata, text, expires_ms } of items) {
        const before = find.get(id);
        if (before) {
          take(before.key, before.text);
          removed.push(before.key);
        }
        const bytes = new Uint8Array(vector.buffer, vector.byteOffset, vector.byteLength);
        last_key = Number(insert.run(id, bytes, metadata, text, expires_ms).lastInsertRowid);
        if (text !== null) learn.run(last_key, text);
      }
      return { last_key, added: items.length - removed.length, removed };
    });
    const removeKeys = db.transaction((keys: readonly number[]) =>
      keys.filter((key) => {
        const found = textOf.get(key);
        if (found) take(key, found.text);
        return found !== null;
      }),
    );
    this.add = (items) => add.immediate(items);
    this.removeKeys = (keys) => removeKeys.immediate(keys);
  }

  removeIds(ids: readonly string[]): number[] {
    const find = this.#db.query<{ key: number }, [string]>("SELECT key FROM items WHERE id = ?");
    return this.removeKeys([...new Set(ids)].flatMap((id) => find.get(id)?.key ?? []));
  }

  /** Removes the items whose time has passed, so many at a time. @returns their keys */
  expire(now_ms: number): number[] {
    const expired = this.#db
      .query<{ key: number }, [number, number]>("SELECT key FROM items WHERE expires_ms <= ? LIMIT ?")
      .all(now_ms, EXPIRED_AT_ONCE);
    return expired.length === 0 ? [] : this.removeKeys(expired.map((it) => it.key));
  }

  /** Sets which fields are indexed. */
  declare(indexed: readonly string[]): void {
    const settings = { ...readSettings(this.#db), indexed };
    this.#db.query("UPDATE settings SET settings = ?").run(JSON.stringify(settings));
  }

  /**
   * Rewrites the file, so that nothing of what was deleted or replaced is left in it: words are forgotten only
   * as the segments that hold them are merged, and rows only as their pages are written anew.
   * @throws LakeError unavailable where a reader keeps the log from being emptied
   */
  erase(): void {
    this.#db.run("INSERT INTO words (words) VALUES ('optimize')");
    this.#db.run("VACUUM");
    const done = this.#db.query<{ busy: number }, []>("PRAGMA wal_checkpoint(TRUNCATE)").get();
    if (done?.busy !== 0)
      throw new LakeError("unavailable", "The index is being read, and not erased yet: ask again.", {
        retry_after_s: 1,
      });
  }

  /** Keeps where the items came from, and that nothing has changed since. */
  note(source: Source & Origin): void {
    const note = { ...source, state: stateOf(this.#db) };
    this.#db.transaction(() => {
      this.#db.run("DELETE FROM source");
      this.#db.query("INSERT INTO source (source) VALUES (?)").run(JSON.stringify(note));
    })();
  }

  /** Where the items came from; `is_unchanged` where none was written or removed since. */
  noted(): (Source & Origin & { is_unchanged: boolean }) | null {
    const note = readNote(this.#db);
    return note && { ...note, is_unchanged: note.state === stateOf(this.#db) };
  }

  count(): number {
    return this.#db.query<{ n: number }, []>("SELECT count(*) AS n FROM items").get()?.n ?? 0;
  }

  close(): void {
    this.#db.close();
  }
}

/** A reader beside the writer. */
export class ItemReader {
  readonly settings: IndexSettings;
  readonly #db: Database;

  constructor(path: string) {
    this.#db = open(path);
    this.#db.run("PRAGMA query_only = 1");
    this.settings = readSettings(this.#db);
  }

  /** Items with a key past `after`, in the order of keys. */
  after(after: number, limit: number): StoredItem[] {
    return this.#db
      .query<StoredItem, [number, number]>(
        "SELECT key, id, vector, metadata, expires_ms FROM items WHERE key > ? ORDER BY key LIMIT ?",
      )
      .all(after, limit);
  }

  /** The highest key ever given to an item. */
  newestKey(): number {
    return sequenceOf(this.#db);
  }

  /** The key of an id's item as it is on the disk. */
  keyOf(id: string): number | undefined {
    return this.#db.query<{ key: number }, [string]>("SELECT key FROM items WHERE id = ?").get(id)?.key;
  }

  /** Texts of the items with a key past `after` and up to `to`, in the order of keys. */
  texts(after: number, to: number, limit: number): { key: number; text: string | null }[] {
    return this.#db
      .query<{ key: number; text: string | null }, [number, number, number]>(
        "SELECT key, text FROM items WHERE key > ? AND key <= ? ORDER BY key LIMIT ?",
      )
      .all(after, to, limit);
  }

  /** Every item whose time has not passed, by key, as they were when the first is read. */
  all(now_ms: number): IterableIterator<ExportedItem> {
    return this.#db
      .query<ExportedItem, [number]>(
        "SELECT key, id, vector, metadata, text, expires_ms FROM items WHERE expires_ms IS NULL OR expires_ms > ? ORDER BY key",
      )
      .iterate(now_ms);
  }

  /** Keys up to this one, rising. */
  *keysTo(to: number): Iterable<number> {
    const rows = this.#db.query<{ key: number }, [number]>(
      "SELECT key FROM items WHERE key <= ? ORDER BY key",
    );
    for (const { key } of rows.iterate(to)) yield key;
  }

  /** The ids of all items. */
  ids(): IterableIterator<{ id: string }> {
    return this.#db.query<{ id: string }, []>("SELECT id FROM items").iterate();
  }

  find(id: string): ExportedItem | null {
    return this.#db
      .query<ExportedItem, [string]>(
        "SELECT key, id, vector, metadata, text, expires_ms FROM items WHERE id = ?",
      )
      .get(id);
  }

  /** The table that the items were read from last. */
  source(): Source | null {
    const note = readNote(this.#db);
    return note && { table: note.table, snapshot_id: note.snapshot_id, at: note.at };
  }

  /** In the order of the keys: a text, or null where an item has none or is no more. In one read, so SQLite locks once. */
  textsOf(keys: readonly number[]): (string | null)[] {
    const find = this.#db.query<{ text: string | null }, [number]>("SELECT text FROM items WHERE key = ?");
    return this.#db.transaction(() => keys.map((key) => find.get(key)?.text ?? null))();
  }

  /** Keys by falling BM25 (FTS5's, with its sign turned). @param match an FTS5 expression */
  rank(match: string, limit: number): { key: number; bm25: number }[] {
    return this.#db
      .query<{ key: number; bm25: number }, [string, number]>(
        "SELECT rowid AS key, -bm25(words) AS bm25 FROM words WHERE words MATCH ? ORDER BY rank, rowid LIMIT ?",
      )
      .all(match, limit);
  }

  close(): void {
    this.#db.close();
  }
}

export function readSettings(db: Database): IndexSettings {
  const row = db.query<{ settings: string }, []>("SELECT settings FROM settings").get();
  if (!row) throw new Error("the index's file holds no settings");
  // An index of before fields were indexed has none.
  const settings = JSON.parse(row.settings) as Omit<IndexSettings, "indexed"> & Partial<IndexSettings>;
  return { ...settings, indexed: settings.indexed ?? [] };
}

function readNote(db: Database): (Source & Origin & { state: string }) | null {
  const row = db.query<{ source: string }, []>("SELECT source FROM source").get();
  return row && (JSON.parse(row.source) as Source & Origin & { state: string });
}

/** The same while nothing is written or removed: keys only grow, and a removal lowers the count. */
function stateOf(db: Database): string {
  const count = db.query<{ n: number }, []>("SELECT count(*) AS n FROM items").get()?.n;
  return `${sequenceOf(db)}:${count}`;
}

/** The highest key ever given. */
function sequenceOf(db: Database): number {
  return (
    db.query<{ seq: number }, []>("SELECT seq FROM sqlite_sequence WHERE name = 'items'").get()?.seq ?? 0
  );
}
