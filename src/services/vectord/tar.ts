/** A tar's blocks (POSIX ustar), as far as a snapshot needs them: regular files in one folder, sizes of any length. */

export const BLOCK_BYTES = 512;
/** Two empty blocks end a tar. */
export const END_BYTES = 2 * BLOCK_BYTES;

const NAME = { at: 0, length: 100 };
const SIZE = { at: 124, length: 12 };
const CHECKSUM = { at: 148, length: 8 };
const TYPE_AT = 156;
const MAGIC = { at: 257, length: 8 };
const PREFIX = { at: 345, length: 155 };
const USTAR = "ustar\x0000";
const REGULAR = "0";
const MAX_OCTAL = 8 ** 11 - 1;
/** A size that octal digits can't tell is a big-endian number behind this bit. */
const BASE_256 = 0x80;

export interface Entry {
  readonly name: string;
  readonly size: number;
}

/** What is wrong with a tar, to be told to whoever sent it. */
export class TarError extends Error {}

/** The block before a file's bytes. @param name at most 100 ASCII characters */
export function headerOf({ name, size }: Entry, modified_s: number): Uint8Array {
  const block = Buffer.alloc(BLOCK_BYTES);
  const octal = (value: number, digits: number) => `${value.toString(8).padStart(digits, "0")}\0`;
  block.write(name, NAME.at, NAME.length, "latin1");
  block.write(octal(0o644, 7) + octal(0, 7) + octal(0, 7), 100, "latin1");
  if (size <= MAX_OCTAL) block.write(octal(size, 11), SIZE.at, "latin1");
  else {
    block.writeBigUInt64BE(BigInt(size), SIZE.at + SIZE.length - 8);
    block[SIZE.at] = BASE_256;
  }
  block.write(octal(modified_s, 11), 136, "latin1");
  block.write(REGULAR, TYPE_AT, "latin1");
  block.write(USTAR, MAGIC.at, "latin1");
  block.write(`${checksumOf(block).toString(8).padStart(6, "0")}\0 `, CHECKSUM.at, "latin1");
  return block;
}

/** Reads what `headerOf` writes, and what other programs write of the same. @throws TarError */
export function readHeader(bytes: Uint8Array): Entry {
  const block = Buffer.from(bytes.buffer, bytes.byteOffset, BLOCK_BYTES);
  const text = ({ at, length }: { at: number; length: number }) =>
    (block.toString("latin1", at, at + length).split("\0")[0] as string).trim();
  const declared = Number.parseInt(text(CHECKSUM), 8);
  if (!block.toString("latin1", MAGIC.at).startsWith("ustar") || declared !== checksumOf(block))
    throw new TarError("is no tar, or a damaged one");
  const name = text(NAME);
  const type = block.toString("latin1", TYPE_AT, TYPE_AT + 1);
  if (type !== REGULAR && type !== "\0")
    throw new TarError(`holds ${JSON.stringify(name)}, which is no regular file`);
  if (text(PREFIX) !== "" || !/^[a-z][a-z0-9_.-]*$/.test(name))
    throw new TarError(`holds a file with a name that is none of a snapshot's (${JSON.stringify(name)})`);
  return { name, size: readSize(block, text(SIZE)) };
}

function readSize(block: Buffer, digits: string): number {
  const is_binary = block[SIZE.at] === BASE_256;
  const size = is_binary ? Number(block.readBigUInt64BE(SIZE.at + 4)) : Number.parseInt(digits, 8);
  if ((is_binary || /^[0-7]+$/.test(digits)) && Number.isSafeInteger(size)) return size;
  throw new TarError("holds a file with a size that is no number");
}

/** The empty bytes behind a file's, to the end of its last block. */
export const paddingOf = (size: number): number => (BLOCK_BYTES - (size % BLOCK_BYTES)) % BLOCK_BYTES;

/** The sum of a header's bytes, those of the sum itself taken as spaces. */
function checksumOf(block: Uint8Array): number {
  let sum = 0;
  for (let at = 0; at < BLOCK_BYTES; at++) {
    const is_own = at >= CHECKSUM.at && at < CHECKSUM.at + CHECKSUM.length;
    sum += is_own ? 32 : (block[at] as number);
  }
  return sum;
}
