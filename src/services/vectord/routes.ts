/** Paths of vectord. */
import { Elysia, t } from "elysia";
import { type Door, patiently } from "../../shared/http.ts";
import { jobEvents } from "../../shared/job_events.ts";
import { requireScope } from "../../shared/keys.ts";
import { readBatch } from "./body.ts";
import { documentation } from "./docs.ts";
import { refuseReserved } from "./indexes.ts";
import { RestoreBody, SnapshotBody } from "./moving_schema.ts";
import {
  CreateBody,
  DeleteBody,
  type DeleteQuery,
  FieldsBody,
  FromTableBody,
  GetBody,
  type LoadRequest,
  NameParams,
  PageQuery,
  RESERVED,
  SearchBody,
  type SearchQuery,
  type Vectord,
} from "./schema.ts";
import { ExportQuery, PARQUET } from "./tables_schema.ts";

const JobParams = t.Object({
  job_id: t.String({
    minLength: 1,
    maxLength: 64,
    description: "as the 202 told it",
    examples: ["019e31a2-7f6b-7000-8000-3b1f0c2d4e5f"],
  }),
});

export function vectordRoutes(domain: Vectord, door: Door, max_body_bytes: number) {
  const reads = door.needs("vectord:read");
  const writes = door.needs("vectord:write");
  const isService = (request: Request) => door.principal(request).is_service;
  /** Before any route here that names an index, in its path or its body. */
  const refuseStranger = (request: Request, ...named: unknown[]) => {
    for (const it of named) {
      const { name } = Object(it) as { name?: unknown };
      if (typeof name === "string" && name.startsWith(RESERVED) && !isService(request)) refuseReserved(name);
    }
  };
  return new Elysia({ normalize: false })
    .onBeforeHandle(({ request, params, body }) => refuseStranger(request, params, body))
    .post(
      "/vectors/index",
      async ({ body, set }) => {
        const made = await domain.create(body);
        set.status = 201;
        return made;
      },
      { body: CreateBody, ...writes, detail: documentation.create },
    )
    .get(
      "/vectors/index",
      ({ query, request }) => domain.list({ ...query, without_reserved: !isService(request) }),
      {
        query: PageQuery,
        ...reads,
        detail: documentation.list,
      },
    )
    .get("/vectors/index/:name", ({ params }) => domain.index(params.name), {
      params: NameParams,
      ...reads,
      detail: documentation.index,
    })
    .post("/vectors/index/:name/fields", ({ params, body }) => domain.fields(params.name, body), {
      params: NameParams,
      body: FieldsBody,
      ...writes,
      detail: documentation.fields,
    })
    .delete(
      "/vectors/index/:name",
      async ({ params, set }) => {
        await domain.drop(params.name);
        set.status = 204;
      },
      { params: NameParams, ...writes, detail: documentation.drop },
    )
    .post(
      "/vectors/index/:name/add",
      async ({ params, request, server }) => {
        const { name } = params;
        if (!isParquet(request)) return domain.add(name, await readBatch(request, max_body_bytes));
        const body = (request.body ?? []) as unknown as AsyncIterable<Uint8Array>;
        return patiently(server, request, () => domain.tables.add(name, { body, signal: request.signal }));
      },
      { parse: "none", params: NameParams, ...writes, detail: documentation.add },
    )
    .post(
      "/vectors/index/:name/search",
      ({ params, body }) => domain.search(params.name, body as SearchQuery),
      { params: NameParams, body: SearchBody, ...reads, detail: documentation.search },
    )
    .post("/vectors/index/:name/get", ({ params, body }) => domain.get(params.name, body), {
      params: NameParams,
      body: GetBody,
      ...reads,
      detail: documentation.get,
    })
    .post(
      "/vectors/index/:name/delete",
      ({ params, body }) => domain.delete(params.name, body as DeleteQuery),
      { params: NameParams, body: DeleteBody, ...writes, detail: documentation.delete },
    )
    .get(
      "/vectors/index/:name/export",
      async ({ params, query, request, server }) => {
        const { name } = params;
        const unless_version = heldVersion(request);
        const options = { ...query, ...(unless_version === undefined ? {} : { unless_version }) };
        const { version, body } = await patiently(server, request, () =>
          domain.tables.parquet(name, options),
        );
        const headers = { "content-type": PARQUET, etag: `"${version}"` };
        return new Response(body ?? null, { status: body ? 200 : 304, headers });
      },
      { params: NameParams, query: ExportQuery, ...reads, detail: documentation.export },
    )
    .post(
      "/vectors/index/:name/from_table",
      async ({ params, body, request, set }) => {
        const { name } = params;
        // The index would tell its readers what only readers of the table may see.
        requireScope(door.principal(request), "queryd:read");
        const job = await domain.tables.load(name, body as LoadRequest);
        set.status = 202;
        set.headers.location = `../../jobs/${job.job_id}`; // relative, since only the edge has /v1
        return job;
      },
      { params: NameParams, body: FromTableBody, ...writes, detail: documentation.from_table },
    )
    .get("/vectors/jobs/:job_id", ({ params }) => domain.tables.job(params.job_id), {
      params: JobParams,
      ...reads,
      detail: documentation.job,
    })
    .get(
      "/vectors/jobs/:job_id/events",
      ({ params, request, server }) => {
        server?.timeout(request, 0);
        return jobEvents(request, (signal) => domain.tables.watch(params.job_id, signal));
      },
      { params: JobParams, ...reads, detail: documentation.events },
    )
    .post(
      "/vectors/index/:name/snapshot",
      ({ params, body, request, server }) =>
        patiently(server, request, () => domain.snapshot(params.name, body, request.signal)),
      { params: NameParams, body: SnapshotBody, ...writes, detail: documentation.snapshot },
    )
    .post(
      "/vectors/restore",
      async ({ body, request, server, set }) => {
        const query = { ...body, without_reserved: !isService(request) };
        const restored = await patiently(server, request, () => domain.restore(query, request.signal));
        set.status = restored.replaced ? 200 : 201;
        return restored;
      },
      { body: RestoreBody, ...writes, detail: documentation.restore },
    );
}

function isParquet(request: Request): boolean {
  return (request.headers.get("content-type") ?? "").split(";")[0]?.trim().toLowerCase() === PARQUET;
}

/** The version that a client holds already (RFC 9110, 13.1.2). */
function heldVersion(request: Request): string | undefined {
  return /^\s*(?:W\/)?"([^"]*)"\s*$/.exec(request.headers.get("if-none-match") ?? "")?.[1];
}
