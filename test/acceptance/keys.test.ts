/** Every route of the OpenAPI document, on every port, in both compositions: closed without the right key. */
import { expect, test } from "bun:test";
import { createKey } from "../../src/shared/keys.ts";
import { inBothCompositions } from "../support/house.ts";

const admin = createKey("admin");
const narrow = createKey("narrow");
const other = createKey("other");
const KEYS = JSON.stringify([
  { name: "admin", sha256: admin.sha256, scopes: ["*"] },
  { name: "narrow", sha256: narrow.sha256, scopes: ["gateway:read"] },
  { name: "other", sha256: other.sha256, scopes: ["observerd:read"] },
]);
const OPEN = new Set(["/health"]);
const BAD_KEYS = [
  "lh_admin_not-the-secret",
  "lh_nobody_secret",
  "secret",
  `${admin.key}x`,
  admin.sha256,
  "lhs_not-the-token",
];

interface Operation {
  url: string;
  method: string;
  path: string;
}

/** The operations that a listener documents, with a value in place of each parameter. */
async function operationsOf(base_url: string): Promise<Operation[]> {
  const { paths } = (await (await fetch(`${base_url}/swagger/json`)).json()) as {
    paths: Record<string, Record<string, unknown>>;
  };
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.keys(methods)
      .filter((method) => ["get", "head", "put", "post", "delete", "patch"].includes(method))
      .map((method) => ({
        path,
        method: method.toUpperCase(),
        url: base_url + path.replace(/\{[^}]+\}/g, "x"),
      })),
  );
}

async function ask({ url, method }: Operation, headers: Record<string, string>) {
  const response = await fetch(url, { method, headers });
  const body = await response.text();
  return { status: response.status, code: body === "" ? undefined : JSON.parse(body).code, response };
}

inBothCompositions("keys", (start) => {
  test("are asked for on every route of every port but the open ones", async () => {
    const house = await start({ LAKEHOUSE_KEYS: KEYS });
    const ports = [house.url, ...Object.values(house.service_urls)];
    for (const base_url of ports) {
      const operations = await operationsOf(base_url);
      expect(operations.length).toBeGreaterThan(1);
      for (const operation of operations) {
        const { method, path } = operation;
        const at = `${method} ${operation.url}`;
        if (OPEN.has(path)) {
          expect([at, (await ask(operation, {})).status]).toEqual([at, 200]);
          continue;
        }
        const none = await ask(operation, {});
        expect([at, none.status]).toEqual([at, 401]);
        expect(none.response.headers.get("www-authenticate")).toBe("Bearer");
        for (const key of BAD_KEYS)
          expect([at, key, (await ask(operation, { "x-api-key": key })).status]).toEqual([at, key, 401]);
        expect((await ask(operation, { authorization: "Basic YTpi" })).status).toBe(401);
        const is_gateway_metrics = base_url === house.url && path === "/metrics";
        const wrong = is_gateway_metrics ? other : narrow;
        const refused = await ask(operation, { authorization: `Bearer ${wrong.key}` });
        expect([at, refused.status]).toEqual([at, 403]);
        if (method !== "HEAD") expect(refused.code).toBe("forbidden");
      }
    }
  });

  test("of a narrow scope open what they name and nothing else", async () => {
    const house = await start({ LAKEHOUSE_KEYS: KEYS });
    const status = async (path: string, key: string, method = "GET") =>
      (await fetch(house.url + path, { method, headers: { authorization: `Bearer ${key}` } })).status;
    expect(await status("/v1/observer/stats", other.key)).toBe(200);
    expect(await status("/v1/observer/stats", narrow.key)).toBe(403);
    expect(await status("/metrics", narrow.key)).toBe(200);
    expect(await status("/metrics", other.key)).toBe(403);
    expect(await status("/v1/observer/event", other.key, "POST")).toBe(403);
    expect(await status("/v1/observer/stats", admin.key)).toBe(200);
    for (const base_url of Object.values(house.service_urls)) {
      const own = await fetch(`${base_url}/metrics`, { headers: { "x-api-key": admin.key } });
      expect(own.status).toBe(200);
    }
  });

  test("are checked before a body is read", async () => {
    const house = await start({ LAKEHOUSE_KEYS: KEYS });
    const never = new ReadableStream({ pull: () => new Promise(() => {}) });
    const response = await fetch(`${house.url}/v1/observer/event`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: never,
      signal: AbortSignal.timeout(4000),
    });
    expect(response.status).toBe(401);
  });
});
