/** Paths of storaged. The key is taken from the URL as it came: a router's decoding is lenient, ours is not. */
import { Elysia } from "elysia";
import { LakeError } from "../../shared/errors.ts";
import type { Door } from "../../shared/http.ts";
import { asFile, type SendableFile } from "./body.ts";
import { type Conditions, httpDate, parseRange } from "./conditions.ts";
import { documentation } from "./docs.ts";
import type { ConditionalRead, StoragedDomain } from "./domain.ts";
import { decodeKey } from "./keys.ts";
import { ListQuerySchema, type ObjectInfo, type StoredObject } from "./schema.ts";

export function storagedRoutes(domain: StoragedDomain, door: Door) {
  const sending = new WeakMap<Request, SendableFile>();
  const by_service = (request: Request) => door.principal(request).is_service;
  return (
    new Elysia({ normalize: false })
      .put(
        "/storage/put/*",
        async ({ request, route, set }) => {
          const key = keyOf(request, route);
          const { created, ...stored } = await store(domain, request, key, by_service(request));
          set.status = created ? 201 : 200;
          set.headers.etag = stored.etag;
          return stored;
        },
        { parse: "none", ...door.needs("storaged:write") },
      )
      // Not .get: for that Elysia answers HEAD itself, by reading the whole object to count its bytes.
      .all(
        "/storage/get/*",
        async ({ request, route }) => {
          if (request.method !== "GET" && request.method !== "HEAD") throw notAllowed(request);
          const { response, file } = await answer(domain, request, keyOf(request, route));
          if (file) sending.set(request, file);
          return response;
        },
        {
          parse: "none",
          ...door.needs("storaged:read"),
          // By now the server has the response, and has opened the file on its own.
          afterResponse: ({ request }) => sending.get(request)?.close(),
        },
      )
      .delete(
        "/storage/delete/*",
        async ({ request, route, set }) => {
          const if_match = header(request.headers, "if-match");
          await domain.delete(keyOf(request, route), { if_match, by_service: by_service(request) });
          set.status = 204;
        },
        { parse: "none", ...door.needs("storaged:write") },
      )
      .get("/storage/list", ({ query }) => domain.list(query), {
        query: ListQuerySchema,
        ...door.needs("storaged:read"),
        detail: documentation.list,
      })
  );
}

/** The key as it stands in the URL, past the route's own path. */
function keyOf(request: Request, route: string): string {
  const { pathname } = new URL(request.url);
  return decodeKey(pathname.slice(route.length - 1));
}

/** A sender that goes away is told as that, not as a failure of ours. */
async function store(
  domain: StoragedDomain,
  request: Request,
  key: string,
  by_service: boolean,
): Promise<StoredObject> {
  try {
    return await domain.put(key, request.body ?? new Uint8Array(), {
      ...writeConditions(request.headers),
      by_service,
      size: sizeOf(request.headers),
      signal: request.signal,
    });
  } catch (error) {
    if (error instanceof LakeError || !request.signal.aborted) throw error;
    throw new LakeError("invalid", "The sender went away before the body was whole.", {}, error);
  }
}

async function answer(
  domain: StoragedDomain,
  request: Request,
  key: string,
): Promise<{ response: Response; file?: SendableFile }> {
  const conditions = readConditions(request.headers);
  const read: ConditionalRead =
    request.method === "HEAD"
      ? await domain.headIf(key, conditions)
      : await domain.getIf(key, conditions, parseRange(header(request.headers, "range")));
  const { info, unchanged, range, body } = read;
  const headers = headersOf(info);
  if (unchanged) return { response: new Response(null, { status: 304, headers }) };
  headers["content-length"] = String(range ? range.end - range.start + 1 : info.size);
  if (range) headers["content-range"] = `bytes ${range.start}-${range.end}/${info.size}`;
  const file = body && asFile(body);
  return { response: new Response(file?.blob ?? body, { status: range ? 206 : 200, headers }), file };
}

function notAllowed(request: Request): LakeError {
  return new LakeError("method_not_allowed", `An object is read by GET or HEAD, not ${request.method}.`, {
    allow: ["GET", "HEAD"],
  });
}

/** Never a type that a browser would run: an object is what anyone has put. */
function headersOf(info: ObjectInfo): Record<string, string> {
  return {
    etag: info.etag,
    "last-modified": httpDate(info.modified),
    "x-object-modified": info.modified,
    "accept-ranges": "bytes",
    "content-type": "application/octet-stream",
    "content-disposition": "attachment",
    "x-content-type-options": "nosniff",
  };
}

function readConditions(headers: Headers): Conditions {
  return {
    if_match: header(headers, "if-match"),
    if_none_match: header(headers, "if-none-match"),
    if_modified_since: header(headers, "if-modified-since"),
    if_unmodified_since: header(headers, "if-unmodified-since"),
    if_range: header(headers, "if-range"),
  };
}

function writeConditions(headers: Headers): { create_only: boolean; if_match?: string } {
  const if_none_match = header(headers, "if-none-match");
  if (if_none_match !== undefined && if_none_match !== "*")
    throw new LakeError(
      "invalid",
      "If-None-Match must be * on a write: it creates the object, or changes nothing.",
    );
  if (headers.has("content-range"))
    throw new LakeError("invalid", "Content-Range is not understood on a write; send the object whole.");
  return { create_only: if_none_match !== undefined, if_match: header(headers, "if-match") };
}

/** The declared length of a body; undefined where it comes in chunks. */
function sizeOf(headers: Headers): number | undefined {
  const declared = headers.get("content-length");
  return declared === null ? undefined : Number(declared);
}

function header(headers: Headers, name: string): string | undefined {
  return headers.get(name) ?? undefined;
}
