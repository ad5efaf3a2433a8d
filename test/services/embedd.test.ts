/** embedd at the wire: vectors of the built-in model, limits, matches, the list of models, the cache. */
import { expect, test } from "bun:test";
import { MODEL_DIMENSION, MODEL_NAME, StaticModel } from "../../src/services/embedd/static_model.ts";
import { dot, embed, post, refused } from "../support/embedd.ts";
import { inBothCompositions, type RunningHouse } from "../support/house.ts";

async function metric(house: RunningHouse, name: string): Promise<number> {
  const url = house.service_urls.embedd ?? house.url;
  const text = await (await fetch(`${url}/metrics`)).text();
  return Number(new RegExp(`^lakehouse_embedd_${name} (.*)$`, "m").exec(text)?.[1]);
}

inBothCompositions("embedd", (start) => {
  test("answers with the built-in model's vectors, in the order of the texts", async () => {
    const house = await start();
    const model = await StaticModel.load({ max_tokens: 512 });
    expect(model.dimension).toBe(MODEL_DIMENSION);
    const texts = ["a lake in the mountains", "", "Füße, 東京 and 👍", "a lake in the mountains"];
    const { vectors, ...rest } = await embed(house, texts);
    expect(rest).toEqual({
      model: MODEL_NAME,
      dimension: MODEL_DIMENSION,
      truncated: [],
      tokens: texts.reduce((sum, text) => sum + model.countTokens(text), 0),
      elapsed_ms: expect.any(Number),
    });
    expect(vectors.flat().map(Math.fround)).toEqual([...model.embed(texts)]);
  });

  test("base64 and numbers are the same vectors; fewer dimensions are the first, of unit length", async () => {
    const house = await start();
    const texts = ["one", "two words"];
    const numbers = await embed(house, texts);
    const coded = await embed(house, texts, { encoding_format: "base64" });
    const decoded = (coded.vectors as unknown as string[]).map(
      (it) => new Float32Array(Uint8Array.from(Buffer.from(it, "base64")).buffer),
    );
    expect(decoded.map((it) => [...it])).toEqual(numbers.vectors);
    const short = await embed(house, texts, { dimensions: 64 });
    expect(short.dimension).toBe(64);
    for (const [at, vector] of short.vectors.entries()) {
      expect(dot(vector, vector)).toBeCloseTo(1, 5);
      const first = numbers.vectors[at]?.slice(0, 64) as number[];
      expect(dot(vector, first) / Math.sqrt(dot(first, first))).toBeCloseTo(1, 5);
    }
  });

  test("many requests at once each get their own", async () => {
    const house = await start();
    const texts = Array.from({ length: 200 }, (_, at) => `note ${at} about subject ${at % 7}`);
    const whole = await embed(house, texts);
    const single = await Promise.all(texts.map((text) => embed(house, [text])));
    expect(single.map(({ vectors }) => vectors[0])).toEqual(whole.vectors);
  });

  test("a text too long is refused by its place, or cut and told", async () => {
    const house = await start({ LAKEHOUSE_EMBEDD_MAX_TEXT_BYTES: "20" });
    const texts = ["short", "ééééééééééé", "exactly twenty bytes"];
    expect(await refused(house, { texts })).toMatchObject({
      status: 400,
      code: "invalid",
      detail: "Text 1 has more than 20 bytes; shorten it, split it, or send truncate: true.",
      errors: [{ path: "/texts/1", message: "has more than 20 bytes" }],
    });
    const { vectors, truncated } = await embed(house, texts, { truncate: true });
    expect(truncated).toEqual([1]);
    expect(vectors[1]).toEqual((await embed(house, ["é".repeat(10)])).vectors[0]);
  });

  test("what can't be embedded is refused in words", async () => {
    const house = await start({ LAKEHOUSE_EMBEDD_MAX_TEXTS: "3" });
    const cases: [Record<string, unknown>, number, string | RegExp][] = [
      [{ texts: ["a", "b", "c", "d"] }, 400, "Send 1 to 3 texts at a time (got 4)."],
      [{ texts: [] }, 400, /texts must be a list, not empty/],
      [{ texts: ["a"], model: "gpt" }, 404, `There is no embedding model "gpt": there are ${MODEL_NAME}.`],
      [{ texts: ["a"], dimensions: 257 }, 400, `${MODEL_NAME} has 256 dimensions (dimensions: 257).`],
      [{ texts: [7] }, 400, /texts\/0 must be a text/],
      [{ texts: ["a"], colour: 1 }, 400, /colour is not known/],
    ];
    for (const [body, status, detail] of cases) {
      const problem = await refused(house, body);
      expect([body, problem.status]).toEqual([body, status]);
      if (typeof detail === "string") expect(problem.detail).toBe(detail);
      else expect(problem.detail).toMatch(detail);
    }
  });

  test("matches the words of a query with those of texts", async () => {
    const house = await start({ LAKEHOUSE_EMBEDD_MAX_TEXT_BYTES: "40" });
    const texts = ["her dog slept", "the price of copper", "x".repeat(50)];
    const response = await post(house, "/embed/match", { query: "puppy", texts, truncate: true });
    expect(response.status).toBe(200);
    const { scores, ...rest } = (await response.json()) as { scores: number[]; [member: string]: unknown };
    expect(rest).toEqual({
      model: MODEL_NAME,
      mean_tokens: expect.any(Number),
      truncated: [2],
      elapsed_ms: expect.any(Number),
    });
    expect(scores).toHaveLength(3);
    expect(scores[0]).toBeGreaterThan((scores[1] as number) + 0.2);
    const long = await refused(house, { query: "q".repeat(41), texts }, "/embed/match");
    expect(long).toMatchObject({ status: 400, errors: [{ path: "/query" }] });
    expect((await refused(house, { query: "q", texts }, "/embed/match")).errors?.[0]?.path).toBe("/texts/2");
  });

  test("lists the built-in model, whose dimension is known from the start", async () => {
    const house = await start();
    const answer = await (await fetch(`${house.url}/v1/embed/models`)).json();
    const built_in = {
      name: MODEL_NAME,
      provider: "built-in",
      dimension: 256,
      is_default: true,
      status: "ok",
    };
    expect(answer).toEqual({ models: [built_in], next_cursor: null });
  });

  test("a text known already is not embedded again", async () => {
    const house = await start();
    const first = await embed(house, ["once", "twice", "twice"]);
    const calls = await metric(house, "calls");
    expect(await embed(house, ["twice", "once"])).toMatchObject({
      vectors: [first.vectors[1], first.vectors[0]],
    });
    expect(await metric(house, "calls")).toBe(calls);
    expect([await metric(house, "cache_hits"), await metric(house, "cache_misses")]).toEqual([2, 2]);
    expect(await metric(house, "cache_hit_ratio")).toBe(0.5);
    const uncached = await start({ LAKEHOUSE_EMBEDD_CACHE_MIB: "0" });
    await embed(uncached, ["once"]);
    await embed(uncached, ["once"]);
    expect([await metric(uncached, "cache_hits"), await metric(uncached, "cache_bytes")]).toEqual([0, 0]);
  });
});
