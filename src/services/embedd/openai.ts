/** OpenAI's /embeddings on the wire: its bodies checked, its answers and its errors worded as its clients expect. */
import { Value } from "@sinclair/typebox/value";
import { type Static, t } from "elysia";
import { LakeError } from "../../shared/errors.ts";
import { faultsIn, mostTelling } from "../../shared/faults.ts";
import type { Embedd, Embedded, ModelInfo } from "./schema.ts";
import { vectorsAsJson } from "./wire.ts";

export const EmbeddingsBody = t.Object(
  {
    input: t.Union([t.String(), t.Array(t.String(), { minItems: 1 })], {
      description: "One text, or many. Arrays of token ids are refused: each model has tokens of its own.",
    }),
    model: t.Optional(t.String({ minLength: 1, description: "One of GET /v1/embed/models" })),
    encoding_format: t.Optional(t.Union([t.Literal("float"), t.Literal("base64")])),
    dimensions: t.Optional(
      t.Integer({
        minimum: 1,
        description: "The first so many of each vector, brought to unit length again",
      }),
    ),
    user: t.Optional(t.String({ description: "Taken, and not used" })),
  },
  { additionalProperties: false },
);

export type EmbeddingsBody = Static<typeof EmbeddingsBody>;

export const Model = t.Object({
  id: t.String({ description: "its name" }),
  object: t.Literal("model"),
  created: t.Integer({ description: "always 0: a model's age is not known here" }),
  owned_by: t.String({ description: "its provider" }),
});
export const ModelParams = t.Object({
  id: t.String({ description: "a model's name", examples: ["lakehouse-static-en-v1"] }),
});

export const ModelsList = t.Object({ object: t.Literal("list"), data: t.Array(Model) });

/** The models in OpenAI's shape. */
export async function modelsList(embedd: Embedd): Promise<Static<typeof ModelsList>> {
  const { models } = await embedd.models();
  return { object: "list", data: models.map(asOpenAi) };
}

/** One of them. @throws LakeError not_found */
export async function modelOf(embedd: Embedd, id: string): Promise<Static<typeof Model>> {
  const { models } = await embedd.models();
  const model = models.find(({ name }) => name === id);
  if (model) return asOpenAi(model);
  const names = models.map(({ name }) => name);
  throw new LakeError(
    "not_found",
    `There is no embedding model ${JSON.stringify(id)}: there are ${names.join(", ")}.`,
  );
}

function asOpenAi({ name, provider }: ModelInfo): Static<typeof Model> {
  return { id: name, object: "model", created: 0, owned_by: provider };
}

export const EmbeddingsAnswer = t.Object({
  object: t.Literal("list"),
  data: t.Array(
    t.Object({
      object: t.Literal("embedding"),
      index: t.Integer(),
      embedding: t.Union([t.Array(t.Number()), t.String()]),
    }),
  ),
  model: t.String(),
  usage: t.Object({ prompt_tokens: t.Integer(), total_tokens: t.Integer() }),
});

/** Answers one body with the JSON text of `EmbeddingsAnswer`. @throws LakeError invalid, or embedd's */
export async function embeddings(embedd: Embedd, given: unknown, signal: AbortSignal): Promise<string> {
  const { input, model, dimensions, encoding_format = "float" } = checked(given);
  const texts = typeof input === "string" ? [input] : input;
  return written(await embedd.embed({ texts, model, dimensions, signal }), encoding_format);
}

function checked(given: unknown): EmbeddingsBody {
  if (Value.Check(EmbeddingsBody, given)) return given;
  const input = (given as { input?: unknown } | null | undefined)?.input;
  const first = Array.isArray(input) ? input[0] : undefined;
  if (typeof first === "number" || Array.isArray(first))
    throw refusal("/input", "holds token ids, and each model has tokens of its own; send texts");
  const errors = faultsIn(EmbeddingsBody, given);
  if (errors[0]?.path.startsWith("/input")) throw refusal("/input", "must be a text or a list of texts");
  throw new LakeError("invalid", `The request is not valid: ${mostTelling(errors)}`, { errors });
}

function refusal(path: string, message: string): LakeError {
  return new LakeError("invalid", `The request is not valid: ${path} ${message}.`, {
    errors: [{ path, message }],
  });
}

async function written(
  { model, vectors, tokens }: Embedded,
  encoding_format: "float" | "base64",
): Promise<string> {
  const data = (await vectorsAsJson(vectors, encoding_format)).map(
    (embedding, index) => `{"object":"embedding","index":${index},"embedding":${embedding}}`,
  );
  const usage = `{"prompt_tokens":${tokens},"total_tokens":${tokens}}`;
  return `{"object":"list","data":[${data.join(",")}],"model":${JSON.stringify(model)},"usage":${usage}}`;
}
