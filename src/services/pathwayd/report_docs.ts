/** The documentation of the routes that tell of many traces at once. */
import { describe } from "../../shared/http.ts";
import { AuditSchema, CountedSchema, PathwayHealthSchema, StatsSchema } from "./report_schema.ts";
import { EXAMPLE_UID } from "./trace_schema.ts";

const service = "pathwayd";
const UID = EXAMPLE_UID;
const SUCCESSOR = "019ab9c2-0d11-7a52-b1c7-1a4f6c7e2b90";
const INDEX = { state: "ready", items: 3, waiting: 0 };
const JOURNAL = { records: 3, segments: 1, corrupt: 0, torn: 0, gaps: 0, orphans: 0 };
const HEALTH = { status: "ok", traces: 2, journal: JOURNAL, index: INDEX, erasing: 0 };

export const reports = {
  count: describe({
    service,
    summary: "Count traces",
    description:
      "How many traces a search with these conditions would tell, had it no end: live ones that hold now, unless asked otherwise. Counted in memory, whatever the search index holds by now.",
    example: { scope: { user_id: "ada" }, tags: ["travel"] },
    answers: {
      200: { description: "The count", schema: CountedSchema, example: { count: 1, index: INDEX } },
    },
    problems: [400, 401, 403],
  }),
  stats: describe({
    service,
    summary: "Count what is remembered",
    description: "Traces by state and kind, outcomes, replays, and the state of the search index.",
    answers: {
      200: {
        description: "The counts",
        schema: StatsSchema,
        example: {
          traces: 2,
          versions: 3,
          forgotten: 0,
          live: 1,
          superseded: 1,
          retired: 0,
          by_kind: { preference: 1 },
          outcomes: { successes: 1, failures: 0, unknowns: 0 },
          replays: 0,
          content_bytes: 80,
          index: INDEX,
        },
      },
    },
    problems: [401, 403],
  }),
  audit: describe({
    service,
    summary: "Find what deserves a look",
    description:
      "Duplicates, traces never used, stale ones, and pairs of one subject that contradict each other; by rules (docs/memory.md), without a model.",
    answers: {
      200: {
        description: "The findings",
        schema: AuditSchema,
        example: {
          duplicates: { total: 0, groups: [] },
          never_recalled: { total: 1, uids: [UID] },
          stale: { total: 0, uids: [] },
          contradictions: {
            total: 1,
            pairs: [
              {
                subject: "ada",
                uids: [UID, SUCCESSOR],
                reason: "negation",
                detail: "one of them denies it",
              },
            ],
          },
        },
      },
    },
    problems: [400, 401, 403],
  }),
  health: describe({
    service,
    summary: "Tell the state of the journal and the index",
    description:
      "`degraded` where replay found lines it could not read, the index lags, or something forgotten is not erased yet; `down` after a failed write.",
    answers: {
      200: { description: "ok or degraded", schema: PathwayHealthSchema, example: HEALTH },
      503: {
        description: "down: nothing is recorded until a restart",
        schema: PathwayHealthSchema,
        example: { ...HEALTH, status: "down" },
      },
    },
    problems: [401, 403],
  }),
};
