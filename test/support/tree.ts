/** What lies under a directory, for tests that must find nothing left. */
import { readdirSync, readFileSync } from "node:fs";
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

/** The bytes of every regular file below `root`, by path; read again where one was renamed or removed meanwhile. */
export function contentsBelow(root: string): Map<string, Buffer> {
  for (;;)
    try {
      return new Map(filesBelow(root).map((path) => [path, readFileSync(path)]));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    }
}
