/** The documentation of vectord's routes. */
import { describe } from "../../shared/http.ts";
import {
  AddedSchema,
  DeletedSchema,
  FoundSchema,
  IndexPageSchema,
  IndexSchema,
  ItemsSchema,
} from "./schema.ts";

const service = "vectord";
const INDEX = {
  name: "articles",
  dimension: 3,
  metric: "cosine",
  quantization: "f16",
  connectivity: 16,
  ef_construction: 128,
  indexed: ["city"],
  state: "ready",
  items: 2,
  waiting: 0,
  masked: 0,
  disk_bytes: 86_016,
  memory_bytes: 49_484,
};
const ITEM = {
  id: "a1",
  vector: [0.1, 0.7, 0.2],
  metadata: { city: "Oslo", tags: ["news"] },
  text: "Snow in Oslo",
};

export const documentation = {
  create: describe({
    service,
    summary: "Make an index",
    description: "Named for good with its dimension and metric. Scores of each metric: docs/vectors.md.",
    example: { name: "articles", dimension: 3, metric: "cosine", indexed: ["city"] },
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
  add: describe({
    service,
    summary: "Add or replace items",
    description:
      'Upsert by `id`: `{"items": [{id, vector, metadata?, text?, expires_at?}]}`, or one item a line with Content-Type `application/x-ndjson`. A vector is an array of numbers or base64 of little-endian f32. All of the batch or nothing: the first fault refuses it, naming item and reason. When this answers, the items are on the disk and every later search finds them.',
    example: { items: [ITEM] },
    answers: { 200: { description: "Added", schema: AddedSchema, example: { added: 1, replaced: 0 } } },
    problems: [400, 401, 403, 404, 413, 429, 503],
  }),
  search: describe({
    service,
    summary: "Search by vector",
    description:
      "Best first. With `hybrid.text`, what BM25 and the vector each rank high is fused by a weighted sum, and each hit tells its ranks. With `exact: true`, or where it is cheaper, every item that the filter lets through is compared.",
    example: { vector: [0.1, 0.7, 0.2], k: 5, filter: { must: [{ key: "city", match: "Oslo" }] } },
    answers: {
      200: {
        description: "Found",
        schema: FoundSchema,
        example: {
          results: [{ id: "a1", score: 1, distance: 0, metadata: ITEM.metadata }],
          exact: true,
          model: null,
          elapsed_ms: 0.4,
        },
      },
    },
    problems: [400, 401, 403, 404, 413, 429, 503],
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
};
