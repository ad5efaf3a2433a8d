/** Whatever goes wrong, and whoever would answer it: a problem document, with the request's id. */
import { describe, expect, test } from "bun:test";
import { connect } from "node:net";
import { inBothCompositions } from "../support/house.ts";

interface Case {
  what: string;
  method?: string;
  path: string;
  headers?: Record<string, string>;
  body?: BodyInit;
  status: number;
  code: string;
}

const JSON_TYPE = { "content-type": "application/json" };
const event = (what: string, body: BodyInit, headers: Record<string, string> = JSON_TYPE): Case => ({
  what,
  method: "POST",
  path: "/v1/observer/event",
  headers,
  body,
  status: 400,
  code: "invalid",
});

const CASES: Case[] = [
  { what: "an unknown route", path: "/nowhere", status: 404, code: "not_found" },
  { what: "an unknown route under /v1", path: "/v1/nowhere/x", status: 404, code: "not_found" },
  { what: "a service's unknown route", path: "/v1/observer/nowhere", status: 404, code: "not_found" },
  { what: "a method the route lacks", path: "/v1/observer/event", status: 405, code: "method_not_allowed" },
  { what: "OPTIONS", method: "OPTIONS", path: "/v1/sql", status: 405, code: "method_not_allowed" },
  {
    what: "a method the edge lacks",
    method: "DELETE",
    path: "/health",
    status: 405,
    code: "method_not_allowed",
  },
  event("a body that is no JSON", "{"),
  event("an empty body", ""),
  event("a body that the schema refuses", '{"endpoint":5}'),
  event("a body of another type", '{"endpoint":"x"}', { "content-type": "text/plain" }),
  event("a form", "endpoint=x", { "content-type": "application/x-www-form-urlencoded" }),
  event("a body without a type", new Blob([new TextEncoder().encode('{"endpoint":"x"}')]), {}),
  { what: "a query the schema refuses", path: "/v1/observer/ops?limit=many", status: 400, code: "invalid" },
  {
    ...event("a body past max_json_bytes", JSON.stringify({ endpoint: "x".repeat(2000) })),
    status: 413,
    code: "too_large",
  },
];

inBothCompositions("an error", (start) => {
  test.each(CASES)("is a problem: $what", async ({ method = "GET", path, headers, body, status, code }) => {
    const house = await start({ LAKEHOUSE_MAX_JSON_BYTES: "1024" });
    const response = await fetch(house.url + path, {
      method,
      headers: { ...headers, "x-request-id": "walk-1" },
      body,
    });
    const text = await response.text();
    expect([response.status, response.headers.get("content-type")]).toEqual([
      status,
      "application/problem+json",
    ]);
    const problem = JSON.parse(text) as Record<string, unknown>;
    expect(problem).toMatchObject({
      status,
      code,
      request_id: "walk-1",
      type: `urn:lakehouse:problem:${code}`,
    });
    expect(problem.title).toBeString();
    expect(problem.detail).toBeString();
    expect(response.headers.get("x-request-id")).toBe("walk-1");
    expect(text).not.toMatch(/node_modules|\/src\/|\.ts:\d/);
    if (status === 405) expect(response.headers.get("allow")).toBeString();
  });

  test("of a schema names each fault", async () => {
    const house = await start();
    const response = await fetch(`${house.url}/v1/observer/event`, {
      method: "POST",
      headers: JSON_TYPE,
      body: '{"endpoint":"x","duration_ms":-1,"success":"yes"}',
    });
    const { errors } = (await response.json()) as { errors: { path: string; message: string }[] };
    expect(errors.map((it) => it.path).sort()).toEqual(["/duration_ms", "/success"]);
  });

  test("of a body nested as deep as its bytes allow is the body's, not ours", async () => {
    const house = await start();
    for (const depth of [31_000, 1_000_000]) {
      const body = `{"sql":"SELECT 1","params":[${"[".repeat(depth)}${"]".repeat(depth)}]}`;
      const response = await fetch(`${house.url}/v1/sql`, { method: "POST", headers: JSON_TYPE, body });
      expect([response.status, ((await response.json()) as { code: string }).code]).toEqual([400, "invalid"]);
    }
  });

  test("of a chunked body past max_json_bytes comes while it still arrives", async () => {
    const house = await start({ LAKEHOUSE_MAX_JSON_BYTES: "1024" });
    const chunk = new TextEncoder().encode(`"${"x".repeat(998)}",`);
    const endless = new ReadableStream({
      async pull(controller) {
        await Bun.sleep(1);
        controller.enqueue(chunk);
      },
    });
    const aborted = new AbortController();
    const response = await fetch(`${house.url}/v1/observer/event`, {
      method: "POST",
      headers: JSON_TYPE,
      body: endless,
      signal: aborted.signal,
    });
    expect(response.status).toBe(413);
    aborted.abort();
  });

  test("gets an id of its own where the one sent is not fit to be logged", async () => {
    const house = await start();
    const given = await fetch(`${house.url}/nowhere`, { headers: { "x-request-id": "a b<script>" } });
    expect(given.headers.get("x-request-id")).toMatch(/^[A-Za-z0-9-]+$/);
    const ids = await Promise.all(
      Array.from({ length: 50 }, async () =>
        (await fetch(`${house.url}/health`)).headers.get("x-request-id"),
      ),
    );
    expect(new Set(ids).size).toBe(50);
  });

  test("meets a page of another site, where no key is configured", async () => {
    const house = await start();
    const from = (origin: string) =>
      fetch(`${house.url}/v1/observer/stats`, { headers: { origin } }).then(({ status }) => status);
    expect(await from("https://evil.example")).toBe(403);
    expect(await from(house.url)).toBe(200);
    const as = (host: string) =>
      fetch(`${house.url}/v1/observer/stats`, { headers: { host } }).then(({ status }) => status);
    for (const host of ["rebound.evil.example", "127.0.0.1.evil.example:80"])
      expect(await as(host)).toBe(403);
    for (const host of ["localhost", "lake.localhost:1", "127.0.0.1:80", "[::1]", "lake"])
      expect(await as(host)).toBe(200);
  });

  test("of Bun's own parser closes the connection, and serves others on", async () => {
    const house = await start();
    const { port } = new URL(house.url);
    const send = (text: string) =>
      new Promise<string>((resolve) => {
        let back = "";
        const socket = connect(Number(port), "127.0.0.1", () => socket.end(text));
        socket.on("data", (chunk) => {
          back += chunk;
        });
        socket.on("error", () => {}); // reset: what came is what counts
        socket.on("close", () => resolve(back));
      });
    for (const text of [
      "GET /health HTTP/1.1\r\n\r\n",
      "GET nowhere HTTP/1.1\r\nHost: a\r\n\r\n",
      "\x16\x03\x01\r\n\r\n",
      "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      `GET / HTTP/1.1\r\nHost: a\r\nx: ${"a".repeat(200_000)}\r\n\r\n`,
    ])
      expect(await send(text)).toMatch(/^(HTTP\/1\.1 4\d\d |$)/);
    for (const host of ["a, b", "a b", "a/b", "", "@a", "a:b"])
      expect(await send(`GET /health HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`)).toStartWith(
        "HTTP/1.1 400 ",
      );
    // Twice the same is one to Bun's parser and no number to a limit.
    const json = JSON.stringify({ endpoint: "a".repeat(3000) });
    const twice = `Content-Length: ${json.length}\r\n`.repeat(2);
    expect(
      await send(
        `POST /v1/observer/event HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nConnection: close\r\n${twice}\r\n${json}`,
      ),
    ).toContain("Send at most one Content-Length");
    expect((await fetch(`${house.url}/health`)).status).toBe(200);
  });
});

describe("HEAD", () => {
  test("is answered as GET is, without a body", async () => {
    const { startHouse } = await import("../support/house.ts");
    const house = await startHouse("mounted");
    const head = await fetch(`${house.url}/v1/observer/stats`, { method: "HEAD" });
    const get = await fetch(`${house.url}/v1/observer/stats`);
    expect([head.status, head.headers.get("content-type")]).toEqual([200, get.headers.get("content-type")]);
    expect(await head.text()).toBe("");
    await house.stop();
  });
});
