import { describe, expect, test } from "bun:test";
import { appendFileSync, mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createObserverdClient } from "../../src/services/observerd/client.ts";
import type { ObserverHealth, OpsPage, Stats } from "../../src/services/observerd/schema.ts";
import { createHttpClient } from "../../src/shared/client.ts";
import { inBothCompositions } from "../support/house.ts";
import { get, record, serviceKey } from "../support/observer.ts";

inBothCompositions("observerd: the journal", (start) => {
  const directoryWith = (content: string) => {
    const data_dir = mkdtempSync(join(tmpdir(), "lakehouse-"));
    mkdirSync(join(data_dir, "observer"));
    writeFileSync(join(data_dir, "observer", "ops.jsonl"), content);
    return data_dir;
  };

  test("1 valid, 1 corrupt, 1 valid: two are there, one is reported, and the service is degraded", async () => {
    const line = (endpoint: string) =>
      `${JSON.stringify({ timestamp: "2025-01-01T00:00:00Z", endpoint, source: "langfuse" })}\n`;
    const house = await start({}, directoryWith(`${line("/one")}{"endpoint":\n${line("/three")}`));
    const { ops } = await get<OpsPage>(house, "/ops");
    expect(ops.map(({ endpoint, source, success }) => [endpoint, source, success])).toEqual([
      ["/three", "langfuse", false],
      ["/one", "langfuse", false],
    ]);
    const health = await get<ObserverHealth>(house, "/health");
    expect(health).toMatchObject({
      status: "degraded",
      ring_size: 2,
      persisted: true,
      journal: { records: 2, segments: 1, corrupt: 1, torn: 0, gaps: 0 },
    });
    const whole = (await (await fetch(`${house.url}/health`)).json()) as {
      services: { observerd: ObserverHealth };
    };
    expect(whole.services.observerd.status).toBe("degraded");
    await record(house, { endpoint: "/four" });
  });

  test("a torn tail is told, and gone at the next start", async () => {
    const house = await start();
    await record(house, { endpoint: "/a" });
    await house.stop();
    appendFileSync(join(house.data_dir, "observer", "ops.jsonl"), '{"endpoint":"/b"');
    const torn = await start({}, house.data_dir);
    expect(await get<ObserverHealth>(torn, "/health")).toMatchObject({
      status: "degraded",
      journal: { torn: 1 },
    });
    await torn.stop();
    const again = await start({}, house.data_dir);
    expect(await get<ObserverHealth>(again, "/health")).toMatchObject({
      status: "ok",
      journal: { records: 1 },
    });
  });

  test('persist_path = "" keeps operations in memory only', async () => {
    const house = await start({ LAKEHOUSE_OBSERVERD_PERSIST_PATH: "" });
    await record(house, { endpoint: "/a", id: "x" });
    expect(await record(house, { endpoint: "/a", id: "x" })).toMatchObject({ duplicate: true });
    expect(await get<ObserverHealth>(house, "/health")).toMatchObject({
      persisted: false,
      journal: { segments: 0 },
    });
    await house.stop();
    const again = await start({ LAKEHOUSE_OBSERVERD_PERSIST_PATH: "" }, house.data_dir);
    expect((await get<Stats>(again, "/stats")).total).toBe(0);
  });
});

inBothCompositions("observerd: the gateway's own reports", (start) => {
  const quiet = { LAKEHOUSE_GATEWAY_WITNESS: "false" };
  const report = [{ endpoint: "GET /v1/sql", source: "gateway", success: true, duration_ms: 3 }];

  test("are taken from the lake's own services only, and kept apart", async () => {
    const house = await start(quiet);
    await record(house, { endpoint: "/a" });
    const target = house.service_urls.observerd ?? `${house.url}/v1`;
    const send = (headers: Record<string, string>) =>
      fetch(`${target}/observer/events`, {
        method: "POST",
        headers: { "content-type": "application/json", ...headers },
        body: JSON.stringify(report),
      });
    expect(await (await send({})).json()).toMatchObject({ accepted: 0, rejected: 1 });
    expect(await (await send(serviceKey(house))).json()).toMatchObject({ accepted: 1 });
    expect(await get<Stats>(house, "/stats")).toMatchObject({ total: 1, by_source: { mcp: 1 } });
    expect((await get<OpsPage>(house, "/ops")).ops.map(({ endpoint }) => endpoint)).toEqual(["/a"]);
    expect((await get<OpsPage>(house, "/ops?source=gateway")).ops).toMatchObject(report);
    await house.stop();
    const again = await start(quiet, house.data_dir);
    expect((await get<OpsPage>(again, "/ops?source=gateway")).ops).toMatchObject(report);
    expect(await get<Stats>(again, "/stats")).toMatchObject({ total: 1 });
  });
});

describe("observerd: its client", () => {
  inBothCompositions("speaks the same interface", (start) => {
    test("records, repeats, lists, counts, witnesses, and passes errors on", async () => {
      const house = await start({ LAKEHOUSE_GATEWAY_WITNESS: "false" });
      const client = createObserverdClient(
        createHttpClient({
          service: "observerd",
          base_url: house.service_urls.observerd ?? `${house.url}/v1`,
          service_token: serviceKey(house).authorization.slice("Bearer ".length),
          timeout_ms: 5000,
        }),
      );
      expect(await client.record({ endpoint: "/a", id: "1", success: true })).toMatchObject({
        accepted: true,
        id: "1",
      });
      expect(await client.record({ endpoint: "/a", id: "1" })).toMatchObject({ duplicate: true });
      expect(await client.recordAll([{ endpoint: "/b" }, { endpoint: "" }], true)).toMatchObject({
        rejected: 1,
      });
      await client.witness([{ endpoint: "GET /v1/x", success: true }]);
      await expect(client.record({ endpoint: "" })).rejects.toMatchObject({ code: "invalid" });
      expect(await client.stats()).toMatchObject({ total: 2, successes: 1 });
      expect((await client.ops({ limit: 1 })).ops).toMatchObject([{ endpoint: "/b" }]);
      expect((await client.ops({ source: "gateway" })).ops).toMatchObject([{ endpoint: "GET /v1/x" }]);
      expect(await client.health()).toMatchObject({ status: "ok", gateway: { ring_size: 1 } });
    });
  });
});
