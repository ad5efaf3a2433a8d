import { describe, expect, test } from "bun:test";
import { appendFileSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createObserverdClient } from "../../src/services/observerd/client.ts";
import type {
  ObserverHealth,
  OpsPage,
  Recorded,
  RecordedAll,
  Stats,
} from "../../src/services/observerd/schema.ts";
import { createHttpClient } from "../../src/shared/client.ts";
import { inBothCompositions, type RunningHouse } from "../support/house.ts";

const observer = (house: RunningHouse, path: string) => `${house.url}/v1/observer${path}`;

async function get<T>(house: RunningHouse, path: string): Promise<T> {
  const response = await fetch(observer(house, path));
  expect(response.status).toBe(200);
  return (await response.json()) as T;
}

function post(house: RunningHouse, path: string, body: unknown, headers: Record<string, string> = {}) {
  return fetch(observer(house, path), {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: typeof body === "string" ? body : JSON.stringify(body),
  });
}

async function record(house: RunningHouse, op: object): Promise<Recorded> {
  const response = await post(house, "/event", op);
  expect(response.status).toBe(200);
  return (await response.json()) as Recorded;
}

const serviceKey = (house: RunningHouse) => ({
  authorization: `Bearer ${readFileSync(join(house.data_dir, "service.token"), "utf8").trim()}`,
});

inBothCompositions("observerd: one operation", (start) => {
  test("is accepted with defaults, and listed as it came", async () => {
    const house = await start();
    const before_ms = Date.now();
    const recorded = await record(house, { endpoint: "/a", odd: { deep: [1, null, "é"] }, error: null });
    expect(recorded).toEqual({ accepted: true, id: recorded.id, ring_size: 1 });
    const { ops, next_cursor } = await get<OpsPage>(house, "/ops");
    const [op] = ops;
    expect(op).toEqual({
      id: recorded.id,
      timestamp: op?.timestamp as string,
      source: "mcp",
      success: false,
      endpoint: "/a",
      odd: { deep: [1, null, "é"] },
      error: null,
    });
    expect(op?.timestamp).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    expect(Date.parse(op?.timestamp as string)).toBeWithin(before_ms, Date.now() + 1);
    expect(next_cursor).toBeNull();
  });

  test("keeps every known member", async () => {
    const house = await start();
    const op = {
      id: "op-1",
      timestamp: "2026-01-02T03:04:05.678Z",
      source: "overseer_correction",
      success: true,
      endpoint: "/b",
      duration_ms: 12.5,
      input_summary: "in",
      output_summary: "out",
      error: "none",
      staffer_id: "s",
      sig_hash: "h",
      event_kind: "k",
      role: "r",
      city: "c",
      state: "st",
      count: 3,
      rescue_attempted: true,
      rescue_succeeded: false,
      model: "m",
      tokens_in: 1,
      tokens_out: 2,
      trace_id: "t",
      span_id: "sp",
      parent_span_id: "pa",
      hits: [{ id: "x" }],
    };
    expect(await record(house, op)).toEqual({ accepted: true, id: "op-1", ring_size: 1 });
    expect((await get<OpsPage>(house, "/ops")).ops).toEqual([op]);
  });

  test("with an id is counted once, however often it is sent, over restarts too; the first wins", async () => {
    const house = await start();
    await record(house, { endpoint: "/first", id: "same" });
    expect(await record(house, { endpoint: "/second", id: "same" })).toMatchObject({
      duplicate: true,
      ring_size: 1,
    });
    await house.stop();
    const again = await start({}, house.data_dir);
    expect(await record(again, { endpoint: "/third", id: "same" })).toMatchObject({
      id: "same",
      duplicate: true,
    });
    expect((await get<OpsPage>(again, "/ops")).ops.map(({ endpoint }) => endpoint)).toEqual(["/first"]);
  });

  const refused: [string, object, string][] = [
    ["an empty endpoint", { endpoint: "" }, "/endpoint"],
    ["a blank endpoint", { endpoint: "  " }, "/endpoint"],
    ["no endpoint", { success: true }, "/endpoint"],
    [
      "an unknown source",
      { endpoint: "/a", source: "elsewhere" },
      "mcp|scenario|langfuse|overseer_correction",
    ],
    ["the gateway's source", { endpoint: "/a", source: "gateway" }, "/source"],
    ["a negative duration", { endpoint: "/a", duration_ms: -1 }, "/duration_ms"],
    ["a success that is no boolean", { endpoint: "/a", success: "yes" }, "/success"],
    ["a time that is none", { endpoint: "/a", timestamp: "yesterday" }, "/timestamp"],
    ["a day that does not exist", { endpoint: "/a", timestamp: "2026-19-39T00:00:00Z" }, "timestamp"],
    ["an empty id", { endpoint: "/a", id: "" }, "/id"],
    ["the journal's own member", { endpoint: "/a", _seq: 1 }, "_seq"],
    ["the journal's other member", { endpoint: "/a", _crc: "00000000" }, "_crc"],
  ];
  test("is refused with 400 where it is none", async () => {
    const house = await start();
    for (const [what, op, told] of refused) {
      const response = await post(house, "/event", op);
      const problem = (await response.json()) as { code: string; detail: string };
      expect([what, response.status, problem.code]).toEqual([what, 400, "invalid"]);
      expect(problem.detail).toContain(told);
    }
    const malformed = await post(house, "/event", '{"endpoint":');
    expect(malformed.status).toBe(400);
    expect((await get<Stats>(house, "/stats")).total).toBe(0);
  });

  test("over max_event_bytes is 413 and not kept", async () => {
    const house = await start({ LAKEHOUSE_OBSERVERD_MAX_EVENT_BYTES: "1000" });
    expect((await post(house, "/event", { endpoint: "/a", input_summary: "x".repeat(1000) })).status).toBe(
      413,
    );
    expect((await post(house, "/event", { endpoint: "/a", input_summary: "x".repeat(500) })).status).toBe(
      200,
    );
    expect((await get<Stats>(house, "/stats")).total).toBe(1);
  });
});

inBothCompositions("observerd: a batch", (start) => {
  const values = [
    { endpoint: "/a", success: true },
    { endpoint: "" },
    { endpoint: "/b", source: "scenario" },
    7,
  ];

  test("of JSON or NDJSON is judged one by one", async () => {
    const house = await start();
    const judged = async (body: unknown, type: string) => {
      const response = await post(house, "/events", body, { "content-type": type });
      expect(response.status).toBe(200);
      return (await response.json()) as RecordedAll;
    };
    const json = await judged(values, "application/json");
    expect(json).toMatchObject({ accepted: 2, rejected: 2 });
    expect(json.errors.map(({ index }) => index)).toEqual([1, 3]);
    expect(json.errors[0]?.message).toContain("/endpoint");
    const lines = `${values.map((value) => JSON.stringify(value)).join("\n")}\n\nnot json\n`;
    const ndjson = await judged(lines, "application/x-ndjson");
    expect(ndjson.errors.map(({ index }) => index)).toEqual([1, 3, 4]);
    expect(ndjson.errors[2]?.message).toStartWith("line 6 is not valid JSON");
    expect(await get<Stats>(house, "/stats")).toMatchObject({ total: 4, by_source: { mcp: 2, scenario: 2 } });
  });

  test("repeats an id harmlessly", async () => {
    const house = await start();
    const same = [1, 2, 3].map((count) => ({ endpoint: "/a", id: "same", count }));
    const response = await post(house, "/events", same);
    expect(await response.json()).toEqual({ accepted: 3, rejected: 0, errors: [] });
    expect((await get<OpsPage>(house, "/ops")).ops.map(({ count }) => count)).toEqual([1]);
  });

  test("is refused whole past max_events, in another type, or where it is no list", async () => {
    const house = await start({ LAKEHOUSE_OBSERVERD_MAX_EVENTS: "2" });
    const ops = [1, 2, 3].map(() => ({ endpoint: "/a" }));
    for (const response of [
      await post(house, "/events", ops),
      await post(house, "/events", "a,b", { "content-type": "text/csv" }),
      await post(house, "/events", { endpoint: "/a" }),
    ])
      expect(response.status).toBe(400);
    expect((await get<Stats>(house, "/stats")).total).toBe(0);
  });

  test("past the queue is told one by one, and nothing accepted is lost", async () => {
    const house = await start({ LAKEHOUSE_OBSERVERD_QUEUE: "5" });
    const ops = Array.from({ length: 8 }, (_, count) => ({ endpoint: "/a", count }));
    const judged = (await (await post(house, "/events", ops)).json()) as RecordedAll;
    expect(judged).toMatchObject({ accepted: 5, rejected: 3 });
    expect(judged.errors[0]?.message).toContain("wait for the disk");
    expect((await get<Stats>(house, "/stats")).total).toBe(5);
  });
});

inBothCompositions("observerd: lists and stats", (start) => {
  test("pages are newest first and complete, by any filter", async () => {
    const house = await start();
    const sources = ["mcp", "scenario", "langfuse"];
    const ops = Array.from({ length: 25 }, (_, count) => ({
      endpoint: count % 2 ? "/odd" : "/even",
      count,
      source: sources[count % 3],
      success: count % 5 === 0,
      timestamp: new Date(Date.UTC(2026, 0, 1, 0, count)).toISOString(),
    }));
    await post(house, "/events", ops);
    const listed = async (query: string) => {
      const counts: (number | null | undefined)[] = [];
      for (let cursor: string | null = "first"; cursor !== null; ) {
        const page: OpsPage = await get(
          house,
          `/ops?limit=4&${query}${cursor === "first" ? "" : `&cursor=${cursor}`}`,
        );
        expect(page.ops.length).toBeLessThanOrEqual(4);
        counts.push(...page.ops.map(({ count }) => count));
        cursor = page.next_cursor;
      }
      return counts;
    };
    const expected = (keep: (op: (typeof ops)[number]) => boolean) =>
      ops
        .filter(keep)
        .map(({ count }) => count)
        .reverse();
    expect(await listed("")).toEqual(expected(() => true));
    expect(await listed("source=langfuse")).toEqual(expected(({ source }) => source === "langfuse"));
    expect(await listed("success=true")).toEqual(expected(({ success }) => success));
    expect(await listed("success=false&endpoint=/odd")).toEqual(
      expected(({ success, endpoint }) => !success && endpoint === "/odd"),
    );
    expect(await listed("since=2026-01-01T00:05:00Z&until=2026-01-01T01:12:00%2B01:00")).toEqual(
      expected(({ count }) => count >= 5 && count < 12),
    );
  });

  test("a bad query is 400", async () => {
    const house = await start();
    for (const query of ["limit=0", "limit=1001", "cursor=x", "source=y", "success=maybe", "since=now"])
      expect([query, (await fetch(observer(house, `/ops?${query}`))).status]).toEqual([query, 400]);
  });

  test("stats are over the ring, with the ten newest scenario operations, oldest first", async () => {
    const house = await start({ LAKEHOUSE_OBSERVERD_RING_CAPACITY: "20" });
    const ops = Array.from({ length: 30 }, (_, i) => ({
      endpoint: "/a",
      success: i % 3 === 0,
      source: i % 2 ? "scenario" : "mcp",
      timestamp: new Date(Date.UTC(2026, 0, 1, 0, i)).toISOString(),
      ...(i === 29 ? { staffer_id: "s", event_kind: "k", role: null } : {}),
    }));
    for (const op of ops) await record(house, op);
    const ring = ops.slice(10);
    const successes = ring.filter(({ success }) => success).length;
    const recent = ring.filter(({ source }) => source === "scenario").slice(-10);
    const expected = {
      total: 20,
      successes,
      failures: 20 - successes,
      by_source: { scenario: 10, mcp: 10 },
      recent_scenario_ops: recent.map((op, i) => ({
        ts: op.timestamp,
        ok: op.success,
        ...(i === 9 ? { staffer: "s", kind: "k" } : {}),
      })),
    };
    expect(await get<Stats>(house, "/stats")).toEqual(expected);
    await house.stop();
    const again = await start({ LAKEHOUSE_OBSERVERD_RING_CAPACITY: "20" }, house.data_dir);
    expect(await get<Stats>(again, "/stats")).toEqual(expected);
  });
});

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
