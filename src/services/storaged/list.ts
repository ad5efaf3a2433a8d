/**
 * Keys in the order of their UTF-8 bytes, from a tree of directories. Strings here are bytes as Latin-1,
 * so that comparing them compares bytes. A directory sorts as its name with the slash its keys go on
 * with, which is what makes a walk of sorted directories a walk of sorted keys.
 */
import type { Dirent } from "node:fs";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { LakeError } from "../../shared/errors.ts";
import { errnoOf } from "../../shared/files.ts";
import { LAKE_PREFIX } from "./keys.ts";
import { type Area, fromBytes, type Layout, readName, toBytes } from "./layout.ts";
import type { ObjectInfo } from "./schema.ts";
import type { ListPage, ListQuery } from "./store.ts";

/** How many objects' details are fetched before others get their turn. */
const DETAILS_AT_A_TIME = 64;

interface Folder {
  area: Area;
  path: string;
}

interface Entry {
  /** The key, or for a folder what all its keys begin with. */
  text: string;
  folder?: Folder;
}

/**
 * One page of keys. Keys that appear or vanish meanwhile are seen or not; none is seen twice.
 * @param find an object's details, undefined where it is gone
 * @throws LakeError `invalid` for a cursor that no page gave
 */
export async function listPage(
  layout: Layout,
  query: ListQuery,
  find: (key: string) => ObjectInfo | undefined,
): Promise<ListPage> {
  const prefix = toBytes(query.prefix);
  const delimiter = toBytes(query.delimiter);
  const keys: string[] = [];
  const prefixes: string[] = [];
  let bound = query.cursor === undefined ? prefix : boundOf(query.cursor, prefix);
  let last = "";
  const walk = await Walk.start(layout, query.prefix, bound);
  let key = await walk.next(bound);
  while (key !== undefined && keys.length + prefixes.length < query.limit) {
    const cut = delimiter === "" ? -1 : key.indexOf(delimiter, prefix.length);
    if (cut === -1) {
      keys.push(key);
      last = `k${key}`;
    } else {
      const common = key.slice(0, cut + delimiter.length);
      prefixes.push(common);
      last = `p${common}`;
    }
    bound = boundAfter(last);
    key = await walk.next(bound);
  }
  return {
    objects: await details(keys, find),
    prefixes: prefixes.map(fromBytes),
    next_cursor: key === undefined ? null : Buffer.from(last, "latin1").toString("base64url"),
  };
}

async function details(
  keys: readonly string[],
  find: (key: string) => ObjectInfo | undefined,
): Promise<ObjectInfo[]> {
  const objects: ObjectInfo[] = [];
  for (const [at, key] of keys.entries()) {
    const found = find(fromBytes(key));
    if (found) objects.push(found);
    if (at % DETAILS_AT_A_TIME === DETAILS_AT_A_TIME - 1) await setImmediate();
  }
  return objects;
}

/** A cursor is what the page ended with: k and a key, or p and a common prefix. */
function boundOf(cursor: string, prefix: string): string {
  const last = Buffer.from(cursor, "base64url").toString("latin1");
  if (!/^[kp]/.test(last) || !last.startsWith(prefix, 1) || fromBytes(last).includes("\ufffd"))
    throw new LakeError(
      "invalid",
      "The cursor is not one that a list of this prefix gave; send `next_cursor` as it came, with the same prefix and delimiter.",
    );
  return boundAfter(last);
}

/** The least string above a key, or above all that begins with a common prefix. */
function boundAfter(last: string): string {
  const text = last.slice(1);
  if (last.startsWith("k")) return `${text}\0`;
  return text.slice(0, -1) + String.fromCharCode(text.charCodeAt(text.length - 1) + 1);
}

/** A walk of the keys that begin with a prefix; directories the bound has passed are never read. */
class Walk {
  readonly #frames: { entries: Entry[]; at: number }[];

  private constructor(entries: Entry[]) {
    this.#frames = [{ entries, at: 0 }];
  }

  static async start(layout: Layout, prefix: string, bound: string): Promise<Walk> {
    const segments = prefix.split("/").slice(0, -1);
    const head = toBytes(segments.map((it) => `${it}/`).join(""));
    const folder = layout.folderOf(segments);
    const entries = folder ? await read(folder, head, bound) : [];
    if (segments.length === 0) {
      const lake = {
        text: LAKE_PREFIX,
        folder: { area: "warehouse", path: layout.area("warehouse") } as const,
      };
      if (!isPassed(lake, bound)) entries.push(lake);
    }
    const wanted = toBytes(prefix);
    return new Walk(
      entries
        .filter((it) => it.text.startsWith(wanted) || (it.folder && wanted.startsWith(it.text)))
        .sort(byText),
    );
  }

  /** The next key from `bound` on; the bound only ever grows. */
  async next(bound: string): Promise<string | undefined> {
    for (let frame = this.#frames.at(-1); frame; frame = this.#frames.at(-1)) {
      const entry = frame.entries[frame.at++];
      if (entry === undefined) this.#frames.pop();
      else if (isPassed(entry, bound)) continue;
      else if (entry.folder === undefined) return entry.text;
      else this.#frames.push({ entries: (await read(entry.folder, entry.text, bound)).sort(byText), at: 0 });
    }
    return undefined;
  }
}

/** A folder's entries that the bound has not passed; the parts of long names are read as one name. */
async function read({ area, path }: Folder, head: string, bound: string): Promise<Entry[]> {
  const entries: Entry[] = [];
  for (const it of await directoryEntries(path)) {
    const is_directory = it.isDirectory();
    const name = is_directory || it.isFile() ? readName(area, it.name, is_directory) : undefined;
    if (name === undefined || name.kind === "temporary") continue;
    const text = head + name.text;
    const inner = join(path, it.name);
    if (name.kind === "part") entries.push(...(await read({ area, path: inner }, text, bound)));
    else {
      const entry = name.kind === "object" ? { text } : { text: `${text}/`, folder: { area, path: inner } };
      if (!isPassed(entry, bound)) entries.push(entry);
    }
  }
  return entries;
}

async function directoryEntries(path: string): Promise<Dirent[]> {
  try {
    return await readdir(path, { withFileTypes: true });
  } catch (error) {
    if (["ENOENT", "ENOTDIR", "ENAMETOOLONG"].includes(errnoOf(error) ?? "")) return [];
    throw error;
  }
}

function isPassed(entry: Entry, bound: string): boolean {
  return entry.text < bound && !(entry.folder && bound.startsWith(entry.text));
}

function byText(a: Entry, b: Entry): number {
  return a.text < b.text ? -1 : a.text > b.text ? 1 : 0;
}
