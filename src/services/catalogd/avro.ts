/**
 * Avro object container files (Avro spec 1.11), whole in memory. The codec is avsc's; the container is
 * ours because the schema in its header must keep Iceberg's field ids, which avsc leaves out.
 */
import { randomBytes } from "node:crypto";
import { deflateRawSync, inflateRawSync } from "node:zlib";
import avro from "avsc";
import { LakeError, messageOf } from "../../shared/errors.ts";

const MAGIC = Buffer.from("Obj\x01", "latin1");
const BLOCK_RECORDS = 4096;
/** What one block may inflate to: far above any block written here or by other engines. */
const MAX_BLOCK_BYTES = 512 * 1024 * 1024;

/** 64-bit integers as bigint, so that none is rounded. */
const LONG = avro.types.LongType.__with(
  {
    fromBuffer: (bytes: Uint8Array) => zigzagDecode(bytes),
    toBuffer: (value: bigint) => zigzagEncode(value),
    fromJSON: (value: string | number) => BigInt(value),
    toJSON: (value: bigint) => value.toString(),
    isValid: (value: unknown) => typeof value === "bigint" && BigInt.asIntN(64, value) === value,
    compare: (a: bigint, b: bigint) => (a < b ? -1 : a > b ? 1 : 0),
  },
  true,
);

function zigzagEncode(value: bigint): Buffer {
  let rest = BigInt.asUintN(64, (value << 1n) ^ (value >> 63n));
  const bytes: number[] = [];
  while (rest > 0x7fn) {
    bytes.push(Number(rest & 0x7fn) | 0x80);
    rest >>= 7n;
  }
  bytes.push(Number(rest));
  return Buffer.from(bytes);
}

function zigzagDecode(bytes: Uint8Array): bigint {
  // Most are small: up to four bytes fit a 32-bit shift.
  if (bytes.length <= 4) {
    let small = 0;
    for (let at = 0; at < bytes.length; at++) small |= ((bytes[at] as number) & 0x7f) << (7 * at);
    return BigInt((small >>> 1) ^ -(small & 1));
  }
  let value = 0n;
  for (let at = 0; at < bytes.length; at++) value |= BigInt((bytes[at] as number) & 0x7f) << BigInt(7 * at);
  return BigInt.asIntN(64, (value >> 1n) ^ -(value & 1n));
}

/** An Avro schema as its JSON says it. */
export type AvroSchema = string | AvroSchema[] | { type: AvroSchema; [member: string]: unknown };

const types = new Map<string, avro.Type>();
const TYPES_KEPT = 256;

function typeOf(schema_json: string): avro.Type {
  const known = types.get(schema_json);
  if (known) return known;
  const type = avro.Type.forSchema(JSON.parse(schema_json), {
    omitRecordMethods: true,
    typeHook: (schema) => (isLong(schema) ? LONG : undefined),
  });
  if (types.size >= TYPES_KEPT) types.clear();
  types.set(schema_json, type);
  return type;
}

function isLong(schema: unknown): boolean {
  return schema === "long" || (typeof schema === "object" && (schema as { type?: unknown }).type === "long");
}

const META = avro.Type.forSchema({ type: "map", values: "bytes" });

/** Encodes records into a container file, deflated. Long members are bigint. */
export function encodeAvro(
  schema: AvroSchema,
  meta: Readonly<Record<string, string>>,
  records: readonly unknown[],
): Uint8Array {
  const schema_json = JSON.stringify(schema);
  const type = typeOf(schema_json);
  const sync = randomBytes(16);
  const header = { ...meta, "avro.schema": schema_json, "avro.codec": "deflate" };
  const bytes = Object.fromEntries(Object.entries(header).map(([key, text]) => [key, Buffer.from(text)]));
  const parts = [MAGIC, META.toBuffer(bytes), sync];
  for (let at = 0; at < records.length; at += BLOCK_RECORDS) {
    const block = records.slice(at, at + BLOCK_RECORDS);
    const data = deflateRawSync(Buffer.concat(block.map((record) => type.toBuffer(record))));
    parts.push(zigzagEncode(BigInt(block.length)), zigzagEncode(BigInt(data.length)), data, sync);
  }
  return Buffer.concat(parts);
}

export interface AvroFile {
  readonly schema: AvroSchema;
  readonly meta: Readonly<Record<string, string>>;
  readonly records: unknown[];
}

/** @throws LakeError internal where the file is damaged */
export function decodeAvro(file: Uint8Array, where: string): AvroFile {
  try {
    return decode(Buffer.from(file.buffer, file.byteOffset, file.byteLength));
  } catch (error) {
    throw new LakeError("internal", `${where} is not a readable Avro file: ${messageOf(error)}`, {}, error);
  }
}

function decode(file: Buffer): AvroFile {
  if (!file.subarray(0, 4).equals(MAGIC)) throw new Error("it does not begin as one");
  const { value, offset } = META.decode(file, 4);
  if (offset < 0) throw new Error("its header is cut off");
  const meta = Object.fromEntries(
    Object.entries(value as Record<string, Buffer>).map(([key, bytes]) => [key, bytes.toString("utf8")]),
  );
  const schema_json = meta["avro.schema"];
  if (schema_json === undefined) throw new Error("its header has no schema");
  const type = typeOf(schema_json);
  const sync = file.subarray(offset, offset + 16);
  if (sync.length < 16) throw new Error("its header is cut off");
  const records: unknown[] = [];
  for (let at = offset + 16; at < file.length; ) {
    const [count, after_count] = readLong(file, at);
    const [size, start] = readLong(file, after_count);
    const end = start + size;
    if (size < 0 || !file.subarray(end, end + 16).equals(sync)) throw new Error("a block is damaged");
    readBlock(inflate(meta["avro.codec"] ?? "null", file.subarray(start, end)), type, count, records);
    at = end + 16;
  }
  return { schema: JSON.parse(schema_json), meta, records };
}

function readBlock(block: Buffer, type: avro.Type, count: number, records: unknown[]): void {
  for (let read = 0, at = 0; read < count; read++) {
    const { value, offset } = type.decode(block, at);
    if (offset < 0) throw new Error("a block is cut off");
    records.push(value);
    at = offset;
  }
}

function inflate(codec: string, data: Buffer): Buffer {
  if (codec === "null") return data;
  if (codec === "deflate") return inflateRawSync(data, { maxOutputLength: MAX_BLOCK_BYTES });
  if (codec === "zstandard") return Buffer.from(Bun.zstdDecompressSync(data));
  throw new Error(`its codec "${codec}" is not supported`);
}

function readLong(file: Buffer, at: number): [number, number] {
  let end = at;
  while ((file[end] as number) & 0x80) end++;
  if (end >= file.length || end - at > 9) throw new Error("a length is damaged");
  return [Number(zigzagDecode(file.subarray(at, end + 1))), end + 1];
}
