/** Paths of pathwayd. */
import { Elysia } from "elysia";
import { type Door, patiently } from "../../shared/http.ts";
import { readLines } from "./body.ts";
import { documentation } from "./docs.ts";
import { AuditQuerySchema } from "./report_schema.ts";
import type { CountQuery, Pathwayd, SearchQuery } from "./schema.ts";
import { CountBody, SearchBody } from "./search_schema.ts";
import {
  AddBody,
  AddIdempotentBody,
  ForgetBody,
  OutcomeBody,
  RetireBody,
  ReviseBody,
  UidParams,
  UnretireBody,
  UpdateBody,
} from "./trace_schema.ts";

export function pathwaydRoutes(domain: Pathwayd, door: Door, max_import_bytes: number) {
  const reads = door.needs("pathwayd:read");
  const writes = door.needs("pathwayd:write");
  return new Elysia({ normalize: false })
    .post(
      "/pathway/add",
      async ({ body, set }) => {
        const made = await domain.add(body);
        set.status = 201;
        return made;
      },
      { body: AddBody, ...writes, detail: documentation.add },
    )
    .post(
      "/pathway/add_idempotent",
      async ({ body, set }) => {
        const made = await domain.addIdempotent(body);
        set.status = made.created ? 201 : 200;
        return made;
      },
      { body: AddIdempotentBody, ...writes, detail: documentation.addIdempotent },
    )
    .post("/pathway/update", ({ body }) => domain.update(body), {
      body: UpdateBody,
      ...writes,
      detail: documentation.update,
    })
    .post(
      "/pathway/revise",
      async ({ body, set }) => {
        const made = await domain.revise(body);
        set.status = 201;
        return made;
      },
      { body: ReviseBody, ...writes, detail: documentation.revise },
    )
    .post("/pathway/retire", ({ body }) => domain.retire(body), {
      body: RetireBody,
      ...writes,
      detail: documentation.retire,
    })
    .post("/pathway/unretire", ({ body }) => domain.unretire(body), {
      body: UnretireBody,
      ...writes,
      detail: documentation.unretire,
    })
    .post("/pathway/outcome", ({ body }) => domain.outcome(body), {
      body: OutcomeBody,
      ...writes,
      detail: documentation.outcome,
    })
    .post("/pathway/forget", ({ body }) => domain.forget(body), {
      body: ForgetBody,
      ...writes,
      detail: documentation.forget,
    })
    .post("/pathway/search", ({ body }) => domain.search(body as SearchQuery), {
      body: SearchBody,
      ...reads,
      detail: documentation.search,
    })
    .post("/pathway/count", ({ body }) => domain.count(body as CountQuery), {
      body: CountBody,
      ...reads,
      detail: documentation.count,
    })
    .post(
      "/pathway/import",
      async ({ request, server }) => {
        const lines = await readLines(request, max_import_bytes);
        return patiently(server, request, () => domain.import(lines));
      },
      { parse: "none", ...writes, detail: documentation.import },
    )
    .get("/pathway/get/:uid", ({ params }) => domain.get(params.uid), {
      params: UidParams,
      ...reads,
      detail: documentation.get,
    })
    .get("/pathway/history/:uid", ({ params }) => domain.history(params.uid), {
      params: UidParams,
      ...reads,
      detail: documentation.history,
    })
    .get(
      "/pathway/export",
      async () =>
        new Response(await domain.export(), { headers: { "content-type": "application/x-ndjson" } }),
      { ...reads, detail: documentation.export },
    )
    .get("/pathway/stats", () => domain.stats(), { ...reads, detail: documentation.stats })
    .get("/pathway/audit", ({ query }) => domain.audit(query), {
      query: AuditQuerySchema,
      ...reads,
      detail: documentation.audit,
    })
    .get(
      "/pathway/health",
      async ({ set }) => {
        const health = await domain.health();
        if (health.status === "down") set.status = 503;
        return health;
      },
      { ...reads, detail: documentation.health },
    );
}
