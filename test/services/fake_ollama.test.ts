/** The stand-in for Ollama, as Ollama's official client sees it. */
import { afterAll, beforeEach, expect, test } from "bun:test";
import { Ollama } from "ollama";
import { startFakeOllama } from "../../scripts/fake_ollama/server.ts";
import { dot } from "../support/embedd.ts";

const fake = startFakeOllama();
const client = new Ollama({ host: fake.url });
const messages = [
  { role: "system", content: "Be brief." },
  { role: "user", content: "Where is the lake house?" },
];
const SAID = "You said 5 words: where is the lake house.";

beforeEach(() => fake.script([]));
afterAll(() => fake.stop());

async function all<T>(stream: AsyncIterable<T>): Promise<T[]> {
  const parts: T[] = [];
  for await (const part of stream) parts.push(part);
  return parts;
}

test("tells its version and its models", async () => {
  expect(await client.version()).toEqual({ version: expect.stringMatching(/^\d+\.\d+\.\d+$/) });
  const { models } = await client.list();
  expect(models.map(({ name }) => name)).toContain("nomic-embed-text:latest");
  expect(models[0]).toMatchObject({
    model: "all-minilm:latest",
    digest: expect.stringMatching(/^[0-9a-f]{64}$/),
    details: { format: "gguf", family: "bert" },
  });
});

test("embeds, the same each time; texts that share words are near", async () => {
  const input = ["the lake house", "a house by the lake", "stock prices fell"];
  const first = await client.embed({ model: "all-minilm", input });
  expect(first).toEqual(
    await client.embed({ model: "all-minilm:latest", input }).then((it) => ({ ...it, model: "all-minilm" })),
  );
  expect(first.prompt_eval_count).toBe(11);
  const [a, b, c] = first.embeddings as [number[], number[], number[]];
  expect([a.length, dot(a, a)]).toEqual([384, expect.closeTo(1, 5)]);
  expect(dot(a, b)).toBeGreaterThan(dot(a, c) + 0.3);
  const old = await client.embeddings({ model: "all-minilm", prompt: "the lake house" });
  expect(old.embedding).toEqual(a);
});

test("generates and chats, streamed and at once", async () => {
  const prompt = "Where is the lake house?";
  const whole = await client.generate({ model: "llama3.2", prompt });
  expect(whole).toMatchObject({ response: SAID, done: true, done_reason: "stop", context: [0, 1, 2, 3, 4] });
  const pieces = await all(await client.generate({ model: "llama3.2", prompt, stream: true }));
  expect(pieces.map(({ response }) => response).join("")).toBe(SAID);
  expect(pieces.map(({ done }) => done)).toEqual([...Array(pieces.length - 1).fill(false), true]);
  const chat = await client.chat({ model: "llama3.2", messages });
  expect(chat).toMatchObject({
    message: { role: "assistant", content: SAID },
    done: true,
    prompt_eval_count: 5,
  });
  const told = await all(await client.chat({ model: "llama3.2", messages, stream: true }));
  expect(told.map(({ message }) => message.content).join("")).toBe(SAID);
  expect(told.at(-1)).toMatchObject({ done: true, eval_count: told.length - 1 });
  const cut = await client.generate({ model: "llama3.2", prompt, options: { num_predict: 2 } });
  expect(cut).toMatchObject({ response: "You said", done_reason: "length" });
});

test("refuses as Ollama does", async () => {
  const long = "word ".repeat(300);
  await expect(client.embed({ model: "nothing", input: "x" })).rejects.toThrow('model "nothing" not found');
  await expect(client.generate({ model: "all-minilm", prompt: "x" })).rejects.toThrow(
    "does not support generate",
  );
  await expect(client.embed({ model: "all-minilm", input: long, truncate: false })).rejects.toThrow(
    "the input length exceeds the context length",
  );
  expect((await client.embed({ model: "all-minilm", input: long })).prompt_eval_count).toBe(256);
});

test("fails as scripted, once or as often as told", async () => {
  const set = await fetch(`${fake.url}/fake/failures`, {
    method: "PUT",
    body: JSON.stringify([
      { path: "/api/embed", status: 500, times: 2 },
      { path: "/api/embed", dimension: 7 },
      { path: "/api/chat", truncate: true },
    ]),
  });
  expect(set.status).toBe(204);
  const embed = () => client.embed({ model: "all-minilm", input: "x" });
  await expect(embed()).rejects.toThrow("scripted failure");
  await expect(embed()).rejects.toThrow("scripted failure");
  expect((await embed()).embeddings[0]).toHaveLength(7);
  expect((await embed()).embeddings[0]).toHaveLength(384);
  const chat = await client.chat({ model: "llama3.2", messages, stream: true });
  await expect(all(chat)).rejects.toThrow();
  const unknown = await fetch(`${fake.url}/fake/failures`, { method: "PUT", body: '[{"delay": 1}]' });
  expect([unknown.status, await unknown.json()]).toEqual([400, { error: expect.stringContaining("delay") }]);
});
