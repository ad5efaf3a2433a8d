/**
 * Whether an index's file from elsewhere is what it says: nothing of it is opened for use before. A file with
 * a schema of its own could run what it likes, and one with holes would answer wrongly for good.
 */
import { Database } from "bun:sqlite";
import { LakeError, messageOf } from "../../shared/errors.ts";
import type { Manifest } from "./archive.ts";
import { countsOf, expectedSchema, schemaOf } from "./copy.ts";
import { syncPath } from "./folders.ts";
import { readSettings, type StoredItem } from "./store.ts";

const READ_AT_ONCE = 1000;

/** Durable when it returns. @throws LakeError invalid, naming what is wrong */
export function judgeItemFile(key: string, path: string, manifest: Manifest): void {
  const db = new Database(path, { readwrite: true, create: false, strict: true });
  try {
    db.run("PRAGMA trusted_schema = OFF");
    db.run("PRAGMA cell_size_check = ON");
    const fault = faultOf(db, manifest);
    if (fault !== undefined) throw new LakeError("invalid", `"${key}" holds items that ${fault}.`);
  } catch (error) {
    if (error instanceof LakeError) throw error;
    throw new LakeError("invalid", `"${key}" holds items that can't be read: ${messageOf(error)}.`);
  } finally {
    db.close();
  }
  syncPath(path);
}

function faultOf(db: Database, manifest: Manifest): string | undefined {
  if (schemaOf(db) !== expectedSchema()) return "are kept in other tables than an index's";
  const integrity = db.query<{ integrity_check: string }, []>("PRAGMA integrity_check(1)").get();
  if (integrity?.integrity_check !== "ok") return `are damaged: ${integrity?.integrity_check}`;
  if (!Bun.deepEquals(readSettings(db), manifest.settings)) return "have other settings than its manifest";
  const { items, last_key } = countsOf(db);
  if (items !== manifest.items || last_key !== manifest.last_key)
    return `are ${items} up to key ${last_key}, where its manifest names ${manifest.items} up to ${manifest.last_key}`;
  if ((manifest.graph?.covers_key ?? 0) > last_key) return "end before the key that its graph covers";
  const noted = db
    .query<{ n: number }, []>("SELECT count(*) AS n FROM source WHERE NOT json_valid(source)")
    .get();
  if (noted?.n !== 0) return "are noted to be of a table that can't be read";
  const worded = db
    .query<{ n: number }, []>(
      "SELECT count(*) AS n FROM (SELECT key FROM items WHERE text IS NOT NULL EXCEPT SELECT id FROM words_docsize)",
    )
    .get();
  if (worded?.n !== 0) return `are not all found by their words (${worded?.n} are missing)`;
  return faultOfItems(db, manifest.settings.dimension, last_key);
}

function faultOfItems(db: Database, dimension: number, last_key: number): string | undefined {
  const next = db.query<StoredItem, [number, number]>(
    "SELECT key, id, vector, metadata, expires_ms FROM items WHERE key > ? ORDER BY key LIMIT ?",
  );
  let after = Number.MIN_SAFE_INTEGER;
  for (let rows = next.all(after, READ_AT_ONCE); rows.length > 0; rows = next.all(after, READ_AT_ONCE)) {
    for (const { key, id, vector, metadata } of rows) {
      after = key;
      if (key < 1 || key > last_key) return `have a key that was never given (${key})`;
      const name = JSON.stringify(id);
      if (vector.byteLength !== dimension * Float32Array.BYTES_PER_ELEMENT)
        return `have another dimension (${name} takes ${vector.byteLength} bytes)`;
      if (!new Float32Array(vector.slice().buffer).every(Number.isFinite))
        return `have numbers that are none (${name})`;
      if (metadata !== null && !isObject(metadata)) return `have metadata that is no JSON object (${name})`;
    }
  }
  return undefined;
}

function isObject(json: string): boolean {
  try {
    const value: unknown = JSON.parse(json);
    return typeof value === "object" && value !== null && !Array.isArray(value);
  } catch {
    return false;
  }
}
