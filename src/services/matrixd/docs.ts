/** The documentation of matrixd's routes. */
import { describe } from "../../shared/http.ts";
import {
  CorpusPageSchema,
  CorpusSchema,
  DowngradeSchema,
  MAX_BULK,
  MatrixFoundSchema,
  OutcomeRecordedSchema,
  OutcomesPageSchema,
  PlaybookRecordedSchema,
  PlaybookSchema,
  PlaybooksPageSchema,
  PlaybooksRecordedSchema,
  RelevanceSchema,
} from "./schema.ts";

const service = "matrixd";
const CORPUS = {
  name: "articles",
  kind: "index",
  index: "articles",
  weight: 1,
  created_at: "2026-11-23T09:30:00.000Z",
  state: "ready",
  items: 3,
  model: "lakehouse-static-en-v1",
};

export const documentation = {
  register: describe({
    service,
    summary: "Register a corpus",
    description:
      "A name under which searches find what another service holds. Durable when this answers; the same definition again is answered with `existing: true`, another one under the same name is refused. The example takes the index that the example of POST /vectors/index makes.",
    example: { name: "articles", kind: "index", index: "articles" },
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
    description:
      "By name, with counts and state. A corpus whose service does not answer within matrixd.timeout_ms is `unavailable`, with `items` null.",
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
  refresh: describe({
    service,
    summary: "Read a corpus's table anew",
    description:
      "Of kind `table` only. Begins a job, which `freshness.refresh` tells of; searches go on meanwhile. Where the table has not changed, nothing is read.",
    answers: {
      202: {
        description: "Begun",
        schema: CorpusSchema,
        example: {
          name: "tickets",
          kind: "table",
          table: { name: "support.tickets", id: "id", text: "body" },
          weight: 1,
          created_at: "2026-11-23T09:30:00.000Z",
          state: "building",
          items: 1200,
          model: "lakehouse-static-en-v1",
          freshness: {
            snapshot_id: "5281923498234",
            at: "2026-11-23T09:31:00.000Z",
            current_snapshot_id: "8723498723498",
            is_behind: true,
            refresh: { job_id: "01a0e7c4-6a2e-7000-8a3b-0d7d2f6a9c11", status: "running", percent: 40 },
          },
        },
      },
    },
    problems: [400, 401, 403, 404, 409, 429, 502, 503],
  }),
  unregister: describe({
    service,
    summary: "Forget a corpus",
    description:
      "Searches don't find it any more when this answers; an index that was made for it goes, what it stands for stays.",
    answers: { 204: { description: "Forgotten" } },
    problems: [400, 401, 403, 404, 429, 503],
  }),
  search: describe({
    service,
    summary: "Search corpora at once",
    description:
      "The query is embedded once and asked of all corpora in parallel; what they find is merged, freed of near-duplicates and, where `budget_tokens` is given, cut to it by whole hits. Each hit tells where it comes from and its rank and score after each stage. A corpus that is slow or down is told in `warnings`, and the others answer within `timeout_ms`. The key needs matrixd:read, and the read scope of each service that holds a corpus.",
    example: { query: "winter weather", k: 5, budget_tokens: 2000 },
    answers: {
      200: {
        description: "Found",
        schema: MatrixFoundSchema,
        example: {
          results: [
            {
              corpus: "articles",
              id: "a1",
              score: 0.705881,
              text: "Snow in Oslo",
              metadata: { city: "Oslo" },
              provenance: {
                stages: [
                  { stage: "retrieved", rank: 1, score: 0.399488 },
                  { stage: "merged", rank: 1, score: 0.399488 },
                  { stage: "reranked", rank: 1, score: 0.705881 },
                ],
                ranks: { vector: 1 },
                cosine: 0.570698,
                tokens: 3,
              },
            },
          ],
          warnings: [],
          budget: { tokens: 3, left_out: [] },
          elapsed_ms: 4.2,
        },
      },
    },
    problems: [400, 401, 403, 404, 413, 429, 502, 503, 504],
  }),
};

const PLAYBOOK = {
  // Made of query and answer, so that the example of `retire` works after that of `record`.
  id: "f8c14bdafd0cbafebfaf18d1e93cbdd5",
  query: "where is it cold?",
  answer: { corpus: "articles", id: "a1" },
  tags: ["weather"],
  successes: 1,
  failures: 0,
  strength: 0.333333,
  created_at: "2026-11-23T09:30:00.000Z",
  updated_at: "2026-11-23T09:30:00.000Z",
  retired_at: null,
};
const TALLY = {
  successes: 41,
  total: 60,
  rate: 0.683333,
  interval: { low: 0.557, high: 0.7866 },
};
const LEAN = { successes: 55, total: 60, rate: 0.916667, interval: { low: 0.8193, high: 0.9639 } };
const WRITES = [400, 401, 403, 413, 429, 503];

export const judgements = {
  relevance: describe({
    service,
    summary: "Tell what is about the focus from what is merely near it",
    description:
      "Scores each chunk by its text, the names in it and the chunks like it, and by path, symbols and tags where both sides give them; deterministic, with no model but the embedding. Chunks are judged together: send all that a search found.",
    example: {
      focus: { text: "rotating the keys of the payment service", path: "payments/keys.md" },
      chunks: [
        {
          id: "a",
          text: "Keys of the payment service are rotated by `pay-keys rotate`.",
          path: "payments/ops.md",
        },
        { id: "b", text: "Keys of the mail service never expire.", path: "mail/ops.md" },
      ],
    },
    answers: {
      200: {
        description: "Judged",
        schema: RelevanceSchema,
        example: {
          chunks: [
            { id: "a", score: 0.93, components: { embedding: 0.81, words: 0.6, path: 0 }, keep: true },
            { id: "b", score: 0.08, components: { embedding: 0.57, words: 0.1, path: -1 }, keep: false },
          ],
          threshold: 0.24,
          elapsed_ms: 1,
        },
      },
    },
    problems: [400, 401, 403, 413, 429, 502, 503, 504],
  }),
  downgrade: describe({
    service,
    summary: "Ask whether a model is better off without the context",
    description:
      "The first rule of `matrixd.downgrade_rules` that fits says what to do until there are enough outcomes of both modes; then these decide, where their difference is clear. `force` keeps the mode, and is recorded.",
    example: { mode: "rich", model: "claude-opus-4", context: { tokens: 9000 } },
    answers: {
      200: {
        description: "Decided",
        schema: DowngradeSchema,
        example: {
          mode: "lean",
          downgraded: true,
          reason: "claude-opus-4 succeeds more often without the context than with it.",
          evidence: {
            basis: "evidence",
            rule: "claude-opus-*",
            with_context: TALLY,
            without_context: LEAN,
            gain: { low: 0.0927, high: 0.3691 },
            forced: 0,
          },
        },
      },
    },
    problems: WRITES,
  }),
  recordOutcome: describe({
    service,
    summary: "Record how a model ended in a mode",
    description:
      "Durable when this answers, and asked by the next downgrade. With an `id` it may be sent again: the first wins.",
    example: { model: "claude-opus-4", mode: "lean", success: true },
    answers: {
      200: {
        description: "Recorded",
        schema: OutcomeRecordedSchema,
        example: { model: "claude-opus-4", mode: "lean", ...LEAN, forced: 0 },
      },
    },
    problems: WRITES,
  }),
  outcomes: describe({
    service,
    summary: "List success rates by model and mode",
    description: "Over the newest `matrixd.outcome_window` outcomes of each.",
    answers: {
      200: {
        description: "A page",
        schema: OutcomesPageSchema,
        example: {
          outcomes: [{ model: "claude-opus-4", mode: "lean", ...LEAN, forced: 0 }],
          next_cursor: null,
        },
      },
    },
    problems: [400, 401, 403],
  }),
  recordPlaybook: describe({
    service,
    summary: "Record what answered a query, or did not",
    description:
      "Durable when this answers, and known to the next search: of queries near this one the answer is boosted, and brought in where it was not found. As many failures as successes silence it. The same query and answer add to one playbook.",
    example: { query: PLAYBOOK.query, answer: PLAYBOOK.answer, tags: PLAYBOOK.tags, outcome: "success" },
    answers: { 200: { description: "The playbook now", schema: PlaybookRecordedSchema, example: PLAYBOOK } },
    problems: [...WRITES, 409],
  }),
  recordPlaybooks: describe({
    service,
    summary: "Record many playbooks",
    description: `At most ${MAX_BULK}. A fault in one refuses all, by its place.`,
    example: { playbooks: [{ query: PLAYBOOK.query, answer: PLAYBOOK.answer }] },
    answers: {
      200: {
        description: "Recorded",
        schema: PlaybooksRecordedSchema,
        example: { accepted: 1, duplicates: 0 },
      },
    },
    problems: WRITES,
  }),
  playbooks: describe({
    service,
    summary: "List the playbooks",
    description: "In the order in which they were first recorded.",
    answers: {
      200: {
        description: "A page",
        schema: PlaybooksPageSchema,
        example: { playbooks: [PLAYBOOK], next_cursor: null },
      },
    },
    problems: [400, 401, 403],
  }),
  retirePlaybook: describe({
    service,
    summary: "Retire a playbook",
    description:
      "Durable when this answers; it is listed still, and counts in no search any more. The example's `id` is the one that the example of `record` makes.",
    example: { id: PLAYBOOK.id, reason: "it has melted" },
    answers: {
      200: {
        description: "Retired",
        schema: PlaybookSchema,
        example: {
          ...PLAYBOOK,
          strength: 0,
          updated_at: "2026-11-24T10:00:00.000Z",
          retired_at: "2026-11-24T10:00:00.000Z",
          retired_reason: "it has melted",
        },
      },
    },
    problems: [...WRITES, 404, 409],
  }),
};
