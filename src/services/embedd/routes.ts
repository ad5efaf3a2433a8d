/** Paths of embedd. */
import { Elysia } from "elysia";
import { type Door, describe } from "../../shared/http.ts";
import {
  EmbeddingsAnswer,
  EmbeddingsBody,
  embeddings,
  Model,
  ModelParams,
  ModelsList,
  modelOf,
  modelsList,
} from "./openai.ts";
import { EmbedAnswer, EmbedBody, type Embedd, MatchAnswer, MatchBody, ModelsAnswer } from "./schema.ts";
import { vectorsAsJson } from "./wire.ts";

const service = "embedd";
const PROBLEMS = [400, 401, 403, 404, 413, 429, 500, 503, 504];

export function embeddRoutes(embedd: Embedd, door: Door) {
  return new Elysia({ normalize: false })
    .post(
      "/embed",
      async ({ body: { encoding_format = "float", ...body }, request }) => {
        const { vectors, ...rest } = await embedd.embed({ ...body, signal: request.signal });
        const written = await vectorsAsJson(vectors, encoding_format);
        return json(`${JSON.stringify(rest).slice(0, -1)},"vectors":[${written.join(",")}]}`);
      },
      {
        ...door.needs("embedd:read"),
        body: EmbedBody,
        detail: describe({
          service,
          summary: "Make vectors of texts",
          description:
            "One vector of unit length for each text, by the built-in model unless another is named. A text with no word that " +
            "the built-in model knows has the zero vector. Where the provider tells the tokens of a whole call only, they are " +
            "shared out by length.",
          example: { texts: ["a lake in the mountains", "how do I reset my password?"] },
          answers: {
            200: {
              description: "The vectors, in the order of the texts",
              schema: EmbedAnswer,
              example: {
                model: "lakehouse-static-en-v1",
                dimension: 4,
                truncated: [],
                tokens: 5,
                elapsed_ms: 0.4,
                vectors: [[0.5, -0.5, 0.5, 0.5]],
              },
            },
          },
          problems: PROBLEMS,
        }),
      },
    )
    .post("/embed/match", ({ body, request }) => embedd.match({ ...body, signal: request.signal }), {
      ...door.needs("embedd:read"),
      body: MatchBody,
      detail: describe({
        service,
        summary: "Match the words of a query with those of texts",
        description:
          "Each word of the query against its nearest word of each text (ColBERT's MaxSim over the built-in model's words): " +
          "it finds the one telling word that a vector of the whole text hides. For ranking some hundred candidates.",
        example: { query: "puppy", texts: ["her dog slept", "the price of copper"] },
        answers: {
          200: {
            description: "The scores, in the order of the texts",
            schema: MatchAnswer,
            example: {
              model: "lakehouse-static-en-v1",
              scores: [0.71, 0.18],
              mean_tokens: 3.5,
              truncated: [],
              elapsed_ms: 0.2,
            },
          },
        },
        problems: PROBLEMS,
      }),
    })
    .get("/embed/models", () => embedd.models(), {
      ...door.needs("embedd:read"),
      detail: describe({
        service,
        summary: "List the models",
        description: "The built-in model and those of the settings, with the state of their providers.",
        answers: {
          200: {
            description: "All of them",
            schema: ModelsAnswer,
            example: {
              models: [
                {
                  name: "lakehouse-static-en-v1",
                  provider: "built-in",
                  dimension: 256,
                  is_default: true,
                  status: "ok",
                },
              ],
              next_cursor: null,
            },
          },
        },
        problems: [401, 403],
      }),
    })
    .get("/models", () => modelsList(embedd), {
      ...door.needs("embedd:read"),
      detail: describe({
        service,
        summary: "List the models, as OpenAI's API does",
        description: "The models of GET /embed/models in OpenAI's shape, for its clients.",
        answers: {
          200: {
            description: "All of them",
            schema: ModelsList,
            example: {
              object: "list",
              data: [{ id: "lakehouse-static-en-v1", object: "model", created: 0, owned_by: "built-in" }],
            },
          },
        },
        problems: [401, 403],
      }),
    })
    .get("/models/:id", ({ params }) => modelOf(embedd, params.id), {
      ...door.needs("embedd:read"),
      params: ModelParams,
      detail: describe({
        service,
        summary: "Tell one model, as OpenAI's API does",
        description:
          "One of GET /models, by its name; a slash in it is written as %2F, as OpenAI's clients do.",
        answers: {
          200: {
            description: "The model",
            schema: Model,
            example: { id: "lakehouse-static-en-v1", object: "model", created: 0, owned_by: "built-in" },
          },
        },
        problems: [401, 403, 404],
      }),
    })
    .post(
      "/embeddings",
      // Checked by hand, to say of token ids why they are refused.
      async ({ body, request }) => json(await embeddings(embedd, body, request.signal)),
      {
        ...door.needs("embedd:read"),
        detail: {
          ...describe({
            service,
            summary: "Make vectors of texts, as OpenAI's API does",
            description:
              "OpenAI's embeddings, so that its clients work with this address as their base URL. A problem holds OpenAI's " +
              "`error` beside its own members.",
            answers: {
              200: {
                description: "The vectors, in the order of the texts",
                schema: EmbeddingsAnswer,
                example: {
                  object: "list",
                  data: [{ object: "embedding", index: 0, embedding: [0.5, -0.5, 0.5, 0.5] }],
                  model: "lakehouse-static-en-v1",
                  usage: { prompt_tokens: 5, total_tokens: 5 },
                },
              },
            },
            problems: PROBLEMS,
          }),
          requestBody: {
            required: true,
            content: {
              "application/json": {
                schema: EmbeddingsBody as object,
                example: { input: "a lake in the mountains" },
              },
            },
          },
        },
      },
    );
}

function json(text: string): Response {
  return new Response(text, { headers: { "content-type": "application/json" } });
}
