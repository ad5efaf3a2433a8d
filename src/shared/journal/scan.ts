/** Streams a file's lines as bytes, in memory bounded by the longest line allowed. */
import { readSync } from "node:fs";
import { NEWLINE } from "./frame.ts";

const CHUNK_BYTES = 1024 * 1024;

export interface LineVisitor {
  /** A line in `bytes` from `start` to `end`, which are only valid during the call; `offset` is its place in the file. */
  line(bytes: Buffer, start: number, end: number, offset: number, has_newline: boolean): void;
  /** A line longer than allowed. */
  overlong(offset: number, length: number, has_newline: boolean): void;
}

export function scanLines(fd: number, max_line_bytes: number, visitor: LineVisitor): void {
  let buffer = Buffer.allocUnsafe(CHUNK_BYTES);
  let filled = 0;
  /** Where in the file the buffer begins. */
  let base = 0;
  let overlong_from = -1;
  for (;;) {
    const read = readSync(fd, buffer, filled, buffer.length - filled, base + filled);
    if (read === 0) break;
    const view = buffer.subarray(0, filled + read);
    let start = 0;
    for (let from = filled; ; from = start) {
      const newline = view.indexOf(NEWLINE, from);
      if (newline === -1) break;
      if (overlong_from === -1) visitor.line(view, start, newline, base + start, true);
      else visitor.overlong(overlong_from, base + newline - overlong_from, true);
      overlong_from = -1;
      start = newline + 1;
    }
    filled = view.length - start;
    if (overlong_from === -1 && filled > max_line_bytes) overlong_from = base + start;
    if (overlong_from !== -1) {
      base += view.length;
      filled = 0;
    } else if (filled === buffer.length) {
      const larger = Buffer.allocUnsafe(buffer.length * 2);
      buffer.copy(larger, 0, 0, filled);
      buffer = larger;
    } else {
      buffer.copyWithin(0, start, view.length);
      base += start;
    }
  }
  if (overlong_from !== -1) visitor.overlong(overlong_from, base - overlong_from, false);
  else if (filled > 0) visitor.line(buffer, 0, filled, base, false);
}
