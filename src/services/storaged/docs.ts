/** What /swagger says of storaged's routes. Wildcard routes are told by hand: the generator leaves them out. */
import { describe } from "../../shared/http.ts";
import { ObjectListSchema, StoredObjectSchema } from "./schema.ts";

const SERVICE = "storaged";
const ETAG = '"3p-dck8fvybahts"';

const key = {
  name: "key",
  in: "path",
  required: true,
  description:
    "The object's key: UTF-8, at most 1,024 bytes, segments parted by / (which need not be escaped). No segment is empty, . or .., and there is no NUL, no backslash and no U+FFFD. Escapes are decoded once.",
  schema: { type: "string", minLength: 1, maxLength: 1024 },
  example: "reports/2026/summary.json",
};

const condition = (name: string, description: string, example: string) => ({
  name,
  in: "header",
  required: false,
  description,
  schema: { type: "string" },
  example,
});

const reading = [
  key,
  condition("If-None-Match", "Answer 304 where the object still has one of these ETags.", ETAG),
  condition("If-Match", "Answer 412 unless the object has one of these ETags.", ETAG),
];

const object = { description: "The object's bytes.", content_type: "application/octet-stream" };
const unchanged = { description: "The reader's version is still the one." };

const put = {
  ...describe({
    service: SERVICE,
    summary: "Store an object",
    description:
      "Streams the body to disk. The object appears whole and durable, or not at all. Keys under `warehouse/` are written by the lake's own services only.",
    answers: {
      200: {
        description: "The object was replaced.",
        schema: StoredObjectSchema,
        example: {
          key: key.example,
          size: 133,
          etag: ETAG,
          sha256: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        },
      },
      201: { description: "The object is new.", schema: StoredObjectSchema },
    },
    problems: [400, 401, 403, 409, 412, 413, 503],
  }),
  operationId: "putObject",
  parameters: [
    key,
    condition("If-None-Match", "Only `*`: create the object, or answer 412 where the key is taken.", "*"),
    condition(
      "If-Match",
      "Replace only the version with this ETag, or answer 412. `*` is any version.",
      ETAG,
    ),
  ],
  requestBody: {
    required: true,
    content: { "application/octet-stream": { schema: { type: "string", format: "binary" } } },
  },
};

const get = {
  ...describe({
    service: SERVICE,
    summary: "Read an object",
    description:
      "Answers the bytes of one version of the object, whole or the one range asked for. Several ranges are answered with the whole.",
    answers: { 200: object, 206: { ...object, description: "The bytes of the range." }, 304: unchanged },
    problems: [400, 401, 403, 404, 412, 416],
  }),
  operationId: "getObject",
  parameters: [
    ...reading,
    condition("Range", "One range of bytes: `first-last`, `first-` or `-last so many`.", "bytes=0-1023"),
    condition("If-Range", "Honour Range only where the object still has this ETag.", ETAG),
  ],
};

const head = {
  ...describe({
    service: SERVICE,
    summary: "An object's size, ETag and time",
    description: "What a read would tell, without the bytes.",
    answers: { 200: { description: "The object is there." }, 304: unchanged },
    problems: [400, 401, 403, 404, 412],
  }),
  operationId: "headObject",
  parameters: reading,
};

const remove = {
  ...describe({
    service: SERVICE,
    summary: "Delete an object",
    description: "Succeeds whether or not the object was there; with If-Match it must be that version.",
    answers: { 204: { description: "The object is gone." } },
    problems: [400, 401, 403, 412],
  }),
  operationId: "deleteObject",
  parameters: [key, condition("If-Match", "Delete only the version with this ETag, or answer 412.", ETAG)],
};

const list = describe({
  service: SERVICE,
  summary: "List objects",
  description:
    "In the order of the keys' UTF-8 bytes. With a delimiter, keys that go on past it are told once, as a prefix. A page may hold fewer than `limit`; the list ends where `next_cursor` is null.",
  answers: {
    200: {
      description: "One page.",
      schema: ObjectListSchema,
      example: {
        objects: [{ key: key.example, size: 133, etag: ETAG, modified: "2026-11-23T11:05:39.000Z" }],
        prefixes: [],
        next_cursor: null,
      },
    },
  },
  problems: [400, 401, 403],
});

/** `list` goes with its route; `wildcards` is the document of the others, by path and method. */
export const documentation = {
  list,
  wildcards: {
    "/storage/put/{key}": { put },
    "/storage/get/{key}": { get, head },
    "/storage/delete/{key}": { delete: remove },
  },
};
