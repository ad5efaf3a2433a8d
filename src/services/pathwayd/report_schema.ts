/** What is told of many traces: histories, imports, counts, the audit, health. */
import { type Static, t } from "elysia";
import { oneOf } from "../../shared/one_of.ts";
import { CHANGES, TraceSchema } from "./trace_schema.ts";

export const AUDIT_LIMIT = 100;
const AUDIT_LIMIT_MAX = 1000;
const DEFAULT_STALE_DAYS = 90;

const Difference = t.Object({
  member: t.String(),
  before: t.Optional(t.Unknown()),
  after: t.Optional(t.Unknown()),
});
export type Difference = Static<typeof Difference>;
export const HistorySchema = t.Object({
  uid: t.String(),
  chain: t.Array(TraceSchema, { description: "each trace of the chain as it is now, oldest first" }),
  versions: t.Array(
    t.Object({
      uid: t.String(),
      version: t.Integer(),
      at: t.String(),
      change: oneOf(CHANGES, "what made this version"),
      differences: t.Array(Difference, { description: "to the version before" }),
    }),
    { description: "in the order in which they came to be known" },
  ),
  forgotten: t.Array(t.Object({ uid: t.String(), forgotten_at: t.String() })),
});
export type History = Static<typeof HistorySchema>;

export const ImportedSchema = t.Object({
  imported: t.Integer(),
  existing: t.Integer({ description: "were there, and were left as they are" }),
  rejected: t.Integer(),
  errors: t.Array(t.Object({ line: t.Integer(), message: t.String() })),
  indexed: t.Boolean({ description: "whether the next search finds all of them" }),
});
export type Imported = Static<typeof ImportedSchema>;

export const StatsSchema = t.Object({
  traces: t.Integer(),
  versions: t.Integer(),
  live: t.Integer({ description: "expired ones included" }),
  superseded: t.Integer(),
  retired: t.Integer(),
  forgotten: t.Integer(),
  by_kind: t.Record(t.String(), t.Integer(), {
    description: "live traces; those without a kind under an empty name",
  }),
  outcomes: t.Object({ successes: t.Integer(), failures: t.Integer(), unknowns: t.Integer() }),
  replays: t.Integer(),
  content_bytes: t.Integer({ description: "of all versions" }),
  index: t.Object({
    state: oneOf(["ready", "building", "unreachable"], "of the search index"),
    items: t.Integer({ description: "versions that it holds" }),
    waiting: t.Integer({ description: "versions that it does not hold yet" }),
  }),
});
export type Stats = Static<typeof StatsSchema>;

export const CountedSchema = t.Object({
  count: t.Integer({ description: "traces" }),
  index: StatsSchema.properties.index,
});
export type Counted = Static<typeof CountedSchema>;

export const AuditQuerySchema = t.Object({
  limit: t.Optional(
    t.Integer({
      minimum: 1,
      maximum: AUDIT_LIMIT_MAX,
      description: `findings of each sort; ${AUDIT_LIMIT} by default`,
    }),
  ),
  stale_days: t.Optional(
    t.Integer({
      minimum: 0,
      maximum: 36_500,
      description: `days without a change or use; ${DEFAULT_STALE_DAYS} by default`,
    }),
  ),
});
export type AuditQuery = Static<typeof AuditQuerySchema>;
export { DEFAULT_STALE_DAYS };

const Finding = { total: t.Integer({ description: "all there are, of which the first are told" }) };
const Uids = t.Array(t.String());
export const AuditSchema = t.Object({
  duplicates: t.Object({
    ...Finding,
    groups: t.Array(Uids, { description: "live, of one scope and one content" }),
  }),
  never_recalled: t.Object(
    { ...Finding, uids: Uids },
    { description: "live, without a replay or an outcome" },
  ),
  stale: t.Object({ ...Finding, uids: Uids }, { description: "live, neither changed nor used for so long" }),
  contradictions: t.Object({
    ...Finding,
    pairs: t.Array(
      t.Object({
        subject: t.String(),
        uids: Uids,
        reason: oneOf(["number", "negation", "member"], "what differs"),
        detail: t.String(),
      }),
    ),
  }),
});
export type Audit = Static<typeof AuditSchema>;

export const PathwayHealthSchema = t.Object({
  status: oneOf(["ok", "degraded", "down"], "degraded: records could not be read, or the index lags"),
  traces: t.Integer(),
  journal: t.Object({
    records: t.Integer(),
    segments: t.Integer(),
    corrupt: t.Integer({ description: "lines that are not what was written, kept in <file>.corrupt" }),
    torn: t.Integer({ description: "tails cut off into <file>.torn" }),
    gaps: t.Integer({ description: "places where records are missing" }),
    orphans: t.Integer({ description: "records of a trace whose own beginning is missing" }),
  }),
  index: StatsSchema.properties.index,
  erasing: t.Integer({ description: "forgotten traces whose content is not erased everywhere yet" }),
  reason: t.Optional(t.String()),
});
export type PathwayHealth = Static<typeof PathwayHealthSchema>;
