/** The documentation of matrixd's routes. */
import { describe } from "../../shared/http.ts";
import { CorpusPageSchema, CorpusSchema, MatrixFoundSchema } from "./schema.ts";

const service = "matrixd";
const CORPUS = {
  name: "handbook",
  kind: "index",
  index: "handbook",
  weight: 1,
  created_at: "2026-11-23T09:30:00.000Z",
  state: "ready",
  items: 412,
  model: "lakehouse-static-en-v1",
};

export const documentation = {
  register: describe({
    service,
    summary: "Register a corpus",
    description:
      "A name under which searches find what another service holds. Durable when this answers; the same definition again is answered with `existing: true`, another one under the same name is refused.",
    example: { name: "handbook", kind: "index", index: "handbook" },
    answers: {
      201: { description: "Registered", schema: CorpusSchema, example: CORPUS },
      200: {
        description: "It was registered before, just like this",
        schema: CorpusSchema,
        example: { ...CORPUS, existing: true },
      },
    },
    problems: [400, 401, 403, 404, 409, 413, 429, 502, 503],
  }),
  corpora: describe({
    service,
    summary: "List the corpora",
    description: "By name, with counts and state.",
    answers: {
      200: {
        description: "A page",
        schema: CorpusPageSchema,
        example: { corpora: [CORPUS], next_cursor: null },
      },
    },
    problems: [400, 401, 403, 503],
  }),
  corpus: describe({
    service,
    summary: "Tell a corpus's state",
    description: "Its definition, how much is in it, and whether it can be searched.",
    answers: { 200: { description: "The corpus", schema: CorpusSchema, example: CORPUS } },
    problems: [400, 401, 403, 404, 503],
  }),
  unregister: describe({
    service,
    summary: "Forget a corpus",
    description: "Searches don't find it any more when this answers; what it stands for stays.",
    answers: { 204: { description: "Forgotten" } },
    problems: [400, 401, 403, 404, 429, 503],
  }),
  search: describe({
    service,
    summary: "Search corpora at once",
    description:
      "The query is embedded once and asked of all corpora in parallel; what they find is merged, freed of near-duplicates and, where `budget_tokens` is given, cut to it by whole hits. Each hit tells where it comes from and its rank and score after each stage. A corpus that is slow or down is told in `warnings`, and the others answer within `timeout_ms`. The key needs matrixd:read, and the read scope of each service that holds a corpus.",
    example: { query: "how many days of leave do I have?", k: 5, budget_tokens: 2000 },
    answers: {
      200: {
        description: "Found",
        schema: MatrixFoundSchema,
        example: {
          results: [
            {
              corpus: "handbook",
              id: "leave-1",
              score: 1.31,
              text: "Each employee has 30 days of leave a year.",
              metadata: { chapter: "Leave" },
              provenance: {
                stages: [
                  { stage: "retrieved", rank: 1, score: 0.81 },
                  { stage: "merged", rank: 1, score: 0.81 },
                  { stage: "reranked", rank: 1, score: 1.31 },
                ],
                ranks: { bm25: 1, vector: 1 },
                cosine: 0.73,
                tokens: 11,
              },
            },
          ],
          warnings: [],
          budget: { tokens: 11, left_out: [] },
          elapsed_ms: 4.2,
        },
      },
    },
    problems: [400, 401, 403, 404, 413, 429, 502, 503, 504],
  }),
};
