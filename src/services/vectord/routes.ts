/** Paths of vectord. */
import { Elysia, t } from "elysia";
import { LakeError } from "../../shared/errors.ts";
import { type Door, patiently } from "../../shared/http.ts";
import { jobEvents } from "../../shared/job_events.ts";
import { requireScope } from "../../shared/keys.ts";
import { readBatch } from "./body.ts";
import { documentation } from "./docs.ts";
import {
  CreateBody,
  DeleteBody,
  type DeleteQuery,
  FieldsBody,
  FromTableBody,
  GetBody,
  NameParams,
  PageQuery,
  RESERVED,
  SearchBody,
  type SearchQuery,
  type Vectord,
} from "./schema.ts";
import { ExportQuery, PARQUET } from "./tables_schema.ts";

const JobParams = t.Object({
  job_id: t.String({ minLength: 1, maxLength: 64, description: "as the 202 told it" }),
});

export function vectordRoutes(domain: Vectord, door: Door, max_body_bytes: number) {
  const reads = door.needs("vectord:read");
  const writes = door.needs("vectord:write");
  const isService = (request: Request) => door.principal(request).is_service;
  /** An index's name, where whoever asks may use it. */
  const own = (request: Request, { name }: { name: string }) => {
    if (name.startsWith(RESERVED) && !isService(request)) throw reserved(name);
    return name;
  };
  return new Elysia({ normalize: false })
    .post(
      "/vectors/index",
      async ({ body, set, request }) => {
        own(request, body);
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
    .get("/vectors/index/:name", ({ params, request }) => domain.index(own(request, params)), {
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
      async ({ params, set, request }) => {
        await domain.drop(own(request, params));
        set.status = 204;
      },
      { params: NameParams, ...writes, detail: documentation.drop },
    )
    .post(
      "/vectors/index/:name/add",
      async ({ params, request, server }) => {
        const name = own(request, params);
        if (!isParquet(request))
          return domain.add(name, await readBatch(request.body, request.headers, max_body_bytes));
        const body = (request.body ?? []) as unknown as AsyncIterable<Uint8Array>;
        return patiently(server, request, () => domain.tables.add(name, { body, signal: request.signal }));
      },
      { parse: "none", params: NameParams, ...writes, detail: documentation.add },
    )
    .post(
      "/vectors/index/:name/search",
      ({ params, body, request }) => domain.search(own(request, params), body as SearchQuery),
      { params: NameParams, body: SearchBody, ...reads, detail: documentation.search },
    )
    .post("/vectors/index/:name/get", ({ params, body, request }) => domain.get(own(request, params), body), {
      params: NameParams,
      body: GetBody,
      ...reads,
      detail: documentation.get,
    })
    .post(
      "/vectors/index/:name/delete",
      ({ params, body, request }) => domain.delete(own(request, params), body as DeleteQuery),
      { params: NameParams, body: DeleteBody, ...writes, detail: documentation.delete },
    )
    .get(
      "/vectors/index/:name/export",
      async ({ params, query, request, server }) => {
        const name = own(request, params);
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
        const name = own(request, params);
        // The index would tell its readers what only readers of the table may see.
        requireScope(door.principal(request), "queryd:read");
        const job = await domain.tables.load(name, body);
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
    );
}

function isParquet(request: Request): boolean {
  return (request.headers.get("content-type") ?? "").split(";")[0]?.trim().toLowerCase() === PARQUET;
}

/** The version that a client holds already (RFC 9110, 13.1.2). */
function heldVersion(request: Request): string | undefined {
  return /^\s*(?:W\/)?"([^"]*)"\s*$/.exec(request.headers.get("if-none-match") ?? "")?.[1];
}

function reserved(name: string): LakeError {
  return new LakeError(
    "forbidden",
    `"${name}" belongs to a service of this lake, as every index whose name begins with ${RESERVED}: ask that service, or choose another name.`,
  );
}
