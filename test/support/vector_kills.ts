/** An index under adds, deletes, erasures, snapshots and restores, and what must hold of it after a kill. */
import { Database } from "bun:sqlite";
import { expect } from "bun:test";
import { join } from "node:path";
import type { Item } from "../../src/services/vectord/schema.ts";
import { idsOf, randomVector, seeded, type VectorCalls } from "./vectors.ts";

const DIMENSION = 8;
const BATCH = 20;
/** Items, and versions that are no more, that are looked for one by one after each start. */
const LOOKED_FOR = 8;
const NAME = "killed";
const COPY = "copy";

/** Version n of an item: all it holds is made of n, so that any state can be judged by itself. */
const versionOf = (id: string, n: number) => ({
  id,
  vector: randomVector(DIMENSION, seeded(n)),
  metadata: { n },
  text: `common words and v${n}`,
});

export class Survivor {
  readonly #random: () => number;
  /** The version of each item that is surely there, and the write whose fate a kill left open. */
  readonly #there = new Map<string, number>();
  #open = { added: new Map<string, number>(), removed: [] as string[] };
  readonly #gone: number[] = [];
  #versions = 0;
  #restored = 0;
  /** What was acknowledged so far. */
  readonly done = { writes: 0, adds: 0, deletes: 0, erasures: 0, snapshots: 0, restores: 0 };

  constructor(
    readonly calls: VectorCalls,
    seed: number,
  ) {
    this.#random = seeded(seed);
  }

  async begin(): Promise<void> {
    await this.calls.create(NAME, DIMENSION, { indexed: ["n"] });
  }

  async write(): Promise<void> {
    const is_removal = this.#random() < 0.4 && this.#there.size > BATCH;
    await (is_removal ? this.#remove() : this.#add());
    this.#open = { added: new Map(), removed: [] };
    this.done.writes++;
  }

  async #add(): Promise<void> {
    const old = [...this.#there.keys()];
    const { added } = this.#open;
    for (let at = 0; at < BATCH; at++) {
      const n = ++this.#versions;
      const again = this.#random() < 0.4 ? old[Math.floor(this.#random() * old.length)] : undefined;
      added.set(again ?? `item ${n}`, n);
    }
    const items = [...added].map(([id, n]) => versionOf(id, n));
    await this.calls.add(NAME, items);
    this.#applyAdded();
    this.done.adds++;
  }

  async #remove(): Promise<void> {
    const { removed } = this.#open;
    removed.push(
      ...[...this.#there.keys()].filter(() => this.#random() < 0.2),
      [...this.#there.keys()][0] as string,
    );
    const erase = this.#random() < 0.3;
    await this.calls.remove(NAME, { ids: removed, erase });
    this.#applyRemoved();
    this.done[erase ? "erasures" : "deletes"]++;
  }

  /** A snapshot, and a restore of it in another index's place. */
  async move(): Promise<void> {
    const { key } = await this.calls.snapshot(NAME, { key: "vectors/killed.tar" });
    this.done.snapshots++;
    await this.calls.restore({ key, name: COPY, replace: true });
    this.done.restores++;
    this.#restored++;
  }

  #applyAdded(): void {
    for (const [id, n] of this.#open.added) {
      this.#forget(id);
      this.#there.set(id, n);
    }
  }

  #applyRemoved(): void {
    for (const id of new Set(this.#open.removed)) this.#forget(id);
  }

  #forget(id: string): void {
    const n = this.#there.get(id);
    if (n !== undefined) this.#gone.push(n);
    this.#there.delete(id);
  }

  /** @throws what is lost, came back, or is not what SQLite has */
  async check(data_dir: string): Promise<void> {
    const seen = await this.#everything(NAME, [...this.#there.keys(), ...this.#open.added.keys()]);
    const [some_added] = this.#open.added;
    if (some_added && seen.get(some_added[0]) === some_added[1]) this.#applyAdded();
    const [some_removed] = this.#open.removed;
    if (some_removed !== undefined && !seen.has(some_removed)) this.#applyRemoved();
    this.#open = { added: new Map(), removed: [] };
    expect(Object.fromEntries(seen)).toEqual(Object.fromEntries(this.#there));
    await this.#checkFound(NAME, this.#there);
    for (const n of this.#someOf(this.#gone)) await this.#checkGone(n);
    checkFile(data_dir, NAME, this.#there.size);
    if (this.#restored > 0) await this.#checkCopy(data_dir);
  }

  /** The copy is one state or another, and whole. */
  async #checkCopy(data_dir: string): Promise<void> {
    const ids = checkFile(data_dir, COPY);
    const seen = await this.#everything(COPY, ids);
    expect(seen.size).toBe(ids.length);
    await this.#checkFound(COPY, seen);
  }

  /** Every item there is of these ids, compared with what its version holds. */
  async #everything(name: string, ids: readonly string[]): Promise<Map<string, number>> {
    if (ids.length === 0) return new Map();
    const asked = { ids: [...new Set(ids)], include: ["metadata", "text", "vector"] };
    const { body } = await this.calls.send<{ items: Item[] }>("POST", `/${name}/get`, asked);
    for (const item of body.items) expect(item as object).toEqual(versionOf(item.id, nOf(item)));
    return new Map(body.items.map((item) => [item.id, nOf(item)]));
  }

  /** By comparing all, by the graph, by word and by field. */
  async #checkFound(name: string, there: ReadonlyMap<string, number>): Promise<void> {
    expect((await this.calls.info(name)).items).toBe(there.size);
    for (const [id, n] of this.#someOf([...there])) {
      const { vector } = versionOf(id, n);
      const by_word = { text: `v${n}`, bm25: 1, vector: 0, soft: 0 };
      const filter = { must: [{ key: "n", match: n }] };
      for (const more of [{ exact: true }, { exact: false }, { hybrid: by_word }, { filter }])
        expect(idsOf((await this.calls.search(name, { vector, k: 1, ...more })).results)).toEqual([id]);
    }
  }

  async #checkGone(n: number): Promise<void> {
    const hybrid = { text: `v${n}`, soft: 0 };
    const { vector } = versionOf("", n);
    const { results } = await this.calls.search(NAME, { vector, k: BATCH, hybrid });
    expect(results.filter((it) => it.ranks?.bm25 !== undefined)).toEqual([]);
  }

  #someOf<T>(all: readonly T[]): T[] {
    const count = Math.min(LOOKED_FOR, all.length);
    return Array.from({ length: count }, () => all[Math.floor(this.#random() * all.length)] as T);
  }
}

const nOf = (item: Item): number => (item.metadata as { n: number }).n;

/** What SQLite says of an index's file, beside the process that has it open. @returns the items' ids */
function checkFile(data_dir: string, name: string, items?: number): string[] {
  const db = new Database(join(data_dir, "vector", name, "items.sqlite"), { readonly: true });
  try {
    expect(db.query("PRAGMA integrity_check").all()).toEqual([{ integrity_check: "ok" }]);
    const ids = db.query<{ id: string }, []>("SELECT id FROM items").all();
    if (items !== undefined) expect(ids).toHaveLength(items);
    expect(db.query("SELECT id FROM words_docsize EXCEPT SELECT key FROM items").all()).toEqual([]);
    expect(db.query("SELECT key FROM items EXCEPT SELECT id FROM words_docsize").all()).toEqual([]);
    return ids.map((it) => it.id);
  } finally {
    db.close();
  }
}
