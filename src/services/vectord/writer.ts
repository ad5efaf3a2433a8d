/** The Worker that writes: judges batches and commits them, so that no commit stalls the loop. */

import { LakeError } from "../../shared/errors.ts";
import { type BatchLimits, judgeBatch } from "./batch.ts";
import { createFolder, itemsPath, removeFolder } from "./folders.ts";
import { serve } from "./line.ts";
import type { Batch, IndexSettings } from "./schema.ts";
import { type Change, ItemWriter } from "./store.ts";

export interface WriterSettings {
  readonly root: string;
  readonly limits: BatchLimits;
  /** Items of one index, at most. */
  readonly max_index_items: number;
}

const open = new Map<string, { writer: ItemWriter; count: number }>();
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
    open.set(name, { writer, count: writer.count() });
    return writer.settings;
  },
  drop(name: string): void {
    open.get(name)?.writer.close();
    open.delete(name);
    removeFolder(settings.root, name);
  },
  add(name: string, batch: Batch): Change {
    const it = known(name);
    const items = judgeBatch(batch, it.writer.settings, settings.limits);
    if (it.count + items.length > settings.max_index_items)
      throw new LakeError(
        "resource_limit",
        `Index "${name}" may hold at most ${settings.max_index_items} items (vectord.max_index_items; it has ${it.count}).`,
      );
    const change = it.writer.add(items);
    it.count += change.added;
    return change;
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
  close(): void {
    for (const { writer } of open.values()) writer.close();
    open.clear();
  },
};
export type WriterApi = typeof api;

function known(name: string) {
  const it = open.get(name);
  if (!it) throw new LakeError("not_found", `There is no index "${name}".`);
  return it;
}

function counted(name: string, removed: number[]): number[] {
  known(name).count -= removed.length;
  return removed;
}

serve(api);
