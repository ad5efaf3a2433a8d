/** ingestd in another process, by the same interface. */
import { ReadableStream } from "node:stream/web";
import type { HttpClient } from "../../shared/client.ts";
import { readJobEvents } from "../../shared/job_events.ts";
import type { Ingestd, Ingested, IngestOptions, Job, Upload } from "./schema.ts";

/** The longest that ingestd itself may be set to take. */
const MAX_INGEST_MS = 86_400_000;

export function createIngestdClient(http: HttpClient): Ingestd {
  function send(options: IngestOptions, upload: Upload, prefer: Record<string, string>): Promise<Response> {
    const headers: Record<string, string> = { ...prefer };
    if (upload.content_type !== null) headers["content-type"] = upload.content_type;
    if (upload.content_encoding !== null) headers["content-encoding"] = upload.content_encoding;
    if (upload.idempotency_key !== null) headers["idempotency-key"] = upload.idempotency_key;
    const body = ReadableStream.from(upload.body) as unknown as BodyInit;
    const { signal } = upload;
    return http.call("/ingest", {
      method: "POST",
      query: options,
      headers,
      body,
      signal,
      timeout_ms: MAX_INGEST_MS,
    });
  }

  const jobPath = (job_id: string) => `/ingest/jobs/${encodeURIComponent(job_id)}`;
  return {
    ingest: async (options, upload) => {
      const response = await send(options, upload, {});
      return { ...((await response.json()) as Ingested), created: response.status === 201 };
    },
    submit: async (options, upload) =>
      (await (await send(options, upload, { prefer: "respond-async" })).json()) as Job,
    job: (job_id) => http.json<Job>(jobPath(job_id)),
    watch: (job_id, signal) =>
      readJobEvents<Job>(http, "ingestd", `${jobPath(job_id)}/events`, { signal, timeout_ms: MAX_INGEST_MS }),
  };
}
