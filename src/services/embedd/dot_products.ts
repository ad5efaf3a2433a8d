/**
 * Dot products of rows of 8-bit numbers by the processor's vector instructions: a WebAssembly module of one function,
 * put together here because JavaScript has no such instructions (webassembly.github.io/spec/core/binary). Whole numbers,
 * so every order of adding gives the same.
 */

/** What the specification calls them. */
const OP = {
  ...{ loop: 0x03, br_if: 0x0d, end: 0x0b, get: 0x20, set: 0x21, tee: 0x22 },
  ...{ i32_load: 0x28, i32_store: 0x36, i32_const: 0x41, i32_add: 0x6a },
};
const VECTOR_OP = {
  ...{ load: 0x00, const: 0x0c, extract_i32: 0x1b, extend_low_i8: 0x87, extend_high_i8: 0x88 },
  ...{ add_i32: 0xae, dot_i16: 0xba },
};
const SECTION = { types: 1, imports: 2, functions: 3, exports: 7, code: 10 };
const TYPE = { i32: 0x7f, v128: 0x7b, function: 0x60, nothing: 0x40 };
/** Magic and version. */
const HEADER = [0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0];

const PAGE_BYTES = 65_536;
const WORD_BYTES = 4;
/** As 2 to this power, where a word lies. */
const WORD_ALIGNED = 2;
/** Numbers that one instruction loads. */
const LANES = 16;

/** Parameters, then locals of its own. */
const [ROW, LIST, COUNT, OUT, OTHER, SUMS] = [0, 1, 2, 3, 4, 5] as const;

/** What is computed with lies in its memory. */
export interface DotProducts {
  readonly memory: WebAssembly.Memory;
  /**
   * Writes the dot products of a row with each of `count` others, at least one, as int32.
   * All are addresses in bytes; `list` is where those of the other rows lie, 32 bits each.
   */
  readonly dots: (row: number, list: number, count: number, out: number) => void;
}

/**
 * @param dimension numbers of a row, a multiple of 16; at most 65,536, so that every product is an int32
 * @param bytes how much memory there is to be
 */
export function dotProducts(dimension: number, bytes: number): DotProducts {
  if (dimension % LANES !== 0) throw new Error(`rows must have a multiple of ${LANES} numbers`);
  const pages = Math.ceil(bytes / PAGE_BYTES);
  const memory = new WebAssembly.Memory({ initial: pages });
  const module = new WebAssembly.Module(moduleOf(codeOf(dimension), pages));
  const { exports } = new WebAssembly.Instance(module, { m: { m: memory } });
  return { memory, dots: exports.dots as DotProducts["dots"] };
}

/** For each row of the list: the sum of all products, 16 at a time in four sums, which are added up in the end. */
function codeOf(dimension: number): number[] {
  const products = Array.from({ length: dimension / LANES }, (_, at) => [
    ...products8(VECTOR_OP.extend_low_i8, at * LANES),
    ...products8(VECTOR_OP.extend_high_i8, at * LANES),
  ]);
  return [
    ...[OP.loop, TYPE.nothing],
    ...[...get(LIST), OP.i32_load, WORD_ALIGNED, 0, OP.set, OTHER],
    ...get(OUT),
    ...[...vector(VECTOR_OP.const), ...new Array<number>(LANES).fill(0)],
    ...products.flat(),
    ...[OP.tee, SUMS, ...lane(0)],
    ...[1, 2, 3].flatMap((at) => [...get(SUMS), ...lane(at), OP.i32_add]),
    ...[OP.i32_store, WORD_ALIGNED, 0],
    ...step(LIST, WORD_BYTES),
    ...step(OUT, WORD_BYTES),
    ...step(COUNT, -1),
    ...[...get(COUNT), OP.br_if, 0],
    ...[OP.end, OP.end],
  ];
}

const get = (local: number) => [OP.get, local];
const step = (local: number, by: number) => [
  ...[...get(local), OP.i32_const, ...signed(by)],
  ...[OP.i32_add, OP.set, local],
];
const vector = (operation: number) => [0xfd, ...unsigned(operation)];
const lane = (at: number) => [...vector(VECTOR_OP.extract_i32), at];
const load = (address: number, offset: number) => [
  ...get(address),
  ...[...vector(VECTOR_OP.load), 0, ...unsigned(offset)],
];

/** Eight numbers of both rows as 16 bits are multiplied, and added to the sums by pairs. */
const products8 = (extend: number, offset: number) => [
  ...[...load(ROW, offset), ...vector(extend)],
  ...[...load(OTHER, offset), ...vector(extend)],
  ...[...vector(VECTOR_OP.dot_i16), ...vector(VECTOR_OP.add_i32)],
];

function moduleOf(code: readonly number[], pages: number): Uint8Array<ArrayBuffer> {
  const { i32, v128 } = TYPE;
  const body = [...[2, 1, i32, 1, v128], ...code];
  return Uint8Array.from([
    ...HEADER,
    ...section(SECTION.types, [1, TYPE.function, 4, i32, i32, i32, i32, 0]),
    ...section(SECTION.imports, [1, ...name("m"), ...name("m"), 2, 0, ...unsigned(pages)]),
    ...section(SECTION.functions, [1, 0]),
    ...section(SECTION.exports, [1, ...name("dots"), 0, 0]),
    ...section(SECTION.code, [1, ...unsigned(body.length), ...body]),
  ]);
}

const section = (id: number, bytes: readonly number[]) => [id, ...unsigned(bytes.length), ...bytes];
const name = (text: string) => [text.length, ...Buffer.from(text)];

/** LEB128, as WebAssembly writes numbers. */
function unsigned(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...unsigned(value >>> 7)];
}

function signed(value: number): number[] {
  const is_last = value >= -0x40 && value < 0x40;
  return is_last ? [value & 0x7f] : [(value & 0x7f) | 0x80, ...signed(value >> 7)];
}
