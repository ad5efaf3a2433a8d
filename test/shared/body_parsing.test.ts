import { expect, test } from "bun:test";
import { Elysia, t } from "elysia";
import { bodyAdapter } from "../../src/shared/body_parsing.ts";
import { conventions } from "../../src/shared/http.ts";
import { createLog } from "../../src/shared/log.ts";

const app = new Elysia({ normalize: false, adapter: bodyAdapter })
  .use(conventions({ log: createLog("silent"), max_json_bytes: 1000, requestId: () => "r-1" }))
  .post("/json", ({ body }) => ({ body }), {
    body: t.Object({ a: t.Number(), text: t.Optional(t.String()) }),
  })
  .post("/lines", ({ body }) => ({ body }), {
    parse: async ({ request, contentType }) => `${contentType}: ${await request.text()}`,
    body: t.Unknown(),
  });

function send(path: string, body: string, content_type: string): Request {
  const headers = { "content-type": content_type, "content-length": String(body.length) };
  return new Request(`http://localhost${path}`, { method: "POST", body, headers });
}

test("JSON of a declared length is read without a stream being made of it", async () => {
  for (const content_type of ["application/json", "application/json; charset=utf-8"])
    for (const text of ['{"a":1}', `{"a":1,"text":"${"x".repeat(900)}"}`]) {
      const request = send("/json", text, content_type);
      // Were it asked for, as Elysia's own code does, this would be a refusal.
      Object.defineProperty(request, "body", { get: () => expect().fail("a stream was asked for") });
      const response = await app.fetch(request);
      expect(response.status).toBe(200);
      expect(await response.json()).toEqual({ body: JSON.parse(text) });
    }
});

test("a route's own parser is given what is not JSON, with its type; JSON is parsed before it", async () => {
  const lines = await app.fetch(send("/lines", "1\n2", "application/x-ndjson; charset=utf-8"));
  expect(await lines.json()).toEqual({ body: "application/x-ndjson: 1\n2" });
  const json = await app.fetch(send("/lines", "[1]", "application/json"));
  expect(await json.json()).toEqual({ body: [1] });
});

test("what can't be parsed is told in our words, with the request's id", async () => {
  for (const [text, content_type, detail] of [
    ['{"a":', "application/json", /^The body is not valid JSON: /],
    ['{"a":1}', "text/plain", /^Send the body as application\/json \(got text\/plain\)/],
    ['{"a":1}', "application/xml", /Content-Type: application\/json \(got application\/xml\)/],
    [`"${"x".repeat(1000)}"`, "application/json", /at most 1000 bytes/],
  ] as const) {
    const response = await app.fetch(send("/json", text, content_type));
    expect(response.status).toBe(detail.source.includes("1000") ? 413 : 400);
    expect(await response.json()).toMatchObject({
      detail: expect.stringMatching(detail),
      request_id: "r-1",
    });
  }
});
