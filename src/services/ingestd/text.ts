/** A file's bytes as text, in pieces: UTF-8 is checked, and where it breaks is remembered, not hidden. */
import { isUtf8 } from "node:buffer";
import { open } from "node:fs/promises";
import { LakeError } from "../../shared/errors.ts";

export interface TextPiece {
  text: string;
  /** Some bytes were no UTF-8 and stand as U+FFFD. */
  broken: boolean;
  /** No piece follows. */
  last: boolean;
  /** Bytes read up to here. */
  bytes: number;
}

export const PIECE_BYTES = 1024 * 1024;
/** A record may be so long; as UTF-8 it is then within the longest line that DuckDB is told to read. */
export const MAX_RECORD_CHARS = 8 * 1024 * 1024;
export const REPLACEMENT = "\ufffd";

/** Reads the file, or its first `most_bytes`, in pieces that end between characters. */
export async function* textPieces(
  path: string,
  most_bytes = Number.POSITIVE_INFINITY,
): AsyncGenerator<TextPiece> {
  const file = await open(path, "r");
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  try {
    const size = (await file.stat()).size;
    let held = new Uint8Array(0);
    let bytes = 0;
    const buffer = new Uint8Array(PIECE_BYTES + 4);
    while (bytes < size && bytes < most_bytes) {
      buffer.set(held);
      const { bytesRead } = await file.read(buffer, held.length, PIECE_BYTES);
      if (bytesRead === 0) break;
      bytes += bytesRead;
      const have = buffer.subarray(0, held.length + bytesRead);
      const last = bytes >= size;
      const end = last ? have.length : characterEnd(have);
      held = have.slice(end);
      const whole = have.subarray(0, end);
      yield { text: decoder.decode(whole), broken: !isUtf8(whole), last, bytes };
    }
    if (size === 0) yield { text: "", broken: false, last: true, bytes: 0 };
  } finally {
    await file.close();
  }
}

/** The place behind the last whole character, at most three bytes before the end. */
function characterEnd(bytes: Uint8Array): number {
  for (let back = 1; back <= Math.min(3, bytes.length); back++) {
    const byte = bytes[bytes.length - back] as number;
    if (byte < 0x80) return bytes.length;
    if (byte >= 0xc0) {
      const needs = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2;
      return needs > back ? bytes.length - back : bytes.length;
    }
  }
  return bytes.length;
}

/** @throws LakeError invalid for a file that begins as UTF-16 or UTF-32 do */
export function refuseOtherEncodings(head: Uint8Array): void {
  const [a, b] = head;
  if ((a === 0xff && b === 0xfe) || (a === 0xfe && b === 0xff))
    throw new LakeError(
      "invalid",
      "Line 1: the file is UTF-16 (it begins with its byte order mark); UTF-8 is read here. Save or convert it as UTF-8, as with: iconv -f UTF-16 -t UTF-8.",
    );
}
