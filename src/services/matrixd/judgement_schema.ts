/** Wire shapes of what is judged rather than found: relevance, the downgrade gate, playbooks. */
import { type Static, t } from "elysia";

const MAX_CHUNKS = 1000;
const MAX_NAMES = 256;
const MAX_TAGS = 64;
const Name = (description: string) => t.String({ minLength: 1, maxLength: 512, description });
const Tags = t.Optional(
  t.Array(t.String({ minLength: 1, maxLength: 128 }), { maxItems: MAX_TAGS, uniqueItems: true }),
);
const Path = t.Optional(Name("where it stands, as segments: src/auth/session.ts"));
const Symbols = t.Optional(
  t.Array(t.String({ minLength: 1, maxLength: 256 }), {
    maxItems: MAX_NAMES,
    description: "names it defines or speaks of",
  }),
);

export const RelevanceBody = t.Object(
  {
    focus: t.Object(
      {
        text: t.String({ minLength: 1, maxLength: 100_000, description: "what one works on, or asks" }),
        path: Path,
        symbols: Symbols,
        tags: Tags,
      },
      { additionalProperties: false },
    ),
    chunks: t.Array(
      t.Object(
        {
          id: Name("yours, told again in the answer"),
          text: t.String({ maxLength: 100_000 }),
          path: Path,
          symbols: Symbols,
          tags: Tags,
          source: t.Optional(Name("its kind: code, docs, chat…")),
        },
        { additionalProperties: false },
      ),
      { minItems: 1, maxItems: MAX_CHUNKS },
    ),
    threshold: t.Optional(
      t.Number({ minimum: 0, maximum: 1, description: "the score from which a chunk is kept" }),
    ),
  },
  { additionalProperties: false },
);
export type RelevanceRequest = Static<typeof RelevanceBody>;

export const RelevanceSchema = t.Object({
  chunks: t.Array(
    t.Object({
      id: t.String(),
      score: t.Number({ description: "in [0, 1]" }),
      components: t.Record(t.String(), t.Number(), { description: "what the score is made of" }),
      keep: t.Boolean(),
    }),
    { description: "in the order sent" },
  ),
  threshold: t.Number(),
  elapsed_ms: t.Number(),
});
export type Relevance = Static<typeof RelevanceSchema>;

export const DowngradeBody = t.Object(
  {
    mode: Name("the mode wanted"),
    model: Name("the model that will run"),
    context: t.Optional(
      t.Object(
        {
          tokens: t.Optional(t.Integer({ minimum: 0, description: "of the retrieved context" })),
          hits: t.Optional(t.Integer({ minimum: 0 })),
        },
        { additionalProperties: false, description: "the context that the mode would bring" },
      ),
    ),
    force: t.Optional(t.Boolean({ description: "keep the mode whatever the gate says; it is recorded" })),
  },
  { additionalProperties: false },
);
export type DowngradeRequest = Static<typeof DowngradeBody>;

const Outcomes = t.Object({
  successes: t.Integer(),
  total: t.Integer(),
  rate: t.Nullable(t.Number()),
  interval: t.Nullable(t.Tuple([t.Number(), t.Number()], { description: "95 %, Wilson's" })),
});
export const DowngradeSchema = t.Object({
  mode: t.String({ description: "the mode to run" }),
  downgraded: t.Boolean(),
  reason: t.String(),
  evidence: t.Object({
    rule: t.Nullable(t.String({ description: "the rule of the config that fits" })),
    with_context: t.Optional(Outcomes),
    without_context: t.Optional(Outcomes),
  }),
});
export type Downgrade = Static<typeof DowngradeSchema>;

export const OUTCOMES = ["success", "failure"] as const;
const Outcome = t.Unsafe<(typeof OUTCOMES)[number]>(
  t.String({ pattern: `^(${OUTCOMES.join("|")})$`, enum: OUTCOMES, description: "how it ended" }),
);
export const PlaybookBody = t.Object(
  {
    query: t.String({ minLength: 1, maxLength: 10_000, pattern: "\\S", description: "what was looked for" }),
    answer: t.Object(
      { corpus: Name("a corpus"), id: Name("the hit that answered it") },
      { additionalProperties: false },
    ),
    score: t.Optional(t.Number({ minimum: 0, maximum: 1, description: "how well; 1 by default" })),
    tags: Tags,
    outcome: t.Optional(Outcome),
  },
  { additionalProperties: false },
);
export type PlaybookRecord = Static<typeof PlaybookBody>;

export const PlaybookSchema = t.Object({
  id: t.String(),
  query: t.String(),
  answer: t.Object({ corpus: t.String(), id: t.String() }),
  score: t.Number(),
  tags: t.Array(t.String()),
  successes: t.Integer(),
  failures: t.Integer(),
  created_at: t.String(),
  retired_at: t.Nullable(t.String()),
});
export type Playbook = Static<typeof PlaybookSchema>;
