/** Where indexes lie: a folder each, made and removed as a whole. */
import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
} from "node:fs";
import { join } from "node:path";
import type { IndexSettings } from "./schema.ts";
import { createItemFile } from "./store.ts";

/** Folders on their way in or out, scratch among them; no index's name begins with a dot. */
const HIDDEN = ".";
/** Kept from one start to the next. */
export const JOBS_FOLDER = ".jobs";
/** A whole index that is to take the place of the one with the name that follows. */
const NEXT = ".next-";

export const itemsPath = (root: string, name: string): string => join(root, name, "items.sqlite");

/** Ends or removes what a crash left behind; a link is not followed. @returns the indexes' names, sorted */
export function openRoot(root: string): string[] {
  const folders = () => readdirSync(root, { withFileTypes: true }).filter((it) => it.isDirectory());
  const names = new Set(folders().map((it) => it.name));
  for (const next of names) {
    const name = next.slice(NEXT.length);
    if (next.startsWith(NEXT) && !names.has(name)) renameSync(join(root, next), join(root, name));
  }
  const entries = folders();
  for (const { name } of entries)
    if (name.startsWith(HIDDEN) && name !== JOBS_FOLDER)
      rmSync(join(root, name), { recursive: true, force: true });
  return entries
    .map((it) => it.name)
    .filter((name) => !name.startsWith(HIDDEN))
    .sort();
}

/** Durable when it returns. */
export function createFolder(root: string, name: string, settings: IndexSettings): void {
  const made = join(root, `${HIDDEN}new-${Bun.randomUUIDv7()}`);
  mkdirSync(made);
  createItemFile(join(made, "items.sqlite"), settings);
  syncPath(made);
  renameSync(made, join(root, name));
  syncPath(root);
}

/** A folder that no start takes for an index; removed by the next start at the latest. */
export const scratchPath = (root: string): string => join(root, `${HIDDEN}moving-${Bun.randomUUIDv7()}`);

/**
 * Puts a whole and synced folder in an index's place, whether or not there is one: a crash at any moment leaves
 * the one or the other. Durable when it returns.
 */
export function installFolder(root: string, folder: string, name: string): void {
  const next = join(root, NEXT + name);
  const gone = join(root, `${HIDDEN}gone-${Bun.randomUUIDv7()}`);
  renameSync(folder, next);
  syncPath(root);
  if (existsSync(join(root, name))) renameSync(join(root, name), gone);
  renameSync(next, join(root, name));
  syncPath(root);
  rmSync(gone, { recursive: true, force: true });
}

/** Durable when it returns. */
export function removeFolder(root: string, name: string): void {
  const gone = join(root, `${HIDDEN}gone-${Bun.randomUUIDv7()}`);
  renameSync(join(root, name), gone);
  syncPath(root);
  rmSync(gone, { recursive: true, force: true });
}

export function folderBytes(root: string, name: string): number {
  const folder = join(root, name);
  return readdirSync(folder).reduce((sum, file) => sum + statSync(join(folder, file)).size, 0);
}

/** Waits until a file's bytes, or a folder's entries, are on the disk. */
export function syncPath(path: string): void {
  const fd = openSync(path, "r");
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
