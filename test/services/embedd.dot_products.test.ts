import { expect, test } from "bun:test";
import fc from "fast-check";
import { dotProducts } from "../../src/services/embedd/dot_products.ts";

/** Rows of numbers of 8 bits, the ends of their range often among them. */
const rowsOf = (dimension: number) =>
  fc.array(fc.int8Array({ minLength: dimension, maxLength: dimension }), { minLength: 1, maxLength: 12 });

test("dot products are those of whole numbers, whichever rows are asked for", () => {
  const given = fc
    .integer({ min: 1, max: 20 })
    .chain((sixteens) => fc.tuple(fc.constant(sixteens * 16), rowsOf(sixteens * 16)))
    .chain(([dimension, rows]) => {
      const place = fc.nat(rows.length - 1);
      return fc.tuple(
        fc.constant(dimension),
        fc.constant(rows),
        place,
        fc.array(place, { minLength: 1, maxLength: 30 }),
      );
    });
  fc.assert(
    fc.property(given, ([dimension, rows, row, others]) => {
      const list = rows.length * dimension;
      const out = list + 4 * others.length;
      const { memory, dots } = dotProducts(dimension, out + 4 * others.length);
      for (const [at, it] of rows.entries()) new Int8Array(memory.buffer).set(it, at * dimension);
      new Uint32Array(memory.buffer, list, others.length).set(others.map((it) => it * dimension));
      dots(row * dimension, list, others.length, out);
      const products = others.map((other) =>
        rows[row]?.reduce((sum, it, at) => sum + it * (rows[other]?.[at] as number), 0),
      );
      expect([...new Int32Array(memory.buffer, out, others.length)]).toEqual(products as number[]);
    }),
    { numRuns: 100 },
  );
});

test("rows at the ends of the range of 8 bits, as long as the model's, do not overflow", () => {
  const { memory, dots } = dotProducts(256, 1024);
  new Int8Array(memory.buffer, 0, 256).fill(-128);
  dots(0, 256, 1, 260);
  expect(new Int32Array(memory.buffer, 260, 1)[0]).toBe(256 * 128 * 128);
});

test("rows that are no multiple of 16 numbers are refused", () => {
  expect(() => dotProducts(24, 1024)).toThrow("multiple of 16");
});
