/** Traces as they are sent and told, and the bodies of every write. */
import { type Static, t } from "elysia";
import { oneOf } from "../../shared/one_of.ts";

const MAX_LABEL_CHARS = 256;
const MAX_REASON_CHARS = 2048;
const MAX_OP_IDS = 100;

const RFC_3339 =
  "^\\d{4}-[01]\\d-[0-3]\\d[Tt ][0-2]\\d:[0-5]\\d:[0-6]\\d(\\.\\d+)?([Zz]|[+-][0-2]\\d:[0-5]\\d)$";
export const Time = (description: string) =>
  t.String({ pattern: RFC_3339, maxLength: 64, description, examples: ["2026-11-23T09:30:00.000Z"] });
/** Absent leaves it as it is; null takes it away. */
const clearable = <T extends ReturnType<typeof t.String>>(schema: T) => t.Optional(t.Nullable(schema));

export const RESULTS = ["success", "failure", "unknown"] as const;
export type Result = (typeof RESULTS)[number];
export const STATES = ["live", "superseded", "retired"] as const;
export type State = (typeof STATES)[number];
export const CHANGES = ["added", "updated", "revised", "superseded", "retired", "unretired"] as const;
export type Change = (typeof CHANGES)[number];

export const UID_PATTERN = "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$";
export const EXAMPLE_UID = "019ab9c1-7b6e-7c4e-9d53-6f0f3f0f8a11";
export const Uid = t.String({
  pattern: UID_PATTERN,
  description: "the trace's uid, a UUIDv7 in lower case, as an add answered it",
  examples: [EXAMPLE_UID],
});
export const UidParams = t.Object({ uid: Uid });

export type Json = string | number | boolean | null | Json[] | { [member: string]: Json };
export type Content = string | { [member: string]: Json } | Json[];
const ContentSchema = t.Unsafe<Content>(
  t.Union(
    [t.String({ minLength: 1, pattern: "\\S" }), t.Record(t.String(), t.Unknown()), t.Array(t.Unknown())],
    {
      error: "a text that is not blank, or a JSON object or list",
      description: "what is remembered: a text, or JSON, which is searched by its text view",
    },
  ),
);
const label = (description: string) =>
  t.String({ minLength: 1, maxLength: MAX_LABEL_CHARS, pattern: "\\S", description });
export const Kind = label("what sort of trace it is, such as fact, preference or plan");
export const Subject = label("what it is about; the audit compares traces of one subject");
export const Tags = (description: string) =>
  t.Array(label("a tag"), { maxItems: 1000, uniqueItems: true, description });
export const Scope = t.Record(
  t.String({ pattern: "^[a-z][a-z0-9_]{0,63}$" }),
  t.String({ minLength: 1, maxLength: MAX_LABEL_CHARS }),
  {
    additionalProperties: false,
    description: "whose it is: user_id, agent_id, run_id, and labels of your own (a-z, 0-9 and _)",
    examples: [{ user_id: "ada", agent_id: "planner", run_id: "r-17" }],
  },
);
export type Scope = Static<typeof Scope>;
export const Key = label("makes add_idempotent find it again, within the same scope");
const Version = t.Optional(
  t.Integer({
    minimum: 1,
    description: "the version you have seen: where it is another by now, the answer is 409",
  }),
);
export const Reason = t.Optional(t.String({ minLength: 1, maxLength: MAX_REASON_CHARS, description: "why" }));
export const Score = t.Optional(
  t.Number({ minimum: 0, maximum: 1, description: "how well it went, from 0 to 1" }),
);
const OpIds = t.Array(label("an operation"), {
  maxItems: MAX_OP_IDS,
  description: "operations of the witness that it came from",
});

/** What a trace says, as it is sent. */
const body = {
  content: ContentSchema,
  kind: t.Optional(Kind),
  tags: t.Optional(Tags("labels to find it by")),
  subject: t.Optional(Subject),
  source: t.Optional(label("where it came from")),
  op_ids: t.Optional(OpIds),
  valid_from: t.Optional(Time("since when it holds; since ever by default")),
  valid_to: t.Optional(Time("until when it holds, exclusive; for ever by default")),
  expires_at: t.Optional(Time("from then on no search finds it; it is kept")),
};
const OutcomeGiven = t.Object(
  { result: oneOf(RESULTS, "how it ended"), score: Score },
  { additionalProperties: false },
);

const added = { ...body, scope: t.Optional(Scope), outcome: t.Optional(OutcomeGiven) };
export const AddBody = t.Object(added, { additionalProperties: false });
export type NewTrace = Static<typeof AddBody>;

export const AddIdempotentBody = t.Object(
  {
    ...added,
    key: t.Optional(Key),
    similar_above: t.Optional(
      t.Number({
        minimum: 0,
        maximum: 1,
        description:
          "instead of storing it, tell the live traces of the scope whose cosine to it is at least this",
      }),
    ),
  },
  { additionalProperties: false },
);
export type NewOrKnown = Static<typeof AddIdempotentBody>;

export const UpdateBody = t.Object(
  {
    uid: Uid,
    version: Version,
    content: t.Optional(ContentSchema),
    tags: t.Optional(Tags("all its tags from now on")),
    kind: clearable(Kind),
    subject: clearable(Subject),
    valid_from: clearable(Time("since when it holds")),
    valid_to: clearable(Time("until when it holds, exclusive")),
    expires_at: clearable(Time("from then on no search finds it")),
  },
  { additionalProperties: false, minProperties: 2, description: "what is absent stays; null takes it away" },
);
export type Update = Static<typeof UpdateBody>;

export const ReviseBody = t.Object(
  { uid: Uid, version: Version, ...body },
  {
    additionalProperties: false,
    description:
      "the successor: kind, tags and subject are the predecessor's where absent, the scope always; times, source and op_ids never",
  },
);
export type Revise = Static<typeof ReviseBody>;

export const RetireBody = t.Object(
  { uid: Uid, version: Version, reason: Reason },
  { additionalProperties: false },
);
export type Retire = Static<typeof RetireBody>;
export const UnretireBody = t.Object({ uid: Uid, version: Version }, { additionalProperties: false });
export type Unretire = Static<typeof UnretireBody>;
export const OutcomeBody = t.Object(
  { uid: Uid, version: Version, result: oneOf(RESULTS, "how its use ended"), score: Score },
  { additionalProperties: false },
);
export type Outcome = Static<typeof OutcomeBody>;
export const ForgetBody = t.Object({ uid: Uid, version: Version }, { additionalProperties: false });
export type Forget = Static<typeof ForgetBody>;

const OutcomeSchema = t.Object({
  result: t.Optional(oneOf(RESULTS, "the newest; absent where none was recorded")),
  score: t.Optional(t.Number({ description: "the newest that had one" })),
  successes: t.Integer(),
  failures: t.Integer(),
  unknowns: t.Integer(),
});
export const TraceSchema = t.Object({
  uid: t.String(),
  version: t.Integer({ description: "grows with each change; outcomes and replays do not count" }),
  state: oneOf(
    STATES,
    "superseded: a successor took its place; only live traces are found unless asked otherwise",
  ),
  content: ContentSchema,
  text: t.Optional(t.String({ description: "the text view of a JSON content" })),
  kind: t.Optional(t.String()),
  tags: t.Array(t.String()),
  subject: t.Optional(t.String()),
  scope: t.Record(t.String(), t.String()),
  source: t.Optional(t.String()),
  op_ids: t.Optional(t.Array(t.String())),
  key: t.Optional(t.String()),
  created_at: t.String(),
  updated_at: t.String({ description: "when this version came to be known" }),
  valid_from: t.Optional(t.String()),
  valid_to: t.Optional(t.String()),
  expires_at: t.Optional(t.String()),
  outcome: OutcomeSchema,
  replay_count: t.Integer({ description: "how often add_idempotent found it" }),
  predecessor: t.Optional(t.String()),
  successor: t.Optional(t.String()),
  retired_at: t.Optional(t.String()),
  retired_reason: t.Optional(t.String()),
});
export type Trace = Static<typeof TraceSchema>;

const indexed = {
  indexed: t.Boolean({
    description: "whether the next search finds it; false while the index can't be reached",
  }),
};
export const WrittenSchema = t.Composite([TraceSchema, t.Object(indexed)]);
export type Written = Static<typeof WrittenSchema>;
export const AddedSchema = t.Composite([
  TraceSchema,
  t.Object({
    ...indexed,
    created: t.Boolean({ description: "false: it was there, or one like it; nothing was stored" }),
    similar: t.Optional(
      t.Array(t.Object({ uid: t.String(), score: t.Number({ description: "the cosine" }) }), {
        description: "near duplicates, nearest first; the trace told is the first of them",
      }),
    ),
  }),
]);
export type AddedOrKnown = Static<typeof AddedSchema>;

export const ForgottenSchema = t.Object({
  uid: t.String(),
  forgotten_at: t.String(),
  pending: t.Array(t.String(), {
    description: "where the content still lies, to be erased as soon as possible",
  }),
});
export type Forgotten = Static<typeof ForgottenSchema>;
