/** Words in memory rank as FTS5 does, whatever was written, replaced and deleted. */
import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { createItemFile, ItemReader, ItemWriter } from "../../src/services/vectord/store.ts";
import { Words, wordsOf } from "../../src/services/vectord/words.ts";
import { seeded } from "../support/vectors.ts";

const settings = {
  dimension: 1,
  model: null,
  metric: "l2",
  quantization: "f32",
  connectivity: 16,
  ef_construction: 128,
  indexed: [],
} as const;
const VOCABULARY = [
  ..."the of running runs run Crème brûlée CREME Ærø naïve 東京 снег снегом ﬁne x² a.b it's 42".split(" "),
  ...Array.from({ length: 30 }, (_, at) => `word${"aeiouy"[at % 6]}${at}s`),
];

/** An index's file and its words in memory, written to alike. */
function opened(path: string) {
  createItemFile(path, settings);
  const writer = new ItemWriter(path);
  const reader = new ItemReader(path);
  const words = new Words(reader);
  let last_key = 0;
  return {
    words,
    add(items: { id: string; text: string | null }[]): void {
      const whole = items.map((it) => ({
        ...it,
        vector: new Float32Array(1),
        metadata: null,
        expires_ms: null,
      }));
      const change = writer.add(whole);
      last_key = change.last_key;
      for (const key of change.removed) words.remove(key);
    },
    remove(ids: string[]): void {
      for (const key of writer.removeIds(ids)) words.remove(key);
    },
    read: () => words.step(last_key, 3),
    /** What few may pass is looked at one by one, and found as among all. */
    compareAmong(text: string, count: number): void {
      while (!words.isWhole(last_key));
      const asked = [...new Set(wordsOf(text))];
      const among = Array.from({ length: last_key / 3 }, (_, at) => at * 3 + 1);
      const wanted = words.rank(asked, last_key, () => true).filter(({ key }) => key % 3 === 1);
      const rank = words.rank(asked, count, (key) => key % 3 === 1, among);
      expect(rank.map(({ key }) => key)).toEqual(wanted.slice(0, count).map(({ key }) => key));
      expect(words.rank(asked, count, (key) => key % 3 === 1)).toEqual(rank);
    },
    compare(text: string, count: number): void {
      while (!words.isWhole(last_key));
      const asked = [...new Set(wordsOf(text))];
      const rank = words.rank(asked, count, () => true);
      const wanted = reader.rank(asked.map((it) => `"${it}"`).join(" OR ") || '""', count);
      // Sums in another order differ in their last digits, so equals may change places.
      expect(rank.length).toBe(wanted.length);
      for (const [at, { bm25 }] of wanted.entries()) expect(rank[at]?.bm25).toBeCloseTo(bm25, 9);
      const all = new Map(
        reader
          .rank(asked.map((it) => `"${it}"`).join(" OR ") || '""', 100_000)
          .map((it) => [it.key, it.bm25]),
      );
      for (const { key, bm25 } of rank) expect(all.get(key)).toBeCloseTo(bm25, 9);
    },
    close(): void {
      words.close();
      reader.close();
      writer.close();
    },
  };
}

const text = fc.array(fc.constantFrom(...VOCABULARY), { maxLength: 12 }).map((words) => words.join(" "));
const id = fc.nat(20).map((it) => `${it}`);
const step = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      add: fc.uniqueArray(fc.record({ id, text: fc.option(text) }), {
        minLength: 1,
        maxLength: 6,
        selector: (it) => it.id,
      }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ remove: fc.array(id, { maxLength: 4 }) }) },
  { weight: 1, arbitrary: fc.constant({ read: true as const }) },
  { weight: 3, arbitrary: fc.record({ ask: text, count: fc.integer({ min: 1, max: 30 }) }) },
);

test("words in memory rank as FTS5 does after any writes", () => {
  const folder = mkdtempSync(join(tmpdir(), "lakehouse-"));
  let runs = 0;
  try {
    fc.assert(
      fc.property(fc.array(step, { minLength: 5, maxLength: 30 }), (steps) => {
        const index = opened(join(folder, `${runs++}.sqlite`));
        try {
          for (const it of steps)
            if ("add" in it) index.add(it.add);
            else if ("remove" in it) index.remove(it.remove);
            else if ("read" in it) index.read();
            else index.compare(it.ask, it.count);
        } finally {
          index.close();
        }
      }),
      { numRuns: 25 },
    );
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}, 60_000);

test("they do so, too, after most texts were replaced and the lists made anew", () => {
  const folder = mkdtempSync(join(tmpdir(), "lakehouse-"));
  const random = seeded(11);
  const some = () =>
    Array.from(
      { length: 3 + Math.floor(random() * 8) },
      () => VOCABULARY[Math.floor(random() ** 2 * VOCABULARY.length)],
    ).join(" ");
  const index = opened(join(folder, "items.sqlite"));
  try {
    for (let round = 0; round < 3; round++) {
      index.add(Array.from({ length: 2000 }, (_, at) => ({ id: `${at}`, text: some() })));
      index.remove(Array.from({ length: 300 }, (_, at) => `${at * 3 + round}`));
      for (const asked of ["the running", "word", some(), some()]) {
        index.compare(asked, 50);
        index.compareAmong(asked, 50);
      }
    }
  } finally {
    index.close();
    rmSync(folder, { recursive: true, force: true });
  }
}, 60_000);
