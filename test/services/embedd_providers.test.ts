/** Models of other programs: their vectors, and what a caller learns when they are slow, wrong or gone. */
import { afterAll, expect, test } from "bun:test";
import { startFakeOllama } from "../../scripts/fake_ollama/server.ts";
import { dot, embed, post, refused, withModels } from "../support/embedd.ts";
import { inBothCompositions } from "../support/house.ts";

const fake = startFakeOllama();
afterAll(() => fake.stop());

const ollama = (name: string, more: Record<string, unknown> = {}) => ({
  name,
  provider: "ollama",
  url: fake.url,
  ...more,
});
const title = `Ollama at ${fake.url}`;
const embedsAsked = () => fake.requests.filter(({ path }) => path === "/api/embed");

async function models(house: { url: string }) {
  const { models } = (await (await fetch(`${house.url}/v1/embed/models`)).json()) as {
    models: { name: string; dimension: number | null; status: string; reason?: string }[];
  };
  return models;
}

inBothCompositions("embedd's providers", (start) => {
  test("Ollama embeds in batches that requests share, and is told how long to keep its model", async () => {
    const house = await start({
      ...withModels(ollama("all-minilm", { batch: 8, keep_alive: "5m" })),
      LAKEHOUSE_EMBEDD_DEFAULT_MODEL: "all-minilm",
      // Memory would ask for vectors, too.
      LAKEHOUSE_PATHWAYD_MODEL: "lakehouse-static-en-v1",
    });
    expect((await models(house))[1]).toMatchObject({ name: "all-minilm", dimension: null, status: "ok" });
    const before = embedsAsked().length;
    const texts = Array.from({ length: 20 }, (_, at) => `a text about number ${at}`);
    const { vectors, model, dimension, tokens } = await embed(house, texts);
    expect([model, dimension, tokens]).toEqual(["all-minilm", 384, 100]);
    expect(dot(vectors[0] as number[], vectors[1] as number[])).toBeGreaterThan(0.5);
    const asked = embedsAsked().slice(before);
    expect(asked.map(({ body }) => (body.input as string[]).length).sort()).toEqual([4, 8, 8]);
    expect(asked.every(({ body }) => body.keep_alive === "5m" && body.truncate === false)).toBe(true);
    expect((await models(house))[1]).toMatchObject({ dimension: 384, is_default: true });
    const [one, other] = await Promise.all([embed(house, ["left"]), embed(house, ["right"])]);
    expect(dot(one.vectors[0] as number[], other.vectors[0] as number[])).toBeLessThan(0.5);
  });

  test("what is too long for Ollama's model is refused by its place, or cut and told", async () => {
    const house = await start(withModels(ollama("all-minilm")));
    const texts = ["short", "word ".repeat(300), "also short"];
    expect(await refused(house, { texts, model: "all-minilm" })).toMatchObject({
      status: 400,
      errors: [{ path: "/texts/1", message: "is longer than all-minilm reads" }],
    });
    const { truncated, vectors } = await embed(house, texts, { model: "all-minilm", truncate: true });
    expect(truncated).toEqual([1]);
    expect(vectors).toHaveLength(3);
  });

  test("a provider that fails is named, left alone for a while, and tried again", async () => {
    const house = await start({
      ...withModels(ollama("all-minilm")),
      LAKEHOUSE_EMBEDD_BREAKER_FAILURES: "2",
      LAKEHOUSE_EMBEDD_BREAKER_MS: "300",
    });
    const ask = (text: string) => refused(house, { texts: [text], model: "all-minilm" });
    const detail = `${title} answered 500: scripted failure`;
    fake.script([{ path: "/api/embed", status: 500, times: 2 }]);
    expect(await ask("one")).toMatchObject({ status: 503, code: "unavailable", detail });
    expect(await ask("two")).toMatchObject({ status: 503, detail });
    const asked = embedsAsked().length;
    const left_alone = await ask("three");
    expect(left_alone).toMatchObject({ status: 503, detail: `${detail} It is left alone for a while.` });
    expect(left_alone.retry_after).toBe("1");
    expect(embedsAsked().length).toBe(asked);
    expect((await models(house))[1]).toMatchObject({ status: "down", reason: detail });
    const health = async () =>
      (
        (await (await fetch(`${house.url}/health`)).json()) as {
          services: Record<string, { status: string }>;
        }
      ).services.embedd;
    expect(await health()).toMatchObject({ status: "degraded", reason: detail, failing: ["all-minilm"] });
    expect((await embed(house, ["by the built-in model"])).dimension).toBe(256);
    await Bun.sleep(320);
    expect((await embed(house, ["four"], { model: "all-minilm" })).dimension).toBe(384);
    expect(await health()).toMatchObject({ status: "ok" });
  });

  test("a provider that hangs is given up, and so is a request whose time is over", async () => {
    const house = await start({
      ...withModels(ollama("all-minilm")),
      LAKEHOUSE_EMBEDD_PROVIDER_TIMEOUT_MS: "100",
    });
    fake.script([{ latency_ms: 5000 }]);
    const hung = await refused(house, { texts: ["one"], model: "all-minilm" });
    expect(hung).toMatchObject({ status: 503, detail: `${title} gave no answer in time.` });

    const short = await start({
      ...withModels(ollama("all-minilm", { batch: 1 })),
      LAKEHOUSE_EMBEDD_TIMEOUT_MS: "200",
      LAKEHOUSE_EMBEDD_PROVIDER_TIMEOUT_MS: "200",
    });
    fake.script([{ latency_ms: 150, times: 4 }]);
    const texts = ["a", "b", "c", "d"];
    expect(await refused(short, { texts, model: "all-minilm" })).toMatchObject({
      status: 504,
      code: "deadline",
      detail: "The texts were not embedded within 200 ms.",
    });
    fake.script([]);
  });

  test("answers that are cut, of another shape or from nobody are told as the provider's", async () => {
    const shapes: [unknown, string][] = [
      [{}, "no vectors where 1 were asked for"],
      [{ embeddings: [[1], [2]] }, "2 vectors where 1 were asked for"],
      [{ embeddings: [[1, "x"]] }, "a vector that is no list of numbers"],
      [{ embeddings: [[1, null]] }, "a vector that is no list of numbers"],
      ["text", "what is no JSON"],
    ];
    let shape: unknown;
    const odd = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => Response.json(shape) });
    const gone = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response() });
    const gone_url = `http://127.0.0.1:${gone.port}`;
    await gone.stop(true);
    const odd_url = `http://127.0.0.1:${odd.port}`;
    const house = await start({
      ...withModels(
        ollama("all-minilm", { dimension: 384 }),
        ollama("missing-model"),
        { name: "odd", provider: "ollama", url: odd_url },
        { name: "gone", provider: "ollama", url: gone_url },
      ),
      LAKEHOUSE_EMBEDD_BREAKER_FAILURES: "100",
    });
    const told = async (model: string, text: string) => {
      const { status, code, detail } = await refused(house, { texts: [text], model });
      expect([status, code]).toEqual([503, "unavailable"]);
      return detail;
    };
    fake.script([{ truncate: true }]);
    expect(await told("all-minilm", "cut")).toBe(`${title} could not be reached.`);
    fake.script([{ dimension: 100 }]);
    expect(await told("all-minilm", "narrow")).toBe(
      `${title} answered with a vector of 100 dimensions where 384 are expected.`,
    );
    expect(await told("missing-model", "x")).toBe(
      `${title} answered 404: model "missing-model" not found, try pulling it first`,
    );
    for (const [given, what] of shapes) {
      shape = given;
      expect(await told("odd", JSON.stringify(given))).toBe(`Ollama at ${odd_url} answered with ${what}.`);
    }
    expect(await told("gone", "x")).toBe(`Ollama at ${gone_url} could not be reached.`);
    await odd.stop(true);
  });

  test("past the queue the answer is 429 with a time to wait, and nothing is lost of what waits", async () => {
    const house = await start({
      ...withModels(ollama("all-minilm", { batch: 1 })),
      LAKEHOUSE_EMBEDD_MAX_TEXTS: "4",
      LAKEHOUSE_EMBEDD_QUEUE: "4",
    });
    fake.script([{ latency_ms: 200, times: 2 }]);
    const ask = (name: string) =>
      post(house, "/embed", { texts: [1, 2, 3, 4].map((at) => `${name} ${at}`), model: "all-minilm" });
    const first = ask("a");
    await Bun.sleep(100);
    const others = await Promise.all([ask("b"), ask("c")]);
    for (const response of others) {
      expect([response.status, response.headers.get("retry-after")]).toEqual([429, "1"]);
      expect(await response.json()).toMatchObject({ code: "queue_full" });
    }
    expect((await first).status).toBe(200);
  });

  test("an OpenAI-compatible server embeds: another lake, by a key that is never shown", async () => {
    const key = "lh_other_a-secret";
    const sha256 = new Bun.CryptoHasher("sha256").update(key).digest("hex");
    const other = await start({
      LAKEHOUSE_KEYS: JSON.stringify([{ name: "other", sha256, scopes: ["embedd:read"] }]),
    });
    const upstream = { provider: "openai", url: `${other.url}/v1`, upstream_name: "lakehouse-static-en-v1" };
    const house = await start(
      withModels(
        { name: "far", ...upstream, api_key: key },
        { name: "keyless", ...upstream },
        { name: "wrong", ...upstream, api_key: "lh_other_not-it" },
        { name: "unknown", ...upstream, upstream_name: "nothing", api_key: key },
      ),
    );
    const texts = ["a lake", "a house", "a lake"];
    const far = await embed(house, texts, { model: "far" });
    expect(far.vectors).toEqual((await embed(house, texts)).vectors);
    expect(far.tokens).toBe(6);
    for (const model of ["keyless", "wrong"])
      expect(await refused(house, { texts, model })).toMatchObject({
        status: 503,
        detail: `The OpenAI-compatible server at ${other.url}/v1 refuses the api_key of its entry in embedd.models.`,
      });
    expect((await refused(house, { texts, model: "unknown" })).detail).toContain("answered 404: There is no");
  });

  test("a text that the provider refuses fails its own request only", async () => {
    const picky = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      async fetch(request) {
        const { input } = (await request.json()) as { input: string[] };
        await Bun.sleep(20);
        if (input.includes("bad"))
          return Response.json({ error: { message: `no: sk-secret ${input.length}` } }, { status: 400 });
        const data = input.map((_, index) => ({ index, embedding: [index + 1, 2] }));
        return Response.json({ data: data.reverse() });
      },
    });
    const house = await start(
      withModels({
        name: "picky",
        provider: "openai",
        url: `http://127.0.0.1:${picky.port}`,
        api_key: "sk-secret",
      }),
    );
    const ask = (...texts: string[]) => post(house, "/embed", { texts, model: "picky" });
    // Four calls are under way at most, so that what comes after them shares one.
    const asked = [..."abcd"].map((text) => ask(text));
    await Bun.sleep(10);
    const [good, bad, fine] = await Promise.all([ask("x", "y"), ask("z", "bad"), ask("w")]);
    expect((await Promise.all(asked)).map(({ status }) => status)).toEqual([200, 200, 200, 200]);
    expect([good?.status, bad?.status, fine?.status]).toEqual([200, 400, 200]);
    const { detail } = (await (bad as Response).json()) as { detail: string };
    expect(detail).toMatch(/answered 400: no: … [12]$/);
    await picky.stop(true);
  });

  test("an ONNX model without its files or its package tells what to do, and the rest goes on", async () => {
    const house = await start(withModels({ name: "bare", provider: "onnx", path: "nowhere/at-all" }));
    expect(await refused(house, { texts: ["a"], model: "bare" })).toMatchObject({
      status: 503,
      detail: expect.stringContaining("The ONNX model bare can't be used: its path must be a folder with"),
    });
    expect((await embed(house, ["a"])).dimension).toBe(256);
  });
});
