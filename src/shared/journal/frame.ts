/**
 * A journal's line: the record as plain JSON, framed by its two last members, `,"_seq":N,"_crc":"xxxxxxxx"}`.
 * The checksum is CRC-32/IEEE (zlib's) of all bytes before the comma of `_crc`, in 8 lower-case hex digits.
 */
import { LakeError } from "../errors.ts";

export const UNFRAMED = -1;
export const MISMATCH = -2;

/** The most bytes a frame adds to a record, the newline included. */
export const FRAME_BYTES = 64;

const CRC_OPEN = Buffer.from(',"_crc":"');
const CRC_CLOSE = Buffer.from('"}');
const SEQ_OPEN = Buffer.from('"_seq":');
const ID_OPEN = '{"id":"';
const ID_OPEN_BYTES = Buffer.from(ID_OPEN);
const HEX_DIGITS = 8;
const CRC_BYTES = CRC_OPEN.length + HEX_DIGITS + CRC_CLOSE.length;
const HEX = Buffer.from("0123456789abcdef");
const BRACE = 0x7b;
const COMMA = 0x2c;
const DIGIT_0 = 0x30;
const DIGIT_9 = 0x39;
export const NEWLINE = 0x0a;

/**
 * A record as JSON, its `id` first, where replay finds it without parsing the line.
 * @throws LakeError `invalid` where it has a frame's member, `too_large` past max_bytes
 */
export function toText(record: { readonly id?: string }, max_bytes: number): string {
  if (Object.hasOwn(record, "_seq") || Object.hasOwn(record, "_crc"))
    throw new LakeError(
      "invalid",
      "The members _seq and _crc belong to the journal; send the record without them.",
    );
  let text = JSON.stringify(record);
  if (record.id !== undefined && !text.startsWith(ID_OPEN)) {
    const rest = JSON.stringify({ ...record, id: undefined });
    text = `{"id":${JSON.stringify(record.id)}${rest.length > 2 ? "," : ""}${rest.slice(1)}`;
  }
  if (text.length > max_bytes || (text.length * 3 > max_bytes && Buffer.byteLength(text) > max_bytes))
    throw new LakeError("too_large", `A record may have at most ${max_bytes} bytes of JSON here.`, {
      max_bytes,
    });
  return text;
}

/** Where the id of the line in `bytes` at `start` begins, past its opening quote; -1 where it has none. */
export function idStart(bytes: Buffer, start: number): number {
  return isAt(bytes, start, ID_OPEN_BYTES) ? start + ID_OPEN_BYTES.length : -1;
}

/**
 * Frames the JSON object of `length` bytes that lies in `bytes` at `start`, in place.
 * @returns where the line ends, past its newline
 */
export function writeFrame(bytes: Buffer, start: number, length: number, seq: number): number {
  let at = start + length - 1;
  if (length > 2) bytes[at++] = COMMA;
  at = put(bytes, at, SEQ_OPEN);
  at += bytes.write(String(seq), at, "latin1");
  const crc = Bun.hash.crc32(bytes.subarray(start, at));
  at = put(bytes, at, CRC_OPEN);
  for (let shift = 28; shift >= 0; shift -= 4) bytes[at++] = HEX[(crc >>> shift) & 15] as number;
  at = put(bytes, at, CRC_CLOSE);
  bytes[at++] = NEWLINE;
  return at;
}

/** Copies a few bytes; a call into native code costs more. */
function put(bytes: Buffer, at: number, few: Buffer): number {
  for (let i = 0; i < few.length; i++) bytes[at + i] = few[i] as number;
  return at + few.length;
}

/** The `_seq` of the line in `bytes` from `start` to `end` (its newline left out), or UNFRAMED, or MISMATCH. */
export function readFrame(bytes: Buffer, start: number, end: number): number {
  const crc_at = end - CRC_BYTES;
  if (crc_at <= start || !isAt(bytes, crc_at, CRC_OPEN) || !isAt(bytes, end - CRC_CLOSE.length, CRC_CLOSE))
    return UNFRAMED;
  const crc = Bun.hash.crc32(bytes.subarray(start, crc_at));
  const hex_at = crc_at + CRC_OPEN.length;
  for (let digit = 0; digit < HEX_DIGITS; digit++)
    if (bytes[hex_at + digit] !== HEX[(crc >>> (28 - 4 * digit)) & 15]) return MISMATCH;
  return readSeq(bytes, start, crc_at);
}

function readSeq(bytes: Buffer, start: number, end: number): number {
  let seq = 0;
  let scale = 1;
  let at = end - 1;
  for (; at > start; at--) {
    const digit = bytes[at] as number;
    if (digit < DIGIT_0 || digit > DIGIT_9) break;
    seq += (digit - DIGIT_0) * scale;
    scale *= 10;
  }
  const open_at = at + 1 - SEQ_OPEN.length;
  const before = bytes[open_at - 1];
  const framed = open_at > start && isAt(bytes, open_at, SEQ_OPEN) && (before === COMMA || before === BRACE);
  return framed && Number.isSafeInteger(seq) && seq > 0 ? seq : MISMATCH;
}

function isAt(bytes: Buffer, at: number, expected: Buffer): boolean {
  for (let i = 0; i < expected.length; i++) if (bytes[at + i] !== expected[i]) return false;
  return true;
}
