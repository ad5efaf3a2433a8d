/** Wire shapes of searches over many corpora. */
import { type Static, t } from "elysia";
import { oneOf } from "../../shared/one_of.ts";
import type { Filter } from "../vectord/schema.ts";
import { CorpusName } from "./corpora_schema.ts";
import { FocusSchema } from "./judgement_schema.ts";

export const DEFAULT_K = 10;
export const MAX_K = 1000;
/** Corpora that one search may name. */
const MAX_NAMED = 256;
const MAX_QUERY_CHARS = 10_000;
const MAX_CLAUSES = 64;
const MAX_TIMEOUT_MS = 3_600_000;

/** What lies within is judged by the service that holds the corpus. */
const Clauses = (description: string) =>
  t.Optional(t.Array(t.Unknown(), { maxItems: MAX_CLAUSES, description }));
const FilterBody = t.Object(
  {
    must: Clauses("all of them hold"),
    should: Clauses("at least one of them holds"),
    must_not: Clauses("none of them holds"),
  },
  { additionalProperties: false, description: "on the metadata, in every corpus: docs/vectors.md" },
);

export const MatrixSearchBody = t.Object(
  {
    query: t.String({
      minLength: 1,
      maxLength: MAX_QUERY_CHARS,
      pattern: "\\S",
      description: "what is looked for, in words",
    }),
    corpora: t.Optional(
      t.Array(CorpusName, {
        minItems: 1,
        maxItems: MAX_NAMED,
        uniqueItems: true,
        description: "where it is looked for; in all of them by default",
      }),
    ),
    k: t.Optional(
      t.Integer({ minimum: 1, maximum: MAX_K, description: `hits wanted; ${DEFAULT_K} by default` }),
    ),
    per_corpus_k: t.Optional(
      t.Integer({
        minimum: 1,
        maximum: MAX_K,
        description: "hits taken of each corpus before they are merged; 50, or k, by default",
      }),
    ),
    filter: t.Optional(FilterBody),
    relevance: t.Optional(
      t.Object(
        {
          focus: t.Optional(FocusSchema),
          threshold: t.Optional(t.Number({ minimum: 0, maximum: 1 })),
        },
        {
          additionalProperties: false,
          description:
            "drop hits that are merely near the focus, as /matrix/relevance does; the focus is the query by default. Not asked, nothing is dropped",
        },
      ),
    ),
    playbooks: t.Optional(
      t.Boolean({ description: "let playbooks of near queries raise and bring in hits; true by default" }),
    ),
    rerank: t.Optional(
      t.Boolean({
        description:
          "order the merged hits by soft matches of single words, too: finds better, in more time; true by default",
      }),
    ),
    budget_tokens: t.Optional(
      t.Integer({
        minimum: 1,
        maximum: 10_000_000,
        description: "tokens that the hits' texts may have together, counted as UTF-8 bytes / 4, rounded up",
      }),
    ),
    explain: t.Optional(t.Boolean({ description: "tell each stage, and what it dropped; false by default" })),
    timeout_ms: t.Optional(
      t.Integer({
        minimum: 1,
        maximum: MAX_TIMEOUT_MS,
        description:
          "when the answer is wanted, with or without the slow; matrixd.timeout_ms at most, and by default",
      }),
    ),
  },
  { additionalProperties: false },
);
export type MatrixQuery = Omit<Static<typeof MatrixSearchBody>, "filter"> & { filter?: Filter };

export const STAGES = ["retrieved", "merged", "boosted", "reranked", "judged"] as const;
export type Stage = (typeof STAGES)[number];
const StageSchema = t.Object({
  stage: oneOf(STAGES, "what gave it this place"),
  rank: t.Integer({ description: "from 1; of `retrieved`, within its corpus" }),
  score: t.Number({ description: "higher is better, within one stage" }),
});

const Side = (description: string) => t.Optional(t.Integer({ description }));
export const ProvenanceSchema = t.Object({
  stages: t.Array(StageSchema, { description: "its place after each stage, in their order" }),
  ranks: t.Optional(
    t.Object(
      { bm25: Side("its rank by words"), vector: Side("its rank by vector") },
      { description: "within its corpus, from 1; a side that did not find it is absent" },
    ),
  ),
  cosine: t.Optional(t.Number({ description: "of its vector and the query's" })),
  duplicates: t.Optional(
    t.Array(
      t.Object({
        corpus: t.String(),
        id: t.String(),
        similarity: t.Number({ description: "the share of their word shingles that both have" }),
      }),
      { description: "near-duplicates in other corpora, which this hit stands for" },
    ),
  ),
  playbooks: t.Optional(
    t.Object(
      {
        ids: t.Array(t.String(), { description: "those that speak for it, the nearest first" }),
        boost: t.Number({ description: "what they added to its score" }),
      },
      { description: "a hit without a stage `retrieved` was brought in by them" },
    ),
  ),
  relevance: t.Optional(t.Number({ description: "where relevance was asked: its score, in [0, 1]" })),
  tokens: t.Integer({ description: "what its text takes of budget_tokens" }),
});
export type Provenance = Static<typeof ProvenanceSchema>;

export const MatrixHitSchema = t.Object({
  corpus: t.String(),
  id: t.String(),
  score: t.Number({ description: "of the last stage; higher is better" }),
  text: t.Nullable(t.String()),
  metadata: t.Nullable(t.Record(t.String(), t.Unknown())),
  provenance: ProvenanceSchema,
});
export type MatrixHit = Static<typeof MatrixHitSchema>;

export const WarningSchema = t.Object({
  corpus: t.String(),
  code: t.String({ description: "as of a problem: deadline, not_found, unavailable, forbidden…" }),
  message: t.String(),
});
export type Warning = Static<typeof WarningSchema>;

export const ExplanationSchema = t.Object({
  corpora: t.Array(
    t.Object({
      corpus: t.String(),
      hits: t.Integer({ description: "taken of it" }),
      weight: t.Number(),
      elapsed_ms: t.Number(),
    }),
  ),
  stages: t.Array(
    t.Object({
      stage: t.String(),
      hits: t.Integer({ description: "left after it" }),
      elapsed_ms: t.Number(),
    }),
  ),
});
export type Explanation = Static<typeof ExplanationSchema>;

const LeftOut = t.Object({ corpus: t.String(), id: t.String(), tokens: t.Integer() });
export const MatrixFoundSchema = t.Object({
  results: t.Array(MatrixHitSchema, { description: "best first" }),
  warnings: t.Array(WarningSchema, { description: "corpora that gave nothing, and why" }),
  budget: t.Optional(
    t.Object(
      {
        tokens: t.Integer({ description: "of the hits told" }),
        left_out: t.Array(LeftOut, { description: "hits among the first k that did not fit, best first" }),
      },
      { description: "where budget_tokens was given" },
    ),
  ),
  explain: t.Optional(ExplanationSchema),
  elapsed_ms: t.Number(),
});
export type MatrixFound = Static<typeof MatrixFoundSchema>;
