/** Searches as they are sent and answered. */
import { type Static, t } from "elysia";
import type { Filter } from "../vectord/schema.ts";
import { Kind, Scope, Subject, Tags, Time, TraceSchema } from "./trace_schema.ts";

export const MAX_K = 200;
export const DEFAULT_K = 10;
export const MAX_QUERY_CHARS = 10_000;
const MAX_FILTER_CLAUSES = 64;

const Clauses = t.Optional(t.Array(t.Unknown(), { maxItems: MAX_FILTER_CLAUSES }));
const WHICH = {
  tags: t.Optional(Tags("all of them")),
  kind: t.Optional(Kind),
  subject: t.Optional(Subject),
  scope: t.Optional(Scope),
  filter: t.Optional(
    t.Object(
      { must: Clauses, should: Clauses, must_not: Clauses },
      {
        additionalProperties: false,
        description:
          "as vectord's, on uid, kind, tags, subject, source, version, scope.<label>, and valid_from, valid_to, expires, known_from (ms since 1970)",
      },
    ),
  ),
  as_of: t.Optional(Time("what was valid and known then; now by default")),
  include_retired: t.Optional(t.Boolean({ description: "false by default" })),
  include_superseded: t.Optional(t.Boolean({ description: "false by default" })),
};
export const CountBody = t.Object(WHICH, { additionalProperties: false });
export type CountQuery = Omit<Static<typeof CountBody>, "filter"> & { filter?: Filter };

export const SearchBody = t.Object(
  {
    query: t.Optional(
      t.String({
        minLength: 1,
        maxLength: MAX_QUERY_CHARS,
        pattern: "\\S",
        description: "absent: newest first",
      }),
    ),
    k: t.Optional(t.Integer({ minimum: 1, maximum: MAX_K, description: `${DEFAULT_K} by default` })),
    ...WHICH,
    exact: t.Optional(t.Boolean({ description: "compare the query with every trace; false by default" })),
    explain: t.Optional(
      t.Boolean({ description: "tell what each hit's score is made of; false by default" }),
    ),
  },
  { additionalProperties: false },
);
export type SearchQuery = Omit<Static<typeof SearchBody>, "filter"> & { filter?: Filter };

const Factor = t.Object({ factor: t.Number(), value: t.Number() });
const Side = (what: string) =>
  t.Object(
    { rank: t.Optional(t.Integer({ description: "absent where it did not find it" })), score: t.Number() },
    { description: what },
  );
const Part = (what: string) => t.Number({ description: what });
export const ExplainSchema = t.Object(
  {
    relevance: t.Object({ rank: t.Integer(), score: t.Number() }, { description: "what the factors change" }),
    hybrid: t.Object({ rank: t.Integer(), score: t.Number() }, { description: "of words and meaning" }),
    bm25: Side("of words"),
    vector: Side("of meaning, the cosine"),
    soft: Side("of each word and its nearest one"),
    neighbours: Part("what traces of the same scope that came just before and after lend"),
    asks: Part("for what asks rather than tells"),
    subject: Part("where the query names the subject"),
    recency: Factor,
    outcome: Factor,
    replay: Factor,
  },
  { description: "relevance = hybrid + neighbours + asks + subject; score = relevance × the factors" },
);
export type Explain = Static<typeof ExplainSchema>;
export const FoundSchema = t.Object({
  results: t.Array(
    t.Object({ uid: t.String(), score: t.Number(), trace: TraceSchema, explain: t.Optional(ExplainSchema) }),
    { description: "best first; newest first where there is no query" },
  ),
  unindexed: t.Optional(
    t.Integer({
      description: "versions that this search could not look at yet; absent where there are none",
    }),
  ),
  elapsed_ms: t.Number(),
});
export type Found = Static<typeof FoundSchema>;
export type FoundTrace = Found["results"][number];
