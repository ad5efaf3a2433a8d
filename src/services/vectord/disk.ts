/** What the disk did to us, in our words. */
import { SQLiteError } from "bun:sqlite";
import { LakeError } from "../../shared/errors.ts";
import { errnoOf } from "../../shared/files.ts";

const SQLITE = /^SQLITE_(FULL|IOERR|READONLY|CANTOPEN)/;
const DAMAGED = /^SQLITE_(CORRUPT|NOTADB)/;
const SYSTEM = new Set(["ENOSPC", "EDQUOT", "EIO", "EROFS", "EMFILE", "ENFILE"]);

/** A full or failing disk, or a damaged file: what was asked was not done, and can be once that is mended; else undefined. */
export function diskFault(error: unknown): LakeError | undefined {
  const name = error instanceof SQLiteError ? (error.code ?? "") : (errnoOf(error) ?? "");
  if (DAMAGED.test(name))
    return new LakeError(
      "unavailable",
      `The index's file is damaged, and this was not done (${name}): restore the index from a snapshot or a backup.`,
      {},
      error,
    );
  if (!SQLITE.test(name) && !SYSTEM.has(name)) return undefined;
  return new LakeError(
    "unavailable",
    `The disk is full or failing, and nothing was written (${name}).`,
    {},
    error,
  );
}
