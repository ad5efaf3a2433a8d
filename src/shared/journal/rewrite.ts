/** Puts other records in the place of some of a file's, so that nothing of those is left in it. */
import { existsSync } from "node:fs";
import { type FileHandle, open, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { syncDirectory, writeAll } from "../files.ts";
import { FRAME_BYTES, NEWLINE, readFrame, toText, writeFrame } from "./frame.ts";

const CHUNK_BYTES = 1024 * 1024;
/** UTF-8 bytes of one UTF-16 code unit, at most. */
const UTF8_PER_UNIT = 3;

export interface Rewrite<R> {
  /** The records to be replaced. */
  readonly seqs: ReadonlySet<number>;
  replace(record: R): R;
  /** Whether a line that is no record, as damage leaves it, holds something of what is to go; it is dropped then. */
  isConcerned(line: Buffer): boolean;
}

/** The last record of a rewritten line may be shorter or longer; its `_seq` stays. */
function replaced<R extends { readonly id?: string }>(
  line: Buffer,
  seq: number,
  rewrite: Rewrite<R>,
): Buffer {
  const record = JSON.parse(line.toString("utf8"));
  delete record._seq;
  delete record._crc;
  const text = toText(rewrite.replace(record as R), Number.POSITIVE_INFINITY);
  const bytes = Buffer.allocUnsafe(text.length * UTF8_PER_UNIT + FRAME_BYTES);
  const length = bytes.write(text, 0, "utf8");
  return bytes.subarray(0, writeFrame(bytes, 0, length, seq));
}

/** What stands for a line; undefined where it goes. */
type Judge = (line: Buffer) => Buffer | undefined;

/** Rewrites a closed segment. @returns whether anything was to be changed */
export function rewriteSegment<R extends { readonly id?: string }>(
  path: string,
  rewrite: Rewrite<R>,
): Promise<boolean> {
  return rewriteFile(path, (line) => {
    const seq = readFrame(line, 0, line.length);
    if (seq > 0) return rewrite.seqs.has(seq) ? replaced(line, seq, rewrite) : line;
    return rewrite.isConcerned(line) ? undefined : line;
  });
}

/** Rewrites a file of damaged lines, where there is one. */
export async function rewriteAside<R>(path: string, rewrite: Rewrite<R>): Promise<void> {
  if (existsSync(path)) await rewriteFile(path, (line) => (rewrite.isConcerned(line) ? undefined : line));
}

/** Whole or not at all: beside it first, then in its place. */
async function rewriteFile(path: string, judge: Judge): Promise<boolean> {
  const beside = `${path}.new`;
  const from = await open(path, "r");
  let is_changed = false;
  try {
    const to = await open(beside, "w", 0o644);
    try {
      is_changed = await copyLines(from, to, judge);
      await to.sync();
    } finally {
      await to.close();
    }
  } finally {
    await from.close();
  }
  if (is_changed) {
    await rename(beside, path);
    await syncDirectory(dirname(path));
  } else await rm(beside);
  return is_changed;
}

/** A chunk at a time, so that the loop serves others between two. */
async function copyLines(from: FileHandle, to: FileHandle, judge: Judge): Promise<boolean> {
  let is_changed = false;
  let rest: Buffer = Buffer.alloc(0);
  for (;;) {
    const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
    const { bytesRead } = await from.read(chunk, 0, chunk.length);
    const bytes = Buffer.concat([rest, chunk.subarray(0, bytesRead)]);
    const is_end = bytesRead === 0;
    const out: Buffer[] = [];
    let start = 0;
    for (;;) {
      const newline = bytes.indexOf(NEWLINE, start);
      const end = newline === -1 ? bytes.length : newline;
      if (newline === -1 && (!is_end || start === bytes.length)) break;
      const line = bytes.subarray(start, end);
      const left = judge(line);
      if (left !== line) is_changed = true;
      if (left === line) out.push(bytes.subarray(start, end + 1));
      else if (left) out.push(left);
      start = end + 1;
      if (newline === -1) break;
    }
    rest = bytes.subarray(Math.min(start, bytes.length));
    if (out.length > 0) await writeAll(to, Buffer.concat(out));
    if (is_end) return is_changed;
  }
}
