/** The cache of vectors against a plain model of it, over any course of puts and gets. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { VectorCache } from "../../src/services/embedd/cache.ts";

const MAX_BYTES = 4000;
/** What the cache counts beside a vector; four bytes a dimension come on top. */
const ENTRY_BYTES = 320;

const made = (dimension: number) => ({
  vector: new Float32Array(dimension).fill(dimension),
  tokens: 1,
  is_truncated: false,
});

test("it holds what was used last, within its bytes", () => {
  const step = fc.record({
    key: fc.constantFrom("a", "b", "c", "d", "e", "f"),
    dimension: fc.option(fc.constantFrom(1, 100, 300, 1000), { nil: undefined }),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const cache = new VectorCache(MAX_BYTES);
      let model: [string, number][] = []; // the oldest first
      const size = (entries: [string, number][]) =>
        entries.reduce((sum, [, dimension]) => sum + ENTRY_BYTES + 4 * dimension, 0);
      for (const { key, dimension } of steps) {
        const known = model.find(([name]) => name === key);
        if (dimension === undefined) {
          expect(cache.get(key)?.vector.length).toBe(known?.[1]);
          if (known) model = [...model.filter((it) => it !== known), known];
        } else {
          cache.put(key, made(dimension));
          if (size([[key, dimension]]) > MAX_BYTES) continue;
          model = [...model.filter((it) => it !== known), [key, dimension]];
          while (size(model) > MAX_BYTES) model.shift();
        }
        expect(cache.bytes).toBe(size(model));
      }
    }),
  );
});

test("texts and models have keys of their own", () => {
  const keys = ["a", "b"].flatMap((model) => ["x", "y", ""].map((text) => VectorCache.keyOf(model, text)));
  expect(new Set(keys).size).toBe(6);
});
