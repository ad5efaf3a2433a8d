/** Indexes as tables, of a vectord in another process. */
import { ReadableStream } from "node:stream/web";
import type { HttpClient } from "../../shared/client.ts";
import { readJobEvents } from "../../shared/job_events.ts";
import type { Added, Vectord } from "./schema.ts";
import { type LoadJob, PARQUET } from "./tables_schema.ts";

/** The longest that vectord itself may be set to take. */
const MAX_TRANSFER_MS = 86_400_000;
const NOT_MODIFIED = 304;

/** @param path of an index */
export function createTablesClient(http: HttpClient, path: (name: string) => string): Vectord["tables"] {
  const jobPath = (job_id: string) => `/vectors/jobs/${encodeURIComponent(job_id)}`;
  return {
    async parquet(name, { vectors, unless_version }) {
      const response = await http.call(`${path(name)}/export`, {
        query: { vectors },
        headers: unless_version === undefined ? {} : { "if-none-match": `"${unless_version}"` },
        accept: [NOT_MODIFIED],
        timeout_ms: MAX_TRANSFER_MS,
      });
      const version = (response.headers.get("etag") ?? "").replaceAll('"', "");
      if (response.status === NOT_MODIFIED) return { version };
      return { version, body: response.body ?? new Response("").body ?? undefined };
    },
    add: (name, { body, signal }) =>
      http.json<Added>(`${path(name)}/add`, {
        method: "POST",
        headers: { "content-type": PARQUET },
        body: ReadableStream.from(body) as unknown as BodyInit,
        signal,
        timeout_ms: MAX_TRANSFER_MS,
      }),
    load: (name, request) =>
      http.json<LoadJob>(`${path(name)}/from_table`, { method: "POST", json: request }),
    job: (job_id) => http.json<LoadJob>(jobPath(job_id)),
    watch: (job_id, signal) =>
      readJobEvents<LoadJob>(http, "vectord", `${jobPath(job_id)}/events`, {
        signal,
        timeout_ms: MAX_TRANSFER_MS,
      }),
  };
}
