/** Paths of matrixd. */
import { Elysia } from "elysia";
import type { Door } from "../../shared/http.ts";
import { documentation } from "./docs.ts";
import {
  CorpusBody,
  type GuardedMatrixd,
  type MatrixQuery,
  MatrixSearchBody,
  NameParams,
  PageQuery,
} from "./schema.ts";

export function matrixdRoutes(domain: GuardedMatrixd, door: Door) {
  const reads = door.needs("matrixd:read");
  const writes = door.needs("matrixd:write");
  return new Elysia({ normalize: false })
    .post(
      "/matrix/corpora",
      async ({ body, set }) => {
        const made = await domain.register(body);
        set.status = made.existing ? 200 : 201;
        return made;
      },
      { body: CorpusBody, ...writes, detail: documentation.register },
    )
    .get("/matrix/corpora", ({ query }) => domain.corpora(query), {
      query: PageQuery,
      ...reads,
      detail: documentation.corpora,
    })
    .get("/matrix/corpora/:name", ({ params }) => domain.corpus(params.name), {
      params: NameParams,
      ...reads,
      detail: documentation.corpus,
    })
    .delete(
      "/matrix/corpora/:name",
      async ({ params, set }) => {
        await domain.unregister(params.name);
        set.status = 204;
      },
      { params: NameParams, ...writes, detail: documentation.unregister },
    )
    .post(
      "/matrix/search",
      ({ body, request }) => domain.search(body as MatrixQuery, door.principal(request).scopes),
      { body: MatrixSearchBody, ...reads, detail: documentation.search },
    );
}
