/** The Worker that writes: judges batches and commits them, so that no commit stalls the loop. */

import { LakeError } from "../../shared/errors.ts";
import { type BatchLimits, type JudgedItem, judgeBatch } from "./batch.ts";
import { createFolder, installFolder, itemsPath, removeFolder } from "./folders.ts";
import { refuseItems } from "./indexes.ts";
import { serve } from "./line.ts";
import { type Batch, type FieldsChange, type IndexSettings, MAX_INDEXED } from "./schema.ts";
import { type Change, ItemWriter } from "./store.ts";
import type { Origin, Source } from "./tables_schema.ts";

export interface WriterSettings {
  readonly root: string;
  readonly limits: BatchLimits;
  /** Items of one index, at most. */
  readonly max_index_items: number;
}

interface Open {
  readonly writer: ItemWriter;
  indexed: readonly string[];
  count: number;
}
const open = new Map<string, Open>();
/** Batches that wait for vectors of their texts. */
const unfinished = new Map<number, readonly JudgedItem[]>();
let tickets = 0;
let settings: WriterSettings;

const api = {
  begin(given: WriterSettings): void {
    settings = given;
  },
  create(name: string, index: IndexSettings): void {
    createFolder(settings.root, name, index);
    api.open(name);
  },
  open(name: string): IndexSettings {
    const writer = new ItemWriter(itemsPath(settings.root, name));
    open.set(name, { writer, indexed: writer.settings.indexed, count: writer.count() });
    return writer.settings;
  },
  /** Sets which fields are indexed: those there are, more these, less those. */
  declare(name: string, { add = [], remove = [] }: FieldsChange): string[] {
    const it = known(name);
    const indexed = [...new Set([...it.indexed, ...add])].filter((key) => !remove.includes(key));
    if (indexed.length > MAX_INDEXED)
      throw new LakeError(
        "resource_limit",
        `An index may have at most ${MAX_INDEXED} indexed fields (got ${indexed.length}).`,
      );
    it.writer.declare(indexed);
    it.indexed = indexed;
    return indexed;
  },
  /** Keeps which table the items came from. */
  note(name: string, source: Source & Origin): void {
    known(name).writer.note(source);
  },
  noted(name: string): ReturnType<ItemWriter["noted"]> {
    return known(name).writer.noted();
  },
  count(name: string): number {
    return known(name).count;
  },
  drop(name: string): void {
    close(name);
    removeFolder(settings.root, name);
  },
  /** Puts a whole index's folder in the place of what is there by that name; to be opened next. */
  install(name: string, folder: string): void {
    close(name);
    installFolder(settings.root, folder, name);
  },
  /** Commits; or, where vectors are to be made first, keeps the batch under a ticket. */
  add(name: string, batch: Batch): { change: Change } | { ticket: number; texts: string[] } {
    const it = known(name);
    const items = judgeBatch(batch, it.writer.settings, settings.limits);
    refuseItems(name, it.count + items.length, settings.max_index_items, it.count);
    const texts = items.flatMap(({ vector, text }) => (vector === undefined ? [text ?? ""] : []));
    if (texts.length === 0) return { change: commit(name, items, []) };
    const ticket = ++tickets;
    unfinished.set(ticket, items);
    return { ticket, texts };
  },
  /** Commits what lies under a ticket, with the vectors of its texts in their order. */
  finish(name: string, ticket: number, vectors: readonly Float32Array[]): Change {
    const items = unfinished.get(ticket) ?? [];
    unfinished.delete(ticket);
    return commit(name, items, vectors);
  },
  forget(ticket: number): void {
    unfinished.delete(ticket);
  },
  removeIds(name: string, ids: readonly string[]): number[] {
    return counted(name, known(name).writer.removeIds(ids));
  },
  removeKeys(name: string, keys: readonly number[]): number[] {
    return counted(name, known(name).writer.removeKeys(keys));
  },
  expire(name: string, now_ms: number): number[] {
    return counted(name, known(name).writer.expire(now_ms));
  },
  erase(name: string): void {
    known(name).writer.erase();
  },
  close(): void {
    for (const { writer } of open.values()) writer.close();
    open.clear();
  },
};
export type WriterApi = typeof api;

function close(name: string): void {
  open.get(name)?.writer.close();
  open.delete(name);
}

function known(name: string) {
  const it = open.get(name);
  if (!it) throw new LakeError("not_found", `There is no index "${name}".`);
  return it;
}

function commit(name: string, items: readonly JudgedItem[], made: readonly Float32Array[]): Change {
  const it = known(name);
  const { dimension, model } = it.writer.settings;
  const rest = made.values();
  const whole = items.map((item) => {
    const vector = item.vector ?? rest.next().value;
    if (vector?.length !== dimension)
      throw new LakeError(
        "unavailable",
        `Model "${model}" made no vector of ${dimension} numbers, as the index needs.`,
      );
    return { ...item, vector };
  });
  const change = it.writer.add(whole);
  it.count += change.added;
  return change;
}

function counted(name: string, removed: number[]): number[] {
  known(name).count -= removed.length;
  return removed;
}

serve(api);
