/** The first MiB is looked at while the rest arrives: what was seen then holds for that file, read that way, only. */
import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { lookAt } from "../../src/services/ingestd/guess.ts";
import { PIECE_BYTES } from "../../src/services/ingestd/text.ts";

const directory = mkdtempSync(join(tmpdir(), "lakehouse-look-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const read = { nulls: [], on_error: "fail" as const };
const rows = (from: number, bytes: number) => {
  let text = "";
  for (let id = from; text.length < bytes; id++) text += `${id};${id / 4};2026-11-23;"x; ${id}"\n`;
  return text;
};

test("a look at a file that is still arriving sees what one at the whole file does", async () => {
  const [partial, whole] = [join(directory, "partial"), join(directory, "whole")];
  const text = `id;share;day;note\n${rows(0, 3 * PIECE_BYTES)}`;
  writeFileSync(partial, text.slice(0, PIECE_BYTES + 1));
  writeFileSync(whole, text);
  const early = await lookAt({ input: partial, read }, "csv");
  expect(early).toEqual(await lookAt({ input: whole, read }, "csv"));
  expect(early.guess.columns.map(({ name, type }) => `${name}: ${type}`)).toEqual([
    "id: long",
    "share: double",
    "day: date",
    "note: string",
  ]);
});

test("it is remembered for that file and that way of reading it", async () => {
  const [first, second] = [join(directory, "first"), join(directory, "second")];
  writeFileSync(first, "a;b\n1;2\n");
  writeFileSync(second, "c;d\nx;y\n");
  const look = await lookAt({ input: first, read }, "csv");
  rmSync(first);
  expect(await lookAt({ input: first, read }, "csv")).toBe(look);
  const other = await lookAt({ input: second, read }, "csv");
  expect(other.guess.columns.map((it) => it.name)).toEqual(["c", "d"]);
  const by_comma = await lookAt({ input: second, read: { ...read, delimiter: "," } }, "csv");
  expect(by_comma.guess.columns.map((it) => it.name)).toEqual(["c;d"]);
});
