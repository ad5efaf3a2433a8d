/** Paths of ingestd: the file streams in, and a job's progress streams out. */
import { Elysia, t } from "elysia";
import { LakeError } from "../../shared/errors.ts";
import { type Door, patiently } from "../../shared/http.ts";
import { jobEvents } from "../../shared/job_events.ts";
import { documentation } from "./docs.ts";
import type { IngestdDomain } from "./domain.ts";
import { IngestQuery, type Upload } from "./schema.ts";

const JobParams = t.Object({
  job_id: t.String({
    minLength: 1,
    maxLength: 64,
    description: "as the 202 told it",
    examples: ["01932f3e-5d4c-7c9a-b6e0-2f1a8e7d9c01"],
  }),
});

export function ingestdRoutes(domain: IngestdDomain, door: Door) {
  return new Elysia({ normalize: false })
    .post(
      "/ingest",
      async ({ request, query, set, server }) => {
        const upload = uploadOf(request);
        if (/(^|[,;\s])respond-async($|[,;\s])/i.test(request.headers.get("prefer") ?? "")) {
          const job = await domain.submit(query, upload);
          set.status = 202;
          set.headers.location = `ingest/jobs/${job.job_id}`; // relative, since only the edge has /v1
          set.headers["preference-applied"] = "respond-async";
          return job;
        }
        const ingest = () => domain.ingest(query, upload);
        const { created, ...ingested } = await patiently(server, request, ingest);
        set.status = created ? 201 : 200;
        return ingested;
      },
      { parse: "none", query: IngestQuery, ...door.needs("ingestd:write"), detail: documentation.ingest },
    )
    .get("/ingest/jobs/:job_id", ({ params }) => domain.job(params.job_id), {
      params: JobParams,
      ...door.needs("ingestd:read"),
      detail: documentation.job,
    })
    .get(
      "/ingest/jobs/:job_id/events",
      ({ params, request, server }) => {
        server?.timeout(request, 0);
        return jobEvents(request, (signal) => domain.watch(params.job_id, signal));
      },
      { params: JobParams, ...door.needs("ingestd:read"), detail: documentation.events },
    );
}

function uploadOf(request: Request): Upload {
  if (request.body === null)
    throw new LakeError(
      "invalid",
      "The file is the request's body (or one part of a multipart/form-data body); there is none.",
    );
  return {
    body: request.body as unknown as AsyncIterable<Uint8Array>,
    content_type: request.headers.get("content-type"),
    content_encoding: request.headers.get("content-encoding"),
    idempotency_key: idempotencyKey(request.headers),
    signal: request.signal,
  };
}

function idempotencyKey(headers: Headers): string | null {
  const key = headers.get("idempotency-key");
  if (key !== null && !/^[\x21-\x7e]{1,255}$/.test(key))
    throw new LakeError("invalid", "Idempotency-Key must be 1 to 255 visible ASCII characters.");
  return key;
}
