import { expect, test } from "bun:test";
import { Tokenizer } from "../../src/services/embedd/tokenizer.ts";
import { hashOfIds, TEXTS, texts } from "../support/texts.ts";

const MODEL = new URL("../../src/services/embedd/model/", import.meta.url).pathname;
const vocabulary = await Bun.file(`${MODEL}vocab.txt`).text();
const tokenizer = new Tokenizer(vocabulary, await Bun.file(`${MODEL}characters.txt`).text());
const words = vocabulary.trimEnd().split("\n");

function tokens(text: string): string[] {
  const ids = new Uint16Array(64);
  return [...ids.subarray(0, tokenizer.encode(text, ids))].map((id) => words[id] as string);
}

test("10,000 texts of every script, emoji and control character become the reference's tokens", async () => {
  const fixture = await Bun.file(new URL("../fixtures/tokenizer.hashes", import.meta.url)).arrayBuffer();
  const expected = new DataView(fixture, 32);
  const all = [...texts(words)];
  const digest = new Bun.CryptoHasher("sha256").update(all.map((text) => `${text}\n`).join("")).digest("hex");
  expect(digest).toBe(Buffer.from(fixture, 0, 32).toString("hex"));
  expect(all.length).toBe(TEXTS);
  const ids = new Uint16Array(4096);
  const different = all.filter((text, i) => {
    const count = tokenizer.encode(text, ids);
    return hashOfIds(ids.subarray(0, count)) !== expected.getUint32(4 * i, true);
  });
  expect(different.slice(0, 5)).toEqual([]);
});

test("a word is cut into the longest pieces, accents and case aside", () => {
  expect(tokens("Embeddings, naïvely!")).toEqual(["em", "##bed", "##ding", "##s", ",", "naive", "##ly", "!"]);
});

test("a lone surrogate is left out, as U+FFFD is", () => {
  expect(tokens("lake\ud83dhouse \udc00")).toEqual(tokens("lakehouse"));
});

test("a full buffer ends the text", () => {
  const ids = new Uint16Array(3);
  expect(tokenizer.encode("one two three four five", ids)).toBe(3);
  expect([...ids].map((id) => words[id])).toEqual(["one", "two", "three"]);
});
