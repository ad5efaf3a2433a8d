/** OpenAI's official client against the gateway: only its base URL and its key are changed. */
import { expect, test } from "bun:test";
import OpenAI, { APIError, BadRequestError, NotFoundError } from "openai";
import { MODEL_NAME } from "../../src/services/embedd/static_model.ts";
import { createKey } from "../../src/shared/keys.ts";
import { embed, refused } from "../support/embedd.ts";
import { inBothCompositions } from "../support/house.ts";

const client = (house: { url: string }, apiKey = "any") =>
  new OpenAI({ baseURL: `${house.url}/v1`, apiKey, maxRetries: 0 });

/** What a call is refused with. @throws Error where it is answered */
async function refusalOf(call: Promise<unknown>): Promise<APIError> {
  const error = await call.then(
    () => undefined,
    (it: unknown) => it,
  );
  if (!(error instanceof APIError)) throw new Error(`not refused by the API: ${error}`);
  return error;
}

inBothCompositions("OpenAI's client", (start) => {
  test("embeds a text and an array, as numbers and as base64, with fewer dimensions and usage", async () => {
    const house = await start();
    const { embeddings } = client(house);
    const texts = ["a lake in the mountains", "how do I reset my password?"];
    const { vectors, tokens } = await embed(house, texts);

    const many = await embeddings.create({ model: MODEL_NAME, input: texts });
    expect(many).toMatchObject({
      object: "list",
      model: MODEL_NAME,
      usage: { prompt_tokens: tokens, total_tokens: tokens },
    });
    expect(many.data.map(({ index, object }) => [index, object])).toEqual([
      [0, "embedding"],
      [1, "embedding"],
    ]);
    expect(many.data.map(({ embedding }) => [...embedding])).toEqual(vectors);

    const one = await embeddings.create({
      model: MODEL_NAME,
      input: texts[0] as string,
      encoding_format: "float",
      user: "someone",
    });
    expect(one.data[0]?.embedding).toEqual(vectors[0] as number[]);
    const coded = await embeddings.create({ model: MODEL_NAME, input: texts, encoding_format: "base64" });
    expect(typeof coded.data[0]?.embedding).toBe("string");
    const short = await embeddings.create({ model: MODEL_NAME, input: texts, dimensions: 32 });
    expect(short.data.map(({ embedding }) => embedding.length)).toEqual([32, 32]);
  });

  test("shows what was wrong, in its own words for it", async () => {
    const house = await start();
    const { embeddings } = client(house);
    const tokens = await refusalOf(embeddings.create({ model: MODEL_NAME, input: [1, 2, 3] }));
    expect(tokens).toBeInstanceOf(BadRequestError);
    expect(tokens).toMatchObject({
      message: expect.stringContaining("400 The request is not valid: /input holds token ids"),
      type: "invalid_request_error",
      param: "input",
      code: "invalid",
      requestID: expect.any(String),
    });
    const batches = await refusalOf(embeddings.create({ model: MODEL_NAME, input: [[1], [2]] }));
    expect(batches.param).toBe("input");
    const unknown = await refusalOf(embeddings.create({ model: "text-embedding-9", input: "x" }));
    expect(unknown).toBeInstanceOf(NotFoundError);
    expect(unknown).toMatchObject({ param: "model", code: "model_not_found" });
    const wide = await refusalOf(embeddings.create({ model: MODEL_NAME, input: "x", dimensions: 1000 }));
    expect(wide).toMatchObject({ status: 400, param: "dimensions" });
    const long = await refusalOf(embeddings.create({ model: MODEL_NAME, input: ["x", "y".repeat(40_000)] }));
    expect(long).toMatchObject({ status: 400, param: "input" });
    const problem = await refused(house, { input: "x", model: MODEL_NAME, colour: 1 }, "/embeddings");
    expect(problem).toMatchObject({ status: 400, code: "invalid", errors: [{ path: "/colour" }] });
  });

  test("sends its key as it does to OpenAI", async () => {
    const { key, sha256 } = createKey("bot");
    const house = await start({
      LAKEHOUSE_KEYS: JSON.stringify([{ name: "bot", sha256, scopes: ["embedd:read"] }]),
    });
    const answer = await client(house, key).embeddings.create({ model: MODEL_NAME, input: "x" });
    expect(answer.data).toHaveLength(1);
    const stranger = await refusalOf(client(house).embeddings.create({ model: MODEL_NAME, input: "x" }));
    expect(stranger).toMatchObject({
      status: 401,
      message: "401 The key is not known here.",
      type: "invalid_request_error",
      code: "invalid_api_key",
    });
  });

  test("is told which scope its key lacks", async () => {
    const { key, sha256 } = createKey("bot");
    const house = await start({
      LAKEHOUSE_KEYS: JSON.stringify([{ name: "bot", sha256, scopes: ["queryd:read"] }]),
    });
    const { embeddings, models } = client(house, key);
    const message = '403 The key "bot" lacks the scope embedd:read.';
    const calls = [
      () => embeddings.create({ model: MODEL_NAME, input: "x" }),
      () => models.list().then(String),
      () => models.retrieve(MODEL_NAME).then(String),
    ];
    for (const call of calls)
      expect(await refusalOf(call())).toMatchObject({ status: 403, message, code: "forbidden" });
  });

  test("lists the models, and tells one of them", async () => {
    const name = "library/words:latest@2";
    const models = [{ name, provider: "openai", url: "http://127.0.0.1:9/v1" }];
    const openai = client(await start({ LAKEHOUSE_EMBEDD_MODELS: JSON.stringify(models) }));
    const listed = [];
    for await (const model of openai.models.list()) listed.push(model);
    const built_in = { id: MODEL_NAME, object: "model", created: 0, owned_by: "built-in" } as const;
    expect(listed).toEqual([built_in, { ...built_in, id: name, owned_by: "openai" }]);
    for (const model of listed) expect(await openai.models.retrieve(model.id)).toEqual(model);
    const unknown = await refusalOf(openai.models.retrieve("text-embedding-9"));
    expect(unknown).toBeInstanceOf(NotFoundError);
    expect(unknown).toMatchObject({
      param: "model",
      code: "model_not_found",
      message: expect.stringContaining(MODEL_NAME),
    });
  });
});
