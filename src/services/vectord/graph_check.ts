/**
 * Whether a graph's file from elsewhere can be given to usearch, which trusts what it reads: a link that leads nowhere
 * would end the process, at each start anew. The layout is that of usearch's `index_dense_gt::save`, version 2.
 */
import { closeSync, fstatSync, mkdtempSync, openSync, readFileSync, readSync, rmSync } from "node:fs";
import { join } from "node:path";
import { emptyIndex, OVERWRITTEN, SCALAR_BYTES } from "./graph_index.ts";
import type { IndexSettings } from "./schema.ts";

/** Rows and bytes of a row, before the vectors; then how usearch describes itself, and the graph. */
const MATRIX_BYTES = 8;
const HEAD_BYTES = 64;
const GRAPH_BYTES = 40;
/** Of the head: magic, version and kinds; then counts, and the dimension. */
const KINDS_END = 17;
const PRESENT_AT = 17;
const DELETED_AT = 25;
const DIMENSION_AT = 33;
const REST_AT = 41;
/** A node: key, level, and for each level how many links it has and as many slots as it may have. */
const KEY_BYTES = 8;
const LEVEL_BYTES = 2;
const SLOT_BYTES = 4;
const READ_AT_ONCE = 1024 * 1024;
/** The key of a node that was removed. */
const REMOVED = 2n ** 64n - 1n;

interface Shape {
  readonly nodes: number;
  readonly levels: Int16Array;
  readonly connectivity: number;
}

/**
 * @param graph what the manifest says of it
 * @param live keys of the items, rising: a graph that lacks one of those it covers would never find it
 */
export function isSoundGraph(
  path: string,
  settings: IndexSettings,
  graph: { readonly covers_key: number; readonly size: number },
  live: Iterable<number>,
): boolean {
  const fd = openSync(path, "r");
  try {
    const reader = new Reader(fd, fstatSync(fd).size);
    const shape = readShape(reader, settings, graph.size, kindsOf(settings, path));
    const keys = shape && readNodes(reader, shape, graph.covers_key);
    return keys !== undefined && reader.is_at_end && holdsAll(keys.sort(), live);
  } finally {
    closeSync(fd);
  }
}

/** What this usearch writes of itself for these settings. */
function kindsOf(settings: IndexSettings, beside: string): Buffer {
  const folder = mkdtempSync(`${beside}-`);
  try {
    const path = join(folder, "empty.usearch");
    emptyIndex(settings).save(path);
    const bytes = readFileSync(path);
    return bytes.subarray(MATRIX_BYTES, MATRIX_BYTES + KINDS_END);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function readShape(reader: Reader, settings: IndexSettings, size: number, kinds: Buffer): Shape | undefined {
  const { dimension, quantization, connectivity } = settings;
  const matrix = reader.take(MATRIX_BYTES);
  if (!matrix) return undefined;
  const nodes = matrix.readUInt32LE(0);
  const row_bytes = matrix.readUInt32LE(4);
  if (row_bytes !== dimension * SCALAR_BYTES[quantization] || !reader.skip(nodes * row_bytes))
    return undefined;
  const head = reader.take(HEAD_BYTES);
  const graph = reader.take(GRAPH_BYTES);
  if (!head?.subarray(0, KINDS_END).equals(kinds) || !graph) return undefined;
  const number = (of: Buffer, at: number) => Number(of.readBigUInt64LE(at));
  const present = number(head, PRESENT_AT);
  const [count, links, base_links, max_level, entry] = [0, 8, 16, 24, 32].map((at) => number(graph, at));
  const is_told_so =
    present === size &&
    present + number(head, DELETED_AT) === nodes &&
    number(head, DIMENSION_AT) === dimension &&
    head.subarray(REST_AT).every((byte) => byte === 0) &&
    count === nodes &&
    links === connectivity &&
    base_links === 2 * connectivity;
  if (!is_told_so || nodes === 0) return undefined;
  const levels = reader.levels(nodes);
  // A search begins at the entry and goes down from the highest level.
  if (!levels || (entry as number) >= nodes || levels[entry as number] !== max_level) return undefined;
  return levels.every((level) => level >= 0 && level <= (max_level as number))
    ? { nodes, levels, connectivity }
    : undefined;
}

/** The nodes' keys, without those of removed ones. */
function readNodes(
  reader: Reader,
  { nodes, levels, connectivity }: Shape,
  covers_key: number,
): Float64Array | undefined {
  const keys = new Float64Array(nodes);
  let count = 0;
  for (let at = 0; at < nodes; at++) {
    const level = levels[at] as number;
    const links_bytes = (of: number) => SLOT_BYTES * (1 + (of === 0 ? 2 : 1) * connectivity);
    const node = reader.take(KEY_BYTES + LEVEL_BYTES + links_bytes(0) + level * links_bytes(1));
    if (node?.readInt16LE(KEY_BYTES) !== level) return undefined;
    const key = node.readBigUInt64LE(0);
    if (key !== REMOVED) {
      const number = Number(key);
      if (number < 1 || (number > covers_key && (number < OVERWRITTEN || number > 2 * OVERWRITTEN)))
        return undefined;
      keys[count++] = number;
    }
    let from = KEY_BYTES + LEVEL_BYTES;
    for (let of = 0; of <= level; of++) {
      if (!areLinks(node, from, of, levels, connectivity)) return undefined;
      from += links_bytes(of);
    }
  }
  return keys.subarray(0, count);
}

/** Whether the links of one level lead to nodes of that level. */
function areLinks(
  node: Buffer,
  from: number,
  level: number,
  levels: Int16Array,
  connectivity: number,
): boolean {
  const count = node.readUInt32LE(from);
  if (count > (level === 0 ? 2 : 1) * connectivity) return false;
  for (let link = 1; link <= count; link++) {
    const slot = node.readUInt32LE(from + link * SLOT_BYTES);
    if (slot >= levels.length || (levels[slot] as number) < level) return false;
  }
  return true;
}

/** @param keys rising; none may be there twice */
function holdsAll(keys: Float64Array, live: Iterable<number>): boolean {
  for (let at = 1; at < keys.length; at++) if (keys[at] === keys[at - 1]) return false;
  let at = 0;
  for (const key of live) {
    while (at < keys.length && (keys[at] as number) < key) at++;
    if (keys[at] !== key) return false;
  }
  return true;
}

/** A file's bytes in their order. */
class Reader {
  #buffer = Buffer.alloc(0);
  #at = 0;
  /** Where in the file the buffer ends. */
  #read = 0;

  constructor(
    readonly fd: number,
    readonly size: number,
  ) {}

  get is_at_end(): boolean {
    return this.#read - (this.#buffer.length - this.#at) === this.size;
  }

  /** Valid until the next is taken; undefined where the file ends before. */
  take(count: number): Buffer | undefined {
    if (this.#buffer.length - this.#at < count) this.#fill(count);
    if (this.#buffer.length - this.#at < count) return undefined;
    this.#at += count;
    return this.#buffer.subarray(this.#at - count, this.#at);
  }

  skip(count: number): boolean {
    const to = this.#read - (this.#buffer.length - this.#at) + count;
    if (to > this.size) return false;
    this.#buffer = Buffer.alloc(0);
    this.#at = 0;
    this.#read = to;
    return true;
  }

  levels(count: number): Int16Array | undefined {
    const bytes = this.take(count * LEVEL_BYTES);
    return bytes && Int16Array.from({ length: count }, (_, at) => bytes.readInt16LE(at * LEVEL_BYTES));
  }

  #fill(wanted: number): void {
    const rest = this.#buffer.subarray(this.#at);
    const left = this.size - this.#read;
    if (wanted - rest.length > left) return;
    const buffer = Buffer.allocUnsafe(rest.length + Math.min(left, Math.max(wanted, READ_AT_ONCE)));
    rest.copy(buffer);
    let end = rest.length;
    while (end < buffer.length) {
      const count = readSync(this.fd, buffer, end, buffer.length - end, this.#read);
      if (count === 0) break;
      end += count;
      this.#read += count;
    }
    this.#buffer = buffer.subarray(0, end);
    this.#at = 0;
  }
}
