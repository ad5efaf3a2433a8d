/** What the disk did to us, in our words. */
import { SQLiteError } from "bun:sqlite";
import { LakeError } from "../../shared/errors.ts";
import { errnoOf } from "../../shared/files.ts";

const SQLITE = /^SQLITE_(FULL|IOERR|READONLY|CANTOPEN)/;
const SYSTEM = new Set(["ENOSPC", "EDQUOT", "EIO", "EROFS", "EMFILE", "ENFILE"]);

/** A full or failing disk: what was asked was not done, and can be asked again once it is mended; else undefined. */
export function diskFault(error: unknown): LakeError | undefined {
  const name = error instanceof SQLiteError ? (error.code ?? "") : (errnoOf(error) ?? "");
  if (!SQLITE.test(name) && !SYSTEM.has(name)) return undefined;
  return new LakeError(
    "unavailable",
    `The disk is full or failing, and nothing was written (${name}).`,
    {},
    error,
  );
}
