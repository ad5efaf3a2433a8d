import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Elysia } from "elysia";
import { Edge, type EdgeOptions } from "../../src/shared/edge.ts";
import { KeyRing, serviceToken } from "../../src/shared/keys.ts";
import { createLog } from "../../src/shared/log.ts";
import { Metrics } from "../../src/shared/metrics.ts";

const data_dir = mkdtempSync(join(tmpdir(), "lakehouse-edge-"));
afterAll(() => rmSync(data_dir, { recursive: true, force: true }));

function serve(options: Partial<EdgeOptions>) {
  const edge = new Edge({
    log: createLog("silent"),
    metrics: new Metrics(),
    keys: new KeyRing([], serviceToken(data_dir)),
    app: new Elysia().get("/health", "fine"),
    forwards: [],
    max_body_bytes: 1000,
    max_held_bytes: 1000,
    serviceOf: () => "none",
    ...options,
  });
  const server = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: edge.fetch, error: edge.error });
  return { edge, url: server.url.href, stop: () => server.stop(true) };
}

async function expectProblem(response: Response): Promise<void> {
  expect(response.status).toBe(500);
  expect(response.headers.get("content-type")).toBe("application/problem+json");
  const problem = (await response.json()) as { code: string; detail: string; request_id: string };
  expect(problem).toMatchObject({ code: "internal", detail: "Internal error" });
  expect(problem.request_id).not.toBe("");
}

const fails = (): never => {
  throw new Error("a secret of the machine");
};

test("what fails after the answer was made is a problem, mounted and forwarded", async () => {
  const forward = { service: "x", prefix: "x", forward: async () => fails() };
  const { url, edge, stop } = serve({ witness: fails, forwards: [forward] });
  try {
    await expectProblem(await fetch(`${url}health`));
    await expectProblem(await fetch(`${url}v1/nowhere`));
    // A forward that breaks its promise never to reject gets past the edge, into the listener's last handler.
    await expectProblem(await fetch(`${url}v1/x/y`));
    expect(edge.underWay().filter((it) => it.includes("/health"))).toEqual([]);
  } finally {
    await stop();
  }
});
