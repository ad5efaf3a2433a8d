/** Where indexes lie: a folder each, made and removed as a whole. */
import {
  closeSync,
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

export const itemsPath = (root: string, name: string): string => join(root, name, "items.sqlite");

/** Removes what a crash left behind. @returns the indexes' names, sorted */
export function openRoot(root: string): string[] {
  const entries = readdirSync(root, { withFileTypes: true }).filter((it) => it.isDirectory());
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
  syncFolder(made);
  renameSync(made, join(root, name));
  syncFolder(root);
}

/** Durable when it returns. */
export function removeFolder(root: string, name: string): void {
  const gone = join(root, `${HIDDEN}gone-${Bun.randomUUIDv7()}`);
  renameSync(join(root, name), gone);
  syncFolder(root);
  rmSync(gone, { recursive: true, force: true });
}

export function folderBytes(root: string, name: string): number {
  const folder = join(root, name);
  return readdirSync(folder).reduce((sum, file) => sum + statSync(join(folder, file)).size, 0);
}

function syncFolder(path: string): void {
  const fd = openSync(path, "r");
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
