/**
 * A table of texts on disk, as DuckDB reads it fastest and without doubt: every value quoted, nothing for
 * null, and each row's line in the file it came from as its first column, so that a bad value can be named.
 */
import { closeSync, openSync, writeSync } from "node:fs";

/** Small, since flattening a long string made of many is what costs most here. */
const FLUSH_CHARS = 16 * 1024;

export class TextTable {
  readonly #fd: number;
  #pending = "";

  constructor(readonly path: string) {
    this.#fd = openSync(path, "wx");
  }

  add(line: number, values: readonly (string | null)[]): void {
    let row = `${line}`;
    for (const value of values)
      row += value === null ? "," : `,"${value.includes('"') ? value.replaceAll('"', '""') : value}"`;
    this.#pending += `${row}\n`;
    if (this.#pending.length >= FLUSH_CHARS) this.#flush();
  }

  close(): void {
    this.#flush();
    closeSync(this.#fd);
  }

  #flush(): void {
    const bytes = Buffer.from(this.#pending);
    for (let at = 0; at < bytes.length; ) at += writeSync(this.#fd, bytes, at);
    this.#pending = "";
  }
}
