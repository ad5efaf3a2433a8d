/** Paths of vectord. */
import { Elysia } from "elysia";
import { LakeError } from "../../shared/errors.ts";
import type { Door } from "../../shared/http.ts";
import { readBatch } from "./body.ts";
import { documentation } from "./docs.ts";
import {
  CreateBody,
  DeleteBody,
  type DeleteQuery,
  FieldsBody,
  GetBody,
  NameParams,
  PageQuery,
  RESERVED,
  SearchBody,
  type SearchQuery,
  type Vectord,
} from "./schema.ts";

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
      async ({ params, request }) =>
        domain.add(own(request, params), await readBatch(request.body, request.headers, max_body_bytes)),
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
    );
}

function reserved(name: string): LakeError {
  return new LakeError(
    "forbidden",
    `"${name}" belongs to a service of this lake, as every index whose name begins with ${RESERVED}: ask that service, or choose another name.`,
  );
}
