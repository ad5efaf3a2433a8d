/** An index's file copied whole, and what there is in one. */
import { Database } from "bun:sqlite";
import type { IndexSettings } from "./schema.ts";
import { BUSY_MS, readSettings, SCHEMA } from "./store.ts";

/** What a copy of an index's file holds. */
export interface Copied {
  readonly settings: IndexSettings;
  readonly items: number;
  /** The highest key ever given to an item. */
  readonly last_key: number;
}

/** Copies an index's file as it is at one moment, while it is read and written. */
export function copyItemFile(from: string, to: string): Copied {
  const db = new Database(from, { readwrite: true, create: false, strict: true });
  try {
    db.run(`PRAGMA busy_timeout = ${BUSY_MS}`);
    db.query("VACUUM INTO ?").run(to);
  } finally {
    db.close();
  }
  const copy = new Database(to, { readonly: true, strict: true });
  try {
    return { settings: readSettings(copy), ...countsOf(copy) };
  } finally {
    copy.close();
  }
}

export function countsOf(db: Database): { items: number; last_key: number } {
  const items = db.query<{ n: number }, []>("SELECT count(*) AS n FROM items").get()?.n ?? 0;
  const last = db.query<{ seq: number }, []>("SELECT seq FROM sqlite_sequence WHERE name = 'items'").get();
  return { items, last_key: last?.seq ?? 0 };
}

/** Every table, index and trigger of a file, as SQLite keeps them. */
export function schemaOf(db: Database): string {
  return JSON.stringify(
    db.query("SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name").all(),
  );
}

/** What `schemaOf` tells of an index's file. */
export function expectedSchema(): string {
  const db = new Database(":memory:");
  try {
    db.run(SCHEMA);
    return schemaOf(db);
  } finally {
    db.close();
  }
}
