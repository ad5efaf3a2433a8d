/** Paths of observerd. */
import { Elysia, t } from "elysia";
import { LakeError } from "../../shared/errors.ts";
import { type Door, describe, readText } from "../../shared/http.ts";
import { parseLines } from "./lines.ts";
import {
  ObservedOpSchema,
  type Observerd,
  ObserverHealthSchema,
  OpsPageSchema,
  OpsQuerySchema,
  RecordedAllSchema,
  RecordedSchema,
  StatsSchema,
} from "./schema.ts";

const service = "observerd";
const NDJSON = ["application/x-ndjson", "application/ndjson", "application/jsonl"];

const STORED_OP = {
  id: "01a0e7c4-6a2e-7000-8a3b-0d7d2f6a9c11",
  timestamp: "2026-11-23T09:30:00.000Z",
  source: "scenario",
  success: true,
  endpoint: "/v1/sql",
  duration_ms: 12.5,
};
const JOURNAL = { records: 5, segments: 1, corrupt: 0, torn: 0, gaps: 0 };
const HEALTH = {
  status: "ok",
  ring_size: 5,
  persisted: true,
  journal: JOURNAL,
  gateway: { ring_size: 5, journal: JOURNAL },
};

export function observerdRoutes(domain: Observerd, door: Door, max_json_bytes: number) {
  return new Elysia({ normalize: false })
    .post("/observer/event", ({ body }) => domain.record(body), {
      body: ObservedOpSchema,
      ...door.needs("observerd:write"),
      detail: describe({
        service,
        summary: "Record an operation",
        description:
          "Answers once the operation is durable. With an `id` it may be sent again: the first wins, and the repeat is answered with `duplicate: true`.",
        example: { endpoint: "/v1/sql", source: "scenario", success: true, duration_ms: 12.5 },
        answers: {
          200: {
            description: "Recorded",
            schema: RecordedSchema,
            example: { accepted: true, id: "01a0e7c4-6a2e-7000-8a3b-0d7d2f6a9c11", ring_size: 1 },
          },
        },
        problems: [400, 401, 403, 413, 429, 503],
      }),
    })
    .post(
      "/observer/events",
      ({ body, request }) => domain.recordAll(body, door.principal(request).is_service),
      {
        parse: async ({ request, contentType }) => {
          if (NDJSON.includes(contentType)) return parseLines(await readText(request, max_json_bytes));
          throw new LakeError(
            "invalid",
            `Send a JSON array as application/json, or a line for each operation as application/x-ndjson (got "${contentType}").`,
          );
        },
        body: t.Array(t.Unknown(), {
          description: "operations, each judged on its own; or the same as NDJSON",
        }),
        ...door.needs("observerd:write"),
        detail: describe({
          service,
          summary: "Record a batch of operations",
          description:
            "A JSON array, or one operation a line with Content-Type `application/x-ndjson`. Each is judged on its own; those accepted are durable when this answers.",
          example: [{ endpoint: "/v1/sql", success: true }, { endpoint: "" }],
          answers: {
            200: {
              description: "Judged",
              schema: RecordedAllSchema,
              example: {
                accepted: 1,
                rejected: 1,
                errors: [{ index: 1, message: "/endpoint: Expected string length greater or equal to 1" }],
              },
            },
          },
          problems: [400, 401, 403, 413, 503],
        }),
      },
    )
    .get("/observer/ops", ({ query }) => domain.ops(query), {
      query: OpsQuerySchema,
      ...door.needs("observerd:read"),
      detail: describe({
        service,
        summary: "List the newest operations",
        description:
          "Newest first, out of those held in memory. The gateway's own reports are listed with `source=gateway`.",
        answers: {
          200: {
            description: "A page",
            schema: OpsPageSchema,
            example: { ops: [STORED_OP], next_cursor: null },
          },
        },
        problems: [400, 401, 403],
      }),
    })
    .get("/observer/stats", () => domain.stats(), {
      ...door.needs("observerd:read"),
      detail: describe({
        service,
        summary: "Count the newest operations",
        description: "Over the operations held in memory, without the gateway's own reports.",
        answers: {
          200: {
            description: "The counts",
            schema: StatsSchema,
            example: {
              total: 5,
              successes: 3,
              failures: 2,
              by_source: { mcp: 3, scenario: 2 },
              recent_scenario_ops: [{ ts: "2026-11-23T09:30:00.000Z", ok: true, staffer: "s-12" }],
            },
          },
        },
        problems: [401, 403],
      }),
    })
    .get(
      "/observer/health",
      async ({ set }) => {
        const health = await domain.health();
        if (health.status === "down") set.status = 503;
        return health;
      },
      {
        ...door.needs("observerd:read"),
        detail: describe({
          service,
          summary: "Tell the state of the journal",
          description:
            "`degraded` where replay found lines it could not read, `down` after a failed write or sync.",
          answers: {
            200: { description: "ok or degraded", schema: ObserverHealthSchema, example: HEALTH },
            503: { description: "down: nothing is recorded until a restart", schema: ObserverHealthSchema },
          },
          problems: [401, 403],
        }),
      },
    );
}
