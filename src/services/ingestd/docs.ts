/** What the OpenAPI document says of ingestd's routes. */
import { describe } from "../../shared/http.ts";
import { IngestedSchema, JobSchema } from "./schema.ts";

const CSV = "id,day,note\n1,2026-11-23,Paid by card\n2,2026-11-24,Sent back\n";

const ingested = {
  dataset: "sales",
  snapshot_id: "4358109269873137077",
  rows: 2,
  bytes_in: 65,
  bytes_out: 912,
  schema: [
    { name: "id", type: "long", nullable: true },
    { name: "day", type: "date", nullable: true },
    { name: "note", type: "string", nullable: true },
  ],
  rejected: { count: 0, samples: [] },
  existing: false,
  elapsed_ms: 84,
};

const job = {
  job_id: "01932f3e-5d4c-7c9a-b6e0-2f1a8e7d9c01",
  dataset: "sales",
  status: "running",
  phase: "converting",
  percent: 40,
  bytes: 210_329_418,
  rows: 0,
  created_at: "2026-11-23T10:00:00.000Z",
  finished_at: null,
  result: null,
  error: null,
};

export const documentation = {
  ingest: {
    ...describe({
      service: "ingestd",
      summary: "Put a file into a table",
      description:
        "The body is the file: CSV, TSV, JSON (an array or a stream of objects), NDJSON or Parquet, as it is or compressed (gzip, zstd), or one file of a multipart/form-data body. It becomes Parquet and one new snapshot of the table: all of it or, whatever goes wrong, nothing. Types are right for the whole file: `00123` stays text wherever it stands, decimals and 64-bit ids keep every digit. Without `mode` a new table is made; the same bytes with the same options again are answered 200 with `existing: true`. `Idempotency-Key` guards a repeated append. `Prefer: respond-async` answers 202 with a job once the file is received.",
      example: CSV,
      answers: {
        200: {
          description: "Committed to a table there was, or made before",
          schema: IngestedSchema,
          example: { ...ingested, existing: true },
        },
        201: { description: "A new table", schema: IngestedSchema, example: ingested },
        202: {
          description: "Received; the job goes on",
          schema: JobSchema,
          example: { ...job, status: "queued", phase: "queued", percent: 0 },
        },
      },
      problems: [400, 401, 403, 409, 413, 429, 500, 503, 504],
    }),
    requestBody: {
      required: true,
      content: {
        "text/csv": { schema: { type: "string" as const }, example: CSV },
        "application/x-ndjson": {
          schema: { type: "string" as const },
          example: '{"id": 1, "day": "2026-11-23", "note": "Paid by card"}\n',
        },
        "application/vnd.apache.parquet": { schema: { type: "string" as const, format: "binary" } },
        "multipart/form-data": {
          schema: {
            type: "object" as const,
            properties: { file: { type: "string" as const, format: "binary" } },
          },
        },
      },
    },
  },
  job: describe({
    service: "ingestd",
    summary: "How far a job is",
    description:
      "A job's phase (reading, converting, merging, storing, committing), how much of it is done, and in the end its result or its problem. A job that was under way when the service stopped is told as failed.",
    answers: { 200: { description: "The job", schema: JobSchema, example: job } },
    problems: [401, 403, 404],
  }),
  events: describe({
    service: "ingestd",
    summary: "A job's progress as it happens",
    description:
      "Server-sent events: `progress` with the job whenever it has changed, then `done` or `failed`, which ends the stream.",
    answers: {
      200: {
        description: "Events",
        content_type: "text/event-stream",
        example: `event: progress\ndata: ${JSON.stringify(job)}\n\n`,
      },
    },
    problems: [401, 403, 404],
  }),
};
