/** What a process that died has left: temporaries, and directories made for them. */
import { readdir, rmdir, unlink } from "node:fs/promises";
import { join } from "node:path";
import { type Area, readName } from "./layout.ts";

/**
 * Removes every temporary below `directory`, and the directories that are empty then. Links are not followed.
 * Answers whether `directory` itself is empty.
 */
export async function sweep(area: Area, directory: string): Promise<boolean> {
  let is_empty = true;
  for (const entry of await readdir(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    if (entry.isDirectory() && (await sweep(area, path))) await rmdir(path);
    else if (entry.isFile() && readName(area, entry.name, false)?.kind === "temporary") await unlink(path);
    else is_empty = false;
  }
  return is_empty;
}
