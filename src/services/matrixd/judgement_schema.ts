/** Wire shapes of what is judged rather than found: relevance, the downgrade gate, playbooks. */
import { type Static, t } from "elysia";

const MAX_CHUNKS = 1000;
const MAX_TEXT_CHARS = 100_000;
const MAX_NAMES = 256;
const MAX_TAGS = 64;
export const MAX_BULK = 1000;
const PAGE_LIMIT_MAX = 1000;
const MAX_CURSOR_CHARS = 1024;

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
const Limit = t.Optional(t.Integer({ minimum: 1, maximum: PAGE_LIMIT_MAX, description: "100 by default" }));
const Cursor = t.Optional(
  t.String({ maxLength: MAX_CURSOR_CHARS, description: "next_cursor of the page before" }),
);

export const FocusSchema = t.Object(
  {
    text: t.String({
      minLength: 1,
      maxLength: MAX_TEXT_CHARS,
      pattern: "\\S",
      description: "what one works on, or asks",
    }),
    path: Path,
    symbols: Symbols,
    tags: Tags,
  },
  { additionalProperties: false },
);
export type Focus = Static<typeof FocusSchema>;
const ChunkSchema = t.Object(
  {
    id: Name("yours, told again in the answer"),
    text: t.String({ maxLength: MAX_TEXT_CHARS }),
    path: Path,
    symbols: Symbols,
    tags: Tags,
  },
  { additionalProperties: false },
);
export type RelevanceChunk = Static<typeof ChunkSchema>;
export const RelevanceBody = t.Object(
  {
    focus: FocusSchema,
    chunks: t.Array(ChunkSchema, {
      minItems: 1,
      maxItems: MAX_CHUNKS,
      description: "judged together: what is rare, and what is like what, depends on all of them",
    }),
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
      components: t.Record(t.String(), t.Number(), {
        description: "what the score is made of: docs/retrieval.md",
      }),
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
        { tokens: t.Optional(t.Integer({ minimum: 0, description: "of the retrieved context" })) },
        { additionalProperties: false, description: "the context that the mode would bring" },
      ),
    ),
    force: t.Optional(t.Boolean({ description: "keep the mode whatever the gate says; it is recorded" })),
  },
  { additionalProperties: false },
);
export type DowngradeRequest = Static<typeof DowngradeBody>;

const Tally = {
  successes: t.Integer(),
  total: t.Integer({ description: "of the newest outcomes" }),
  rate: t.Nullable(t.Number()),
  interval: t.Nullable(t.Object({ low: t.Number(), high: t.Number() }, { description: "Wilson's, of 95 %" })),
};
const TallySchema = t.Object(Tally);
export type Tally = Static<typeof TallySchema>;
export const BASES = ["forced", "no_rule", "rule", "evidence"] as const;
export const DowngradeSchema = t.Object({
  mode: t.String({ description: "the mode to run" }),
  downgraded: t.Boolean(),
  reason: t.String(),
  evidence: t.Object({
    basis: t.Unsafe<(typeof BASES)[number]>(t.String({ enum: BASES, description: "what decided" })),
    rule: t.Nullable(
      t.String({ description: "the rule of matrixd.downgrade_rules that fits, by its models" }),
    ),
    with_context: t.Optional(TallySchema),
    without_context: t.Optional(TallySchema),
    gain: t.Optional(
      t.Object(
        { low: t.Number(), high: t.Number() },
        {
          description:
            "how much better the model does without the context, as a difference of rates: Newcombe's interval of 95 %",
        },
      ),
    ),
    forced: t.Integer({ description: "how often this mode was forced for this model" }),
  }),
});
export type Downgrade = Static<typeof DowngradeSchema>;

const RequestId = t.Optional(
  t.String({
    minLength: 1,
    maxLength: 256,
    description: "makes a repeat harmless: the first with an id wins",
  }),
);
export const OutcomeBody = t.Object(
  {
    id: RequestId,
    model: Name("the model that ran"),
    mode: Name("the mode it ran in"),
    success: t.Boolean(),
  },
  { additionalProperties: false },
);
export type OutcomeRecord = Static<typeof OutcomeBody>;
const OutcomeTally = t.Object({ model: t.String(), mode: t.String(), ...Tally, forced: t.Integer() });
export type OutcomeTally = Static<typeof OutcomeTally>;
export const OutcomeRecordedSchema = t.Object({
  ...OutcomeTally.properties,
  duplicate: t.Optional(t.Literal(true, { description: "an outcome with this id was there before" })),
});
export type OutcomeRecorded = Static<typeof OutcomeRecordedSchema>;
export const OutcomesQuerySchema = t.Object({ limit: Limit, cursor: Cursor });
export type OutcomesQuery = Static<typeof OutcomesQuerySchema>;
export const OutcomesPageSchema = t.Object({
  outcomes: t.Array(OutcomeTally, { description: "by model and mode" }),
  next_cursor: t.Nullable(t.String()),
});
export type OutcomesPage = Static<typeof OutcomesPageSchema>;

export const OUTCOMES = ["success", "failure"] as const;
const Outcome = t.Unsafe<(typeof OUTCOMES)[number]>(
  t.String({
    pattern: `^(${OUTCOMES.join("|")})$`,
    enum: OUTCOMES,
    description: "how it ended; success by default",
  }),
);
const Answer = t.Object(
  {
    corpus: t.String({ pattern: "^[a-z0-9][a-z0-9_-]{0,63}$", description: "a corpus's name" }),
    id: Name("the hit that answered it"),
  },
  { additionalProperties: false },
);
export const PlaybookBody = t.Object(
  {
    id: RequestId,
    query: t.String({
      minLength: 1,
      maxLength: 2000,
      pattern: "\\S",
      description: "what was looked for",
    }),
    answer: Answer,
    score: t.Optional(
      t.Number({ minimum: 0, maximum: 1, description: "how well it answered; 1 by default" }),
    ),
    tags: Tags,
    outcome: t.Optional(Outcome),
  },
  { additionalProperties: false },
);
export type PlaybookRecord = Static<typeof PlaybookBody>;
export const PlaybooksBody = t.Object(
  { playbooks: t.Array(PlaybookBody, { minItems: 1, maxItems: MAX_BULK }) },
  { additionalProperties: false },
);

export const PlaybookSchema = t.Object({
  id: t.String({ description: "of the playbook: the same query and answer always have the same" }),
  query: t.String(),
  answer: t.Object({ corpus: t.String(), id: t.String() }),
  tags: t.Array(t.String()),
  successes: t.Number({ description: "the scores of those that succeeded, added up" }),
  failures: t.Integer(),
  strength: t.Number({ description: "how much it counts in a search; 0: it is silent" }),
  created_at: t.String(),
  updated_at: t.String(),
  retired_at: t.Nullable(t.String()),
  retired_reason: t.Optional(t.String()),
});
export type Playbook = Static<typeof PlaybookSchema>;
export const PlaybookRecordedSchema = t.Object({
  ...PlaybookSchema.properties,
  duplicate: t.Optional(t.Literal(true, { description: "a record with this id was there before" })),
});
export type PlaybookRecorded = Static<typeof PlaybookRecordedSchema>;
export const PlaybooksRecordedSchema = t.Object({
  accepted: t.Integer(),
  duplicates: t.Integer({ description: "of those accepted, repeats of an id" }),
});
export type PlaybooksRecorded = Static<typeof PlaybooksRecordedSchema>;
export const RetireBody = t.Object(
  {
    id: Name("the playbook's"),
    reason: t.Optional(t.String({ minLength: 1, maxLength: 1000 })),
  },
  { additionalProperties: false },
);
export type RetireRequest = Static<typeof RetireBody>;
export const PlaybooksQuerySchema = t.Object({
  limit: Limit,
  cursor: Cursor,
  corpus: t.Optional(t.String({ minLength: 1, maxLength: 64, description: "only answers in this corpus" })),
  tag: t.Optional(t.String({ minLength: 1, maxLength: 128, description: "only those with this tag" })),
  retired: t.Optional(t.Boolean({ description: "only those retired, or only those not" })),
});
export type PlaybooksQuery = Static<typeof PlaybooksQuerySchema>;
export const PlaybooksPageSchema = t.Object({
  playbooks: t.Array(PlaybookSchema, { description: "in the order in which they were first recorded" }),
  next_cursor: t.Nullable(t.String()),
});
export type PlaybooksPage = Static<typeof PlaybooksPageSchema>;

export interface Judging {
  /** @throws LakeError invalid (too many chunks, an id twice), embedd's */
  relevance(request: RelevanceRequest): Promise<Relevance>;
  /** @throws LakeError where force can't be recorded: queue_full, unavailable, resource_limit */
  downgrade(request: DowngradeRequest): Promise<Downgrade>;
  /** Durable when it returns. @throws LakeError queue_full, unavailable, resource_limit */
  recordOutcome(outcome: OutcomeRecord): Promise<OutcomeRecorded>;
  outcomes(query: OutcomesQuery): Promise<OutcomesPage>;
  /** Durable, and known to the next search, when it returns. @throws LakeError as `recordOutcome` */
  recordPlaybook(record: PlaybookRecord): Promise<PlaybookRecorded>;
  /** All or, where there is no room for all, none. @throws LakeError as `recordOutcome` */
  recordPlaybooks(records: readonly PlaybookRecord[]): Promise<PlaybooksRecorded>;
  playbooks(query: PlaybooksQuery): Promise<PlaybooksPage>;
  /** @throws LakeError not_found; conflict, where it is retired already */
  retirePlaybook(request: RetireRequest): Promise<Playbook>;
}
