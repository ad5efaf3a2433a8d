/** What lies under a directory, for tests that must find nothing left. */
import { readdirSync } from "node:fs";
import { join, relative } from "node:path";

/** Every file and directory below `root`, by its path from there, sorted. */
export function treeOf(root: string): string[] {
  return readdirSync(root, { recursive: true, withFileTypes: true })
    .map((it) => relative(root, join(it.parentPath, it.name)) + (it.isDirectory() ? "/" : ""))
    .sort();
}

/** The paths of every regular file below `root`. */
export function filesBelow(root: string): string[] {
  return readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((it) => it.isFile())
    .map((it) => join(it.parentPath, it.name));
}
