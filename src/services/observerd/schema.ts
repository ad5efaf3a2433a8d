/** observerd's limits, wire shapes and interface: the witness of every operation. */
import { type Static, t } from "elysia";
import { oneOf } from "../../shared/one_of.ts";

export const SOURCES = ["mcp", "scenario", "langfuse", "overseer_correction"] as const;
/** The gateway's own reports: kept apart, and never part of the stats. */
export const GATEWAY_SOURCE = "gateway";
export const DEFAULT_SOURCE = "mcp";

export const LIST_LIMIT_DEFAULT = 100;
export const LIST_LIMIT_MAX = 1000;
/** How many of the newest scenario operations the stats tell. */
export const RECENT_SCENARIO_OPS = 10;
const MAX_ENDPOINT_LENGTH = 2048;
const MAX_ID_LENGTH = 256;

const RFC_3339 =
  "^\\d{4}-[01]\\d-[0-3]\\d[Tt ][0-2]\\d:[0-5]\\d:[0-6]\\d(\\.\\d+)?([Zz]|[+-][0-2]\\d:[0-5]\\d)$";
const Timestamp = (description: string) =>
  t.String({ pattern: RFC_3339, maxLength: 64, description, examples: ["2026-11-23T09:30:00.000Z"] });
/** Older clients send null for what they don't have. */
const text = (description: string) => t.Optional(t.Nullable(t.String({ description })));
const flag = (description: string) => t.Optional(t.Nullable(t.Boolean({ description })));
const whole = (description: string) => t.Optional(t.Nullable(t.Integer({ minimum: 0, description })));

const Source = oneOf<string>(SOURCES, `who reports; ${DEFAULT_SOURCE} by default`);

const members = {
  endpoint: t.String({
    minLength: 1,
    maxLength: MAX_ENDPOINT_LENGTH,
    pattern: "\\S",
    error: "a text that is not blank",
    description: "what was called; not empty",
    examples: ["/v1/sql"],
  }),
  id: t.Optional(
    t.String({
      minLength: 1,
      maxLength: MAX_ID_LENGTH,
      description: "makes a repeat harmless: the first with an id wins; made up where absent",
    }),
  ),
  timestamp: t.Optional(Timestamp("when it happened; now by default")),
  success: t.Optional(t.Boolean({ description: "whether it succeeded; false by default" })),
  duration_ms: t.Optional(t.Number({ minimum: 0, description: "how long it took, in milliseconds" })),
  input_summary: text("what went in, in short"),
  output_summary: text("what came out, in short"),
  error: text("why it failed"),
  staffer_id: text("who acted"),
  sig_hash: text("the hash of the operation's signature"),
  event_kind: text("what kind of scenario event it was"),
  role: text("the role acted in"),
  city: text("where: the city"),
  state: text("where: the state"),
  count: whole("how many things it touched"),
  rescue_attempted: flag("whether a rescue was tried"),
  rescue_succeeded: flag("whether the rescue worked"),
  model: text("the model that acted"),
  tokens_in: whole("tokens read"),
  tokens_out: whole("tokens written"),
  trace_id: text("the trace it belongs to"),
  span_id: text("its span"),
  parent_span_id: text("the span above"),
  hits: t.Optional(t.Nullable(t.Array(t.Unknown(), { description: "what a search found" }))),
};

const EXAMPLE = {
  endpoint: "/v1/sql",
  source: "scenario",
  success: true,
  duration_ms: 12.5,
  input_summary: "select count(*) from cars",
  output_summary: "1 row",
  staffer_id: "s-12",
};

/** One operation as it is reported; members beyond these are kept as they came. */
export const ObservedOpSchema = t.Object(
  { ...members, source: t.Optional(Source) },
  {
    additionalProperties: true,
    description:
      "One operation; members beyond these are kept as they came (whole numbers beyond ±(2^53−1) as strings, please: JSON numbers are doubles here).",
    examples: [EXAMPLE],
  },
);

/** The same, as the gateway reports it. */
export const GatewayOpSchema = t.Object(
  { ...members, source: t.Literal(GATEWAY_SOURCE) },
  { additionalProperties: true },
);

type Known = Static<typeof ObservedOpSchema>;
type Members = Omit<Known, "source">;
interface Unknown {
  readonly [member: string]: unknown;
}

export type ObservedOp = Known & Unknown;

/** What the gateway tells of an operation that it served. */
export type GatewayOp = Members & Unknown;

/** An operation as it is kept: nothing that has a default is missing. */
export type StoredOp = Members &
  Required<Pick<Members, "id" | "timestamp" | "success">> & { source: string } & Unknown;

export const RecordedSchema = t.Object({
  accepted: t.Literal(true),
  id: t.String(),
  ring_size: t.Integer({ description: "operations held for stats and lists" }),
  duplicate: t.Optional(
    t.Literal(true, { description: "an operation with this id was there before, and stays" }),
  ),
});
export type Recorded = Static<typeof RecordedSchema>;

export const RecordedAllSchema = t.Object({
  accepted: t.Integer(),
  rejected: t.Integer(),
  errors: t.Array(t.Object({ index: t.Integer(), message: t.String() })),
});
export type RecordedAll = Static<typeof RecordedAllSchema>;

export const OpsQuerySchema = t.Object({
  limit: t.Optional(
    t.Integer({ minimum: 1, maximum: LIST_LIMIT_MAX, description: `${LIST_LIMIT_DEFAULT} by default` }),
  ),
  cursor: t.Optional(
    t.String({ pattern: "^[1-9]\\d{0,15}$", description: "next_cursor of the page before" }),
  ),
  source: t.Optional(
    oneOf(
      [...SOURCES, GATEWAY_SOURCE],
      "only this source; the gateway's own reports are told only when asked for",
    ),
  ),
  success: t.Optional(t.Boolean({ description: "only those that did, or did not, succeed" })),
  endpoint: t.Optional(t.String({ minLength: 1, description: "only this endpoint, exactly" })),
  since: t.Optional(Timestamp("only at or after this time")),
  until: t.Optional(Timestamp("only before this time")),
});
export type OpsQuery = Static<typeof OpsQuerySchema>;

const StoredOpSchema = t.Object({ ...members, source: t.String() }, { additionalProperties: true });
export const OpsPageSchema = t.Object({
  ops: t.Array(StoredOpSchema, { description: "newest first" }),
  next_cursor: t.Nullable(t.String()),
});
export interface OpsPage {
  ops: StoredOp[];
  next_cursor: string | null;
}

export const StatsSchema = t.Object({
  total: t.Integer(),
  successes: t.Integer(),
  failures: t.Integer(),
  by_source: t.Record(t.String(), t.Integer()),
  recent_scenario_ops: t.Array(
    t.Object({
      ts: t.String(),
      ok: t.Boolean(),
      staffer: t.Optional(t.String()),
      kind: t.Optional(t.String()),
      role: t.Optional(t.String()),
    }),
    { description: `the ${RECENT_SCENARIO_OPS} newest of source scenario, oldest first` },
  ),
});
export type Stats = Static<typeof StatsSchema>;

const JournalSchema = t.Object({
  records: t.Integer(),
  segments: t.Integer(),
  corrupt: t.Integer({ description: "lines that are not what was written, kept in <file>.corrupt" }),
  torn: t.Integer({ description: "tails cut off into <file>.torn" }),
  gaps: t.Integer({ description: "places where records are missing" }),
});
export const ObserverHealthSchema = t.Object({
  status: t.Union([t.Literal("ok"), t.Literal("degraded"), t.Literal("down")]),
  ring_size: t.Integer(),
  persisted: t.Boolean(),
  journal: JournalSchema,
  gateway: t.Object({ ring_size: t.Integer(), journal: JournalSchema }),
  reason: t.Optional(t.String()),
});
export type ObserverHealth = Static<typeof ObserverHealthSchema>;

export interface Observerd {
  /** Durable when it returns. @throws LakeError invalid, too_large, queue_full, unavailable */
  record(op: ObservedOp): Promise<Recorded>;
  /**
   * Judges each on its own; durable when it returns.
   * @param by_service whether the gateway's own reports are taken too
   * @throws LakeError invalid (too many), unavailable
   */
  recordAll(ops: readonly unknown[], by_service: boolean): Promise<RecordedAll>;
  /** The gateway's own report: into its own journal and ring. @throws LakeError queue_full, unavailable */
  witness(ops: readonly GatewayOp[]): Promise<void>;
  stats(): Promise<Stats>;
  ops(query: OpsQuery): Promise<OpsPage>;
  health(): Promise<ObserverHealth>;
}
