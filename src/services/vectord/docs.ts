/** The documentation of vectord's routes. */
import { describe } from "../../shared/http.ts";
import { RestoredSchema, SnapshotSchema } from "./moving_schema.ts";
import {
  AddedSchema,
  DeletedSchema,
  FoundSchema,
  IndexPageSchema,
  IndexSchema,
  ItemsSchema,
} from "./schema.ts";
import { LoadJobSchema, PARQUET } from "./tables_schema.ts";

const service = "vectord";
const INDEX = {
  name: "articles",
  dimension: 256,
  model: "lakehouse-static-en-v1",
  metric: "cosine",
  quantization: "f16",
  connectivity: 16,
  ef_construction: 128,
  indexed: ["city"],
  state: "ready",
  items: 2,
  waiting: 0,
  masked: 0,
  version: "AZ4xQfK0dqS8v2mH1wYc8g.2.2",
  source: null,
  disk_bytes: 86_016,
  memory_bytes: 49_484,
};
const ITEM = { id: "a1", text: "Snow in Oslo", metadata: { city: "Oslo" } };
const ITEMS = [ITEM, { id: "a2", text: "A heat wave in Rome", metadata: { city: "Rome" } }];

/** An item as it is sent; what reads it is body.ts, which streams. */
const NEW_ITEM = {
  type: "object" as const,
  required: ["id"],
  properties: {
    id: { type: "string" as const, description: "an item with the same id is replaced" },
    text: {
      type: "string" as const,
      description: "a vector is made of it where none is given and the index has a model",
    },
    vector: { description: "an array of numbers, or base64 of little-endian f32" },
    metadata: { type: "object" as const },
    expires_at: { type: "string" as const, description: "RFC 3339; from then on it is not found" },
  },
};

const JOB = {
  job_id: "019e31a2-7f6b-7000-8000-3b1f0c2d4e5f",
  index: "articles",
  table: "sales",
  status: "queued",
  phase: "queued",
  percent: 0,
  rows: 0,
  rows_done: 0,
  created_at: "2026-11-23T09:30:00.000Z",
  finished_at: null,
  result: null,
  error: null,
};
const SNAPSHOT = {
  key: "vectors/articles/monday.tar",
  size: 91_648,
  etag: '"1a2b3c"',
  sha256: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
  index: "articles",
  dimension: 256,
  items: 2,
  created_at: "2026-11-23T09:30:00.000Z",
};

export const documentation = {
  create: describe({
    service,
    summary: "Make an index",
    description:
      "Named for good with its dimension and metric. With neither `dimension` nor `model` it takes texts, by the built-in model; with a `dimension` alone it takes vectors only. Scores of each metric: docs/vectors.md.",
    example: { name: "articles", indexed: ["city"] },
    answers: { 201: { description: "Made", schema: IndexSchema, example: { ...INDEX, items: 0 } } },
    problems: [400, 401, 403, 409, 413, 503],
  }),
  list: describe({
    service,
    summary: "List the indexes",
    description: "By name, with counts, bytes and state.",
    answers: {
      200: {
        description: "A page",
        schema: IndexPageSchema,
        example: { indexes: [INDEX], next_cursor: null },
      },
    },
    problems: [400, 401, 403, 503],
  }),
  index: describe({
    service,
    summary: "Tell an index's state",
    description: "Its settings, counts, files, and an estimate of its memory.",
    answers: { 200: { description: "The index", schema: IndexSchema, example: INDEX } },
    problems: [400, 401, 403, 404, 503],
  }),
  fields: describe({
    service,
    summary: "Index fields of the metadata",
    description:
      "Filters on an indexed field ask no item; answers are the same without. Fields added later are read in between searches, `state` being `building` until they serve.",
    example: { add: ["city", "author.name"] },
    answers: { 200: { description: "The index", schema: IndexSchema, example: INDEX } },
    problems: [400, 401, 403, 404, 413, 503],
  }),
  drop: describe({
    service,
    summary: "Delete an index",
    description: "With all its items; gone from the disk when this answers.",
    answers: { 204: { description: "Deleted" } },
    problems: [400, 401, 403, 404, 503],
  }),
  add: {
    ...describe({
      service,
      summary: "Add or replace items",
      description:
        'Upsert by `id`: `{"items": [{id, vector, metadata?, text?, expires_at?}]}`, or one item a line with Content-Type `application/x-ndjson`; or a Parquet file (`application/vnd.apache.parquet`) with the columns id, vector and/or text, metadata, expires_at, any other column becoming a member of the metadata. A vector is an array of numbers or base64 of little-endian f32. All of the batch or nothing: the first fault refuses it, naming item and reason; of a Parquet file every row is judged first, and its batches of max_items are then each written whole. When this answers, the items are on the disk and every later search finds them.',
      example: { items: ITEMS },
      answers: { 200: { description: "Added", schema: AddedSchema, example: { added: 2, replaced: 0 } } },
      problems: [400, 401, 403, 404, 413, 429, 503],
    }),
    requestBody: {
      required: true,
      content: {
        "application/json": {
          schema: {
            type: "object" as const,
            required: ["items"],
            properties: { items: { type: "array" as const, items: NEW_ITEM } },
          },
        },
        "application/x-ndjson": {
          schema: { type: "string" as const },
          example: ITEMS.map((it) => `${JSON.stringify(it)}\n`).join(""),
        },
        [PARQUET]: { schema: { type: "string" as const, format: "binary" } },
      },
    },
  },
  search: describe({
    service,
    summary: "Search by vector",
    description:
      "Best first. By `text`, of which the index's model makes a vector, or by `vector`. Hits tell their metadata; `include` asks for text or vector, too. With `hybrid`, what BM25 and the vector each rank high is fused by a weighted sum, and each hit tells its ranks. With `exact: true`, or where it is cheaper, every item that the filter lets through is compared.",
    example: {
      text: "winter weather",
      k: 5,
      filter: { must: [{ key: "city", match: "Oslo" }] },
      include: ["metadata", "text"],
    },
    answers: {
      200: {
        description: "Found",
        schema: FoundSchema,
        example: {
          results: [
            { id: "a1", score: 0.570698, distance: 0.429302, metadata: ITEM.metadata, text: ITEM.text },
          ],
          exact: true,
          model: "lakehouse-static-en-v1",
          elapsed_ms: 0.4,
        },
      },
    },
    problems: [400, 401, 403, 404, 413, 429, 503, 504],
  }),
  get: describe({
    service,
    summary: "Read items by id",
    description: "Those there are, in the order asked; what has expired is not there.",
    example: { ids: ["a1"], include: ["metadata", "text"] },
    answers: {
      200: {
        description: "The items",
        schema: ItemsSchema,
        example: { items: [{ id: "a1", metadata: ITEM.metadata, text: ITEM.text }] },
      },
    },
    problems: [400, 401, 403, 404, 413, 429, 503],
  }),
  delete: describe({
    service,
    summary: "Delete items by id or by filter",
    description:
      "Durable when this answers. By filter: the items that it lets through when the request comes; one that is replaced meanwhile stays. With `erase: true` the files are rewritten before it answers, so that nothing of any item that is no more is left in them (docs/vectors.md).",
    example: { ids: ["a1"] },
    answers: { 200: { description: "Deleted", schema: DeletedSchema, example: { deleted: 1 } } },
    problems: [400, 401, 403, 404, 413, 429, 503],
  }),
  export: describe({
    service,
    summary: "Export an index as Parquet",
    description:
      "Columns: id, vector (a list of FLOAT; left out with `vectors=false`), text, metadata (JSON in text), expires_at. The items as they were when it began, without those whose time has passed. The ETag is the index's version: `If-None-Match` with it is 304 while nothing was written or removed.",
    answers: { 200: { description: "The file", content_type: PARQUET } },
    problems: [400, 401, 403, 404, 429, 503, 504],
  }),
  from_table: describe({
    service,
    summary: "Read a lake table into an index",
    description:
      "Reads one snapshot of a table as a job: `id` names the column whose value, as text, is the item's id, `text` the one that vectors are made of (or `vector` one that holds them), `metadata` those that become members of the metadata. The index is made where it is not there, with the settings in `index`. `where`, a filter over the table's columns, says which rows are taken. Rows whose item is the same already are left alone; with `remove_missing` items that the rows taken don't have are removed. The key needs `queryd:read`, too. The example reads the table that the example of POST /ingest makes.",
    example: { table: "sales", id: "id", text: "note", metadata: ["day"] },
    answers: { 202: { description: "The job, begun", schema: LoadJobSchema, example: JOB } },
    problems: [400, 401, 403, 404, 409, 413, 429, 503],
  }),
  job: describe({
    service,
    summary: "Tell how far a table is read",
    description: "The job of a `from_table`.",
    answers: { 200: { description: "The job", schema: LoadJobSchema, example: JOB } },
    problems: [401, 403, 404],
  }),
  events: describe({
    service,
    summary: "Follow a job",
    description:
      "Server-sent events: `progress` with the job as it is whenever it changes, then `done` or `failed`.",
    answers: {
      200: {
        description: "The events",
        content_type: "text/event-stream",
        example: `event: progress\ndata: ${JSON.stringify(JOB)}\n\n`,
      },
    },
    problems: [401, 403, 404],
  }),
  snapshot: describe({
    service,
    summary: "Keep an index as one object",
    description:
      "A consistent copy as a tar in storaged, with a manifest and checksums (docs/vectors.md); searches and writes go on. What was acknowledged before is in it.",
    example: { key: "vectors/articles/monday.tar" },
    answers: { 200: { description: "Kept", schema: SnapshotSchema, example: SNAPSHOT } },
    problems: [400, 401, 403, 404, 413, 429, 502, 503, 504],
  }),
  restore: describe({
    service,
    summary: "Make an index of a snapshot",
    description:
      "Under the name it had, or another; `replace: true` where an index of that name is there. The example takes the object that the example of snapshot keeps. The object is judged whole, by its checksums and as an index, before anything is replaced; then the index is the new one, or still the old one, and never something between.",
    example: { key: "vectors/articles/monday.tar", name: "articles", replace: true },
    answers: {
      200: { description: "Replaced", schema: RestoredSchema, example: { ...INDEX, replaced: true } },
      201: { description: "Made", schema: RestoredSchema, example: { ...INDEX, replaced: false } },
    },
    problems: [400, 401, 403, 404, 409, 413, 429, 502, 503, 504],
  }),
};
