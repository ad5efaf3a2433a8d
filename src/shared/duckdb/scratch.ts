/** Scratch that has served: removed once nobody waits for it; what stays is removed at the next start. */
import { rm } from "node:fs/promises";
import type { Log } from "../log.ts";

/** Never throws: what is made can't fail by it. */
export async function removeScratch(folder: string, log: Log): Promise<void> {
  try {
    await rm(folder, { recursive: true, force: true });
  } catch (error) {
    log.warn({ folder, err: error }, "scratch could not be removed");
  }
}
