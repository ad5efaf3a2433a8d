/** The API's page: whatever must be given has an example, and the examples work, one after the other, on a new lake. */
import { expect, test } from "bun:test";
import { inBothCompositions } from "../support/house.ts";

const WAIT_MS = 60_000;
const TAKES_NO_BODY = "POST /v1/matrix/corpora/{name}/refresh";
/** What a client makes and later examples name, so that this order is the one to try them in. */
const IN_ORDER = [
  "POST /v1/ingest",
  "POST /v1/sql",
  "PUT /v1/storage/put/{key}",
  "GET /v1/storage/get/{key}",
  "POST /v1/embed",
  "POST /v1/embed/match",
  "POST /v1/embeddings",
  "GET /v1/embed/models",
  "POST /v1/vectors/index",
  "GET /v1/vectors/index/{name}",
  "POST /v1/vectors/index/{name}/add",
  "POST /v1/vectors/index/{name}/search",
  "POST /v1/vectors/index/{name}/get",
  "POST /v1/vectors/index/{name}/fields",
  "POST /v1/vectors/index/{name}/from_table",
  "GET /v1/vectors/index/{name}/export",
  "POST /v1/vectors/index/{name}/snapshot",
  "POST /v1/vectors/restore",
  "POST /v1/matrix/corpora",
  "GET /v1/matrix/corpora/{name}",
  "POST /v1/matrix/search",
  "POST /v1/matrix/relevance",
  "POST /v1/matrix/outcomes",
  "GET /v1/matrix/outcomes",
  "POST /v1/matrix/downgrade",
  "POST /v1/matrix/playbooks/record",
  "POST /v1/matrix/playbooks/bulk",
  "GET /v1/matrix/playbooks",
  "POST /v1/matrix/playbooks/retire",
  "DELETE /v1/matrix/corpora/{name}",
  "POST /v1/vectors/index/{name}/delete",
  "DELETE /v1/vectors/index/{name}",
  "POST /v1/pathway/import",
  "POST /v1/pathway/add",
  "POST /v1/pathway/add_idempotent",
  "POST /v1/pathway/update",
  "POST /v1/pathway/outcome",
  "POST /v1/pathway/retire",
  "POST /v1/pathway/unretire",
  "POST /v1/pathway/revise",
  "POST /v1/pathway/search",
  "GET /v1/pathway/get/{uid}",
  "GET /v1/pathway/history/{uid}",
  "GET /v1/pathway/export",
  "GET /v1/pathway/stats",
  "GET /v1/pathway/audit",
  "GET /v1/pathway/health",
  "POST /v1/pathway/forget",
  "POST /v1/observer/event",
  "POST /v1/observer/events",
  "GET /v1/observer/ops",
  "DELETE /v1/storage/delete/{key}",
];

interface Media {
  example?: unknown;
  schema?: { examples?: unknown[]; format?: string };
}
interface Operation {
  parameters?: { name: string; in: string; required?: boolean; example?: unknown }[];
  requestBody?: { content: Record<string, Media> };
  responses: Record<string, { content?: Record<string, Media> }>;
}
type Operations = Map<string, Operation>;

inBothCompositions("the page's examples", (start) => {
  test("there is one for each parameter that must be given, each body and each answer; no body goes untold", async () => {
    const operations = await documented((await start()).url);
    expect(operations.size).toBeGreaterThan(60);
    expect([...operations].flatMap(([route, operation]) => lacking(route, operation))).toEqual([]);
    const without = [...operations].filter(([, { requestBody }]) => !requestBody).map(([route]) => route);
    expect(without.filter((route) => /^(POST|PUT|PATCH) /.test(route))).toEqual([TAKES_NO_BODY]);
  });

  test(
    "they work one after the other on a new lake",
    async () => {
      const { url } = await start();
      const operations = await documented(url);
      for (const route of IN_ORDER) {
        const response = await tryOut(url, route, operations.get(route) as Operation);
        const answer = await response.text();
        expect({ route, answer: response.ok ? "ok" : answer }).toEqual({ route, answer: "ok" });
        if (route.endsWith("/from_table")) await loaded(url, JSON.parse(answer) as { job_id: string });
      }
    },
    WAIT_MS,
  );
});

async function documented(url: string): Promise<Operations> {
  const { paths } = (await (await fetch(`${url}/swagger/json`)).json()) as {
    paths: Record<string, Record<string, Operation>>;
  };
  return new Map(
    Object.entries(paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, it]) => [`${method.toUpperCase()} ${path}`, it] as const),
    ),
  );
}

function lacking(route: string, { parameters = [], requestBody, responses }: Operation): string[] {
  const named = parameters.filter(({ required, example }) => required && example === undefined);
  const bodies = Object.entries(requestBody?.content ?? {}).filter(
    ([type, media]) => !shown(media) && media.schema?.format !== "binary" && type !== "multipart/form-data",
  );
  const answers = Object.entries(responses).filter(
    ([status, { content }]) =>
      status === "200" && content?.["application/json"] && !shown(content["application/json"]),
  );
  return [
    ...named.map(({ name }) => `${route}: the parameter ${name}`),
    ...bodies.map(([type]) => `${route}: a body of ${type}`),
    ...answers.map(([status]) => `${route}: the answer ${status}`),
  ];
}

function shown(media: Media): boolean {
  return media.example !== undefined || media.schema?.examples?.[0] !== undefined;
}

/** As the page sends it: every parameter that has an example, and the first kind of body. */
function tryOut(url: string, route: string, operation: Operation): Promise<Response> {
  const [method = "", template = ""] = route.split(" ");
  const given = (operation.parameters ?? []).filter(({ required }) => required);
  const query = new URLSearchParams(
    given.filter((it) => it.in === "query").map(({ name, example }) => [name, String(example)]),
  );
  const path = template.replace(/\{(\w+)\}/, (_, name) =>
    encodeURIComponent(String(given.find((it) => it.name === name)?.example)),
  );
  const [type, media] = Object.entries(operation.requestBody?.content ?? {})[0] ?? [];
  const example = media?.example ?? media?.schema?.examples?.[0] ?? "";
  const sent = type && {
    headers: { "content-type": type },
    body: typeof example === "string" ? example : JSON.stringify(example),
  };
  return fetch(`${url}${path}${query.size > 0 ? `?${query}` : ""}`, { method, ...sent });
}

async function loaded(url: string, { job_id }: { job_id: string }): Promise<void> {
  const events = await (await fetch(`${url}/v1/vectors/jobs/${job_id}/events`)).text();
  expect(events).toContain("event: done");
}
