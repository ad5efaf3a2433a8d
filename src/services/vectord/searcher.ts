/** The Worker that searches: holds the vectors and the graphs, and lets these grow between two searches. */
import { join } from "node:path";
import { LakeError, messageOf } from "../../shared/errors.ts";
import { readFilter } from "../../shared/filter.ts";
import { Deadline } from "./deadline.ts";
import { find, type HybridQuestion } from "./find.ts";
import { folderBytes, itemsPath } from "./folders.ts";
import { Graph } from "./graph.ts";
import { giveUp, serve, warn } from "./line.ts";
import type { Filter, GetQuery, Hit, Include, IndexInfo, Item, SearchQuery } from "./schema.ts";
import { Shelf } from "./shelf.ts";
import { ItemReader } from "./store.ts";
import { readVector } from "./vectors.ts";
import { Words } from "./words.ts";

export interface SearcherSettings {
  readonly root: string;
  readonly ef_search: number;
  /** How long a graph stays as it is before it is saved. */
  readonly save_after_ms: number;
}

/** A search whose text, where it had one, has become a vector. */
export type PlainQuery = Omit<SearchQuery, "vector" | "hybrid" | "k" | "include"> & {
  readonly vector: readonly number[] | Float32Array | string;
  /** Whether the vector stands for a text. */
  readonly is_of_text: boolean;
  readonly k: number;
  readonly include: readonly Include[];
  readonly hybrid?: HybridQuestion;
};

/** When a search is asked, and when its answer is late. */
export interface Times {
  readonly now_ms: number;
  readonly until_ms: number;
}

interface Held {
  readonly name: string;
  /** Of this opening: keys begin anew in an index that takes the name of another. */
  readonly opening: string;
  readonly reader: ItemReader;
  readonly shelf: Shelf;
  readonly graph: Graph;
  readonly words: Words;
  indexed: readonly string[];
  last_key: number;
  save: ReturnType<typeof setTimeout> | undefined;
  /** When it was last saved, or tried to be. */
  saved_ms: number;
}

const READ_AT_ONCE = 10_000;
/** Items of a batch taken in one go: what a search may have to wait for. */
const SLICE_ITEMS = 25;
/** Beyond so many that the graph lacks, which each search compares one by one, large batches wait for it. */
const MAX_WAITING = 1000;
/** A graph that never rests is saved after so many times as long, where it has grown by a part of itself. */
const OVERDUE_TIMES = 12;
const DEFAULT_INCLUDE: Include[] = ["metadata"];

const held = new Map<string, Held>();
let settings: SearcherSettings;
let is_pumping = false;

const api = {
  begin(given: SearcherSettings): void {
    settings = given;
  },
  open(name: string): void {
    const reader = new ItemReader(itemsPath(settings.root, name));
    const shelf = new Shelf(reader.settings.dimension);
    shelf.declare(reader.settings.indexed);
    let last_key = 0;
    for (
      let rows = reader.after(0, READ_AT_ONCE);
      rows.length > 0;
      rows = reader.after(last_key, READ_AT_ONCE)
    ) {
      for (const row of rows) shelf.put(row);
      const read_to = rows.at(-1)?.key ?? 0;
      if (read_to <= last_key) throw new Error("the keys of its items are out of order");
      last_key = read_to;
    }
    const graph = new Graph(join(settings.root, name), reader.settings, shelf, reader.newestKey());
    if (graph.is_ahead)
      warn(
        `The items of index "${name}" are older than its graph, which is made anew: what was written last is lost.`,
      );
    const { indexed } = reader.settings;
    const words = new Words(reader);
    const opening = Bun.randomUUIDv7("base64url");
    const saved_ms = performance.now();
    held.set(name, {
      name,
      opening,
      reader,
      shelf,
      graph,
      words,
      indexed,
      last_key,
      save: undefined,
      saved_ms,
    });
    pump();
  },
  drop(name: string): void {
    const it = held.get(name);
    clearTimeout(it?.save);
    it?.words.close();
    it?.reader.close();
    held.delete(name);
  },
  /** Which keys of the metadata have postings, from now on. */
  declare(name: string, indexed: readonly string[]): void {
    const it = known(name);
    it.indexed = indexed;
    it.shelf.declare(indexed);
    pump();
  },
  /**
   * Told after each commit and before it is acknowledged, so that any later search knows of it. Takes a batch in
   * pieces, searches in between, and lets a large one wait while the graph lags far behind.
   */
  async changed(name: string, last_key: number, removed: readonly number[]): Promise<void> {
    const it = held.get(name);
    if (!it) return;
    const is_large = last_key - it.last_key > SLICE_ITEMS;
    while (it.last_key < last_key) {
      take(it, last_key);
      pump();
      if (it.last_key < last_key) await others();
      if (held.get(name) !== it) return;
    }
    for (const key of removed) remove(it, key);
    pump();
    while (is_large && it.graph.waiting.length > MAX_WAITING && held.get(name) === it) await others();
  },
  search(name: string, query: PlainQuery, { now_ms, until_ms }: Times): { results: Hit[]; exact: boolean } {
    const it = known(name);
    const deadline = new Deadline(until_ms);
    const { dimension, metric } = it.reader.settings;
    const question = {
      // Of a text it has no direction where the model knows none of its words.
      vector: readVector(query.vector, dimension, query.is_of_text ? null : metric, "vector"),
      k: query.k,
      ef: query.ef,
      exact: query.exact ?? false,
      ...(query.filter ? { filter: readFilter(query.filter) } : {}),
      ...(query.hybrid ? { hybrid: query.hybrid } : {}),
    };
    const words = query.hybrid && it.words.isWhole(it.last_key) ? it.words : undefined;
    const { hits, exact } = find(
      { ...it, metric, words, ef: settings.ef_search },
      question,
      now_ms,
      deadline,
    );
    const contents = told(
      it,
      hits.map(({ slot }) => slot),
      query.include,
    );
    const results = hits.map(({ slot, score, distance, ranks, sides }, at) => ({
      id: it.shelf.id(slot),
      score,
      distance,
      ...(ranks ? { ranks } : {}),
      ...(sides ? { sides } : {}),
      ...contents[at],
    }));
    return { results, exact };
  },
  get(name: string, { ids, include = DEFAULT_INCLUDE }: GetQuery, now_ms: number): Item[] {
    const it = known(name);
    const slots = ids.map((id) => it.shelf.slotOf(id, now_ms)).filter((slot) => slot !== undefined);
    const contents = told(it, slots, include);
    return slots.map((slot, at) => {
      const expires_ms = it.shelf.expires_ms(slot);
      const expiry = Number.isFinite(expires_ms) ? { expires_at: new Date(expires_ms).toISOString() } : {};
      return { id: it.shelf.id(slot), ...contents[at], ...expiry };
    });
  },
  /** Saves the graph, where that takes no more than writing it. */
  save(name: string): void {
    const it = known(name);
    if (it.graph.is_settled) save(it);
  },
  /** Frees the graph and its file of vectors whose items are no more. */
  erase(name: string): void {
    const it = known(name);
    it.graph.erase();
    saveLater(it);
    pump();
  },
  /** The keys of the items that a filter lets through. */
  select(name: string, filter: Filter, now_ms: number): number[] {
    const { shelf } = known(name);
    const passing = shelf.passing(readFilter(filter)).list();
    return passing.filter((slot) => shelf.isLive(slot, now_ms)).map(shelf.key);
  },
  info(name: string): IndexInfo {
    const { reader, shelf, graph, words, indexed, opening, last_key } = known(name);
    return {
      name,
      ...reader.settings,
      indexed: [...indexed],
      state: graph.is_settled && shelf.is_settled ? "ready" : "building",
      items: shelf.size,
      waiting: graph.waiting.length,
      masked: graph.masked,
      version: `${opening}.${last_key}.${shelf.size}`,
      source: reader.source(),
      disk_bytes: folderBytes(settings.root, name),
      memory_bytes: shelf.bytes + graph.bytes + words.bytes,
    };
  },
  close(): void {
    for (const it of held.values()) {
      save(it);
      clearTimeout(it.save);
      it.words.close();
      it.reader.close();
    }
    held.clear();
  },
};
export type SearcherApi = typeof api;

function known(name: string): Held {
  const it = held.get(name);
  if (!it) throw new LakeError("not_found", `There is no index "${name}".`);
  return it;
}

/** Puts a few items that were written, all of them in the end. */
function take(it: Held, last_key: number): void {
  const rows = it.reader.after(it.last_key, SLICE_ITEMS);
  for (const row of rows) {
    it.shelf.put(row);
    it.graph.put(row.key);
  }
  it.last_key = rows.at(-1)?.key ?? last_key;
}

/** Removes an item; one that was replaced again meanwhile gives way to what replaced it. */
function remove(it: Held, key: number): void {
  it.words.remove(key);
  const id = it.shelf.idOf(key);
  const newer = id === undefined ? undefined : it.reader.keyOf(id);
  if (newer !== undefined) while (it.last_key < newer) take(it, newer);
  it.shelf.remove(key);
}

/** Lets other calls, and a step of the graphs, have their turn. */
const others = () => new Promise<void>((resolve) => setImmediate(resolve));

/** What is to be told of each slot. */
function told(
  { shelf, reader }: Held,
  slots: readonly number[],
  include: readonly Include[],
): Partial<Item>[] {
  const texts = include.includes("text") ? reader.textsOf(slots.map(shelf.key)) : undefined;
  return slots.map((slot, at) => ({
    ...(include.includes("metadata") ? { metadata: shelf.metadata(slot) as Item["metadata"] } : {}),
    ...(texts ? { text: texts[at] as string | null } : {}),
    ...(include.includes("vector") ? { vector: Array.from(shelf.vector(slot)) } : {}),
  }));
}

/** A step of each graph that has something to do, then whatever was asked meanwhile, then the next. */
function pump(): void {
  if (is_pumping) return;
  is_pumping = true;
  setImmediate(() => {
    is_pumping = false;
    let is_left = false;
    for (const it of held.values()) {
      try {
        if (step(it)) is_left = true;
      } catch (error) {
        // As from a damaged file: the others go on.
        api.drop(it.name);
        giveUp(it.name, messageOf(error));
      }
    }
    if (is_left) pump();
  });
}

/** @returns whether anything is left to do for it */
function step(it: Held): boolean {
  const was_settled = it.graph.is_settled;
  const is_left = it.shelf.step() || it.words.step(it.last_key) || it.graph.step();
  if (!is_left && (!was_settled || it.save === undefined)) saveLater(it);
  if (isOverdue(it)) save(it);
  return is_left;
}

function saveLater(it: Held): void {
  clearTimeout(it.save);
  it.save = setTimeout(() => {
    if (it.graph.is_settled) save(it);
  }, settings.save_after_ms);
}

/** Writes that come without a break would put the save off for ever, and a kill would cost the whole graph. */
function isOverdue({ graph, saved_ms }: Held): boolean {
  return graph.is_outgrown && performance.now() - saved_ms > OVERDUE_TIMES * settings.save_after_ms;
}

/** What can't be saved now, as on a full disk, is tried again: the graph is derived, and searches go on. */
function save(it: Held): void {
  if (!it.graph.is_unsaved) return;
  it.saved_ms = performance.now();
  try {
    it.graph.save();
  } catch (error) {
    warn(`The graph of index "${it.name}" can't be saved: ${messageOf(error)}`);
    saveLater(it);
  }
}

serve(api);
