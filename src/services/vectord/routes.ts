/** Paths of vectord. */
import { Elysia } from "elysia";
import type { Door } from "../../shared/http.ts";
import { readBatch } from "./body.ts";
import { documentation } from "./docs.ts";
import {
  CreateBody,
  DeleteBody,
  type DeleteQuery,
  GetBody,
  NameParams,
  PageQuery,
  SearchBody,
  type SearchQuery,
  type Vectord,
} from "./schema.ts";

export function vectordRoutes(domain: Vectord, door: Door, max_body_bytes: number) {
  const reads = door.needs("vectord:read");
  const writes = door.needs("vectord:write");
  return new Elysia({ normalize: false })
    .post(
      "/vectors/index",
      async ({ body, set }) => {
        const made = await domain.create(body);
        set.status = 201;
        return made;
      },
      { body: CreateBody, ...writes, detail: documentation.create },
    )
    .get("/vectors/index", ({ query }) => domain.list(query), {
      query: PageQuery,
      ...reads,
      detail: documentation.list,
    })
    .get("/vectors/index/:name", ({ params }) => domain.index(params.name), {
      params: NameParams,
      ...reads,
      detail: documentation.index,
    })
    .delete(
      "/vectors/index/:name",
      async ({ params, set }) => {
        await domain.drop(params.name);
        set.status = 204;
      },
      { params: NameParams, ...writes, detail: documentation.drop },
    )
    .post(
      "/vectors/index/:name/add",
      async ({ params, request }) =>
        domain.add(params.name, await readBatch(request.body, request.headers, max_body_bytes)),
      { parse: "none", params: NameParams, ...writes, detail: documentation.add },
    )
    .post(
      "/vectors/index/:name/search",
      ({ params, body }) => domain.search(params.name, body as SearchQuery),
      { params: NameParams, body: SearchBody, ...reads, detail: documentation.search },
    )
    .post("/vectors/index/:name/get", ({ params, body }) => domain.get(params.name, body), {
      params: NameParams,
      body: GetBody,
      ...reads,
      detail: documentation.get,
    })
    .post(
      "/vectors/index/:name/delete",
      ({ params, body }) => domain.delete(params.name, body as DeleteQuery),
      { params: NameParams, body: DeleteBody, ...writes, detail: documentation.delete },
    );
}
