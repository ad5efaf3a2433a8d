/** Paths of matrixd. */
import { Elysia } from "elysia";
import type { Door } from "../../shared/http.ts";
import { documentation, judgements } from "./docs.ts";
import {
  CorpusBody,
  DowngradeBody,
  type GuardedMatrixd,
  type MatrixQuery,
  MatrixSearchBody,
  NameParams,
  OutcomeBody,
  OutcomesQuerySchema,
  PageQuery,
  PlaybookBody,
  PlaybooksBody,
  PlaybooksQuerySchema,
  RelevanceBody,
  RetireBody,
} from "./schema.ts";

export function matrixdRoutes(domain: GuardedMatrixd, door: Door) {
  const reads = door.needs("matrixd:read");
  const writes = door.needs("matrixd:write");
  return new Elysia({ normalize: false })
    .post(
      "/matrix/corpora",
      async ({ body, request, set }) => {
        const made = await domain.register(body, door.principal(request).scopes);
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
    .post(
      "/matrix/corpora/:name/refresh",
      async ({ params, set }) => {
        const corpus = await domain.refresh(params.name);
        set.status = 202;
        return corpus;
      },
      { params: NameParams, ...writes, detail: documentation.refresh },
    )
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
    )
    .use(judgementRoutes(domain, door));
}

/** What is judged rather than found. */
function judgementRoutes(domain: GuardedMatrixd, door: Door) {
  const scopesOf = (request: Request) => door.principal(request).scopes;
  const reads = door.needs("matrixd:read");
  const writes = door.needs("matrixd:write");
  return new Elysia({ normalize: false })
    .post("/matrix/relevance", ({ body }) => domain.relevance(body), {
      body: RelevanceBody,
      ...reads,
      detail: judgements.relevance,
    })
    .post("/matrix/downgrade", ({ body }) => domain.downgrade(body), {
      body: DowngradeBody,
      ...reads,
      detail: judgements.downgrade,
    })
    .post("/matrix/outcomes", ({ body }) => domain.recordOutcome(body), {
      body: OutcomeBody,
      ...writes,
      detail: judgements.recordOutcome,
    })
    .get("/matrix/outcomes", ({ query }) => domain.outcomes(query), {
      query: OutcomesQuerySchema,
      ...reads,
      detail: judgements.outcomes,
    })
    .post("/matrix/playbooks/record", ({ body, request }) => domain.recordPlaybook(body, scopesOf(request)), {
      body: PlaybookBody,
      ...writes,
      detail: judgements.recordPlaybook,
    })
    .post(
      "/matrix/playbooks/bulk",
      ({ body, request }) => domain.recordPlaybooks(body.playbooks, scopesOf(request)),
      {
        body: PlaybooksBody,
        ...writes,
        detail: judgements.recordPlaybooks,
      },
    )
    .get("/matrix/playbooks", ({ query, request }) => domain.playbooks(query, scopesOf(request)), {
      query: PlaybooksQuerySchema,
      ...reads,
      detail: judgements.playbooks,
    })
    .post("/matrix/playbooks/retire", ({ body, request }) => domain.retirePlaybook(body, scopesOf(request)), {
      body: RetireBody,
      ...writes,
      detail: judgements.retirePlaybook,
    });
}
