/** What a process that died has left: temporaries, and directories made for them. */
import { readdir, rm, rmdir } from "node:fs/promises";
import { join } from "node:path";
import { errnoOf } from "../../shared/files.ts";
import { type Area, readName } from "./layout.ts";

/** Removes every temporary below `directory`, and the directories left empty. Links are not followed. */
export async function sweep(area: Area, directory: string): Promise<void> {
  for (const entry of await readdir(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) {
      await sweep(area, path);
      await rmdir(path).catch(refuseUnlessInUse);
    } else if (readName(area, entry.name, false)?.kind === "temporary") await rm(path);
  }
}

function refuseUnlessInUse(error: unknown): void {
  if (!["ENOTEMPTY", "EEXIST", "EBUSY"].includes(errnoOf(error) ?? "")) throw error;
}
