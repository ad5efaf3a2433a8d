import { afterAll, expect, test } from "bun:test";
import { cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { MODEL_FOLDER, StaticModel } from "../../src/services/embedd/static_model.ts";

const model = await StaticModel.load({ max_tokens: 512 });
const scratch = await mkdtemp(join(tmpdir(), "embedd-model-"));
afterAll(() => rm(scratch, { recursive: true }));

function cosine(a: string, b: string): number {
  const both = model.embed([a, b]);
  return both
    .subarray(0, model.dimension)
    .reduce((sum, x, d) => sum + x * (both[model.dimension + d] as number), 0);
}

test("the model is 256 dimensions wide and at most 10 MB large", async () => {
  expect(model.dimension).toBe(256);
  const files = ["table.bin", "vocab.txt", "characters.txt"];
  const sizes = files.map((name) => Bun.file(new URL(name, MODEL_FOLDER)).size);
  expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThan(10_000_000);
});

test("a vector has unit length, and does not depend on what else is embedded with it", () => {
  const together = model.embed(["a lake", "a house by the lake"]);
  const second = together.slice(model.dimension);
  expect(model.embed(["a house by the lake"])).toEqual(second);
  expect(second.reduce((sum, x) => sum + x * x, 0)).toBeCloseTo(1, 5);
});

test("texts that mean the same are nearer than texts that share words", () => {
  expect(cosine("the physician treats a sick child", "a doctor cares for an ill kid")).toBeGreaterThan(
    cosine("the physician treats a sick child", "the child treats a sick joke"),
  );
  expect(cosine("How do I reset my password?", "recover a forgotten login")).toBeGreaterThan(0.3);
  expect(cosine("How do I reset my password?", "the recipe for apple pie")).toBeLessThan(0.2);
});

test("a text with no known token is the zero vector", () => {
  for (const text of ["", " \u0000\t", "[PAD]", "\u{10ffff}"]) {
    expect(model.embed([text]).every((x) => x === 0)).toBe(true);
    expect([...model.softMatch(text, ["something"]).scores]).toEqual([0]);
    expect([...model.softMatch("something", [text]).scores]).toEqual([0]);
  }
});

test("tokens beyond the limit are left out", async () => {
  const short = await StaticModel.load({ max_tokens: 3 });
  expect(short.countTokens("one two three four")).toBe(3);
  expect(short.embed(["one two three four"])).toEqual(short.embed(["one two three"]));
});

test("a soft match finds the one telling word in a long text", () => {
  const filler = "and then we talked for a long time about this and that while the others were out";
  const { scores, mean_tokens } = model.softMatch("puppy", ["puppy", `${filler}, her dog slept`, filler]);
  const [same, near, none] = scores;
  expect(mean_tokens).toBe((1 + 21 + 17) / 3);
  expect(same).toBeCloseTo(1, 5);
  expect(near).toBeGreaterThan((none as number) + 0.2);
});

test("a damaged file is refused by name", async () => {
  for (const name of ["table.bin", "vocab.txt", "characters.txt"]) {
    const folder = join(scratch, name);
    await cp(MODEL_FOLDER, folder, { recursive: true });
    const bytes = new Uint8Array(await Bun.file(join(folder, name)).arrayBuffer());
    bytes[1000] = (bytes[1000] as number) ^ 1;
    await Bun.write(join(folder, name), bytes);
    const loading = StaticModel.load({ max_tokens: 8 }, pathToFileURL(`${folder}/`));
    await expect(loading).rejects.toThrow(`the built-in model's ${name} is damaged`);
  }
});
