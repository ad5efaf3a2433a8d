/** Paths of catalogd. */
import { Elysia } from "elysia";
import type { Door } from "../../shared/http.ts";
import { documentation } from "./docs.ts";
import type { Catalogd, Commit, CreateTable, Evolution } from "./schema.ts";
import {
  CommitBody,
  CommittedQuery,
  CreateBody,
  DropQuery,
  EvolveBody,
  MaintainBody,
  ManifestQuery,
  NameParams,
  PageQuery,
  PlanBody,
  RegisterBody,
  RollbackBody,
} from "./wire.ts";

export function catalogdRoutes(domain: Catalogd, door: Door) {
  const reads = door.needs("catalogd:read");
  const writes = door.needs("catalogd:write");
  return new Elysia({ normalize: false })
    .post(
      "/catalog/register",
      async ({ body, set }) => {
        const registered = await domain.register(body);
        set.status = registered.existing ? 200 : 201;
        return registered;
      },
      { body: RegisterBody, ...writes, detail: documentation.register },
    )
    .get("/catalog/list", ({ query }) => domain.list(query), {
      query: PageQuery,
      ...reads,
      detail: documentation.list,
    })
    .get("/catalog/manifest/:name", ({ params, query }) => domain.manifest(params.name, query), {
      params: NameParams,
      query: ManifestQuery,
      ...reads,
      detail: documentation.manifest,
    })
    .get("/catalog/history/:name", ({ params, query }) => domain.history(params.name, query), {
      params: NameParams,
      query: PageQuery,
      ...reads,
      detail: documentation.history,
    })
    .post("/catalog/rollback/:name", ({ params, body }) => domain.rollback(params.name, body), {
      params: NameParams,
      body: RollbackBody,
      ...writes,
      detail: documentation.rollback,
    })
    .delete(
      "/catalog/dataset/:name",
      async ({ params, query, set }) => {
        await domain.drop(params.name, query);
        set.status = 204;
      },
      { params: NameParams, query: DropQuery, ...writes, detail: documentation.drop },
    )
    .post("/catalog/evolve/:name", ({ params, body }) => domain.evolve(params.name, body as Evolution), {
      params: NameParams,
      body: EvolveBody,
      ...writes,
      detail: documentation.evolve,
    })
    .post("/catalog/maintain", ({ body }) => domain.maintain(body), {
      body: MaintainBody,
      ...writes,
      detail: documentation.maintain,
    })
    .use(writerRoutes(domain, reads, writes));
}

/** What the lake's own services ask for; open to anyone with the scope. */
function writerRoutes(domain: Catalogd, reads: ReturnType<Door["needs"]>, writes: ReturnType<Door["needs"]>) {
  return new Elysia({ normalize: false })
    .get("/catalog/describe/:name", ({ params }) => domain.describe(params.name), {
      params: NameParams,
      ...reads,
      detail: documentation.describe,
    })
    .post(
      "/catalog/create/:name",
      async ({ params, body, set }) => {
        const table = await domain.create(params.name, body as CreateTable);
        set.status = 201;
        return table;
      },
      { params: NameParams, body: CreateBody, ...writes, detail: documentation.create },
    )
    .post("/catalog/commit/:name", ({ params, body }) => domain.commit(params.name, body as Commit), {
      params: NameParams,
      body: CommitBody,
      ...writes,
      detail: documentation.commit,
    })
    .get(
      "/catalog/committed/:name",
      async ({ params, query }) => ({ commit: await domain.committed(params.name, query.idempotency_key) }),
      { params: NameParams, query: CommittedQuery, ...reads, detail: documentation.committed },
    )
    .post("/catalog/plan", ({ body }) => domain.plan(body), {
      body: PlanBody,
      ...reads,
      detail: documentation.plan,
    })
    .get("/catalog/names", async () => ({ names: await domain.names() }), {
      ...reads,
      detail: documentation.names,
    });
}
