import { expect, test } from "bun:test";
import type { OpsPage, RecordedAll, Stats } from "../../src/services/observerd/schema.ts";
import { inBothCompositions } from "../support/house.ts";
import { get, observer, post, record } from "../support/observer.ts";

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
    ["an empty endpoint", { endpoint: "" }, "endpoint must be "],
    ["a blank endpoint", { endpoint: "  " }, "endpoint must be "],
    ["no endpoint", { success: true }, "endpoint is required"],
    [
      "an unknown source",
      { endpoint: "/a", source: "elsewhere" },
      'source must be one of "mcp", "scenario", "langfuse", "overseer_correction"; got "elsewhere"',
    ],
    ["the gateway's source", { endpoint: "/a", source: "gateway" }, "source must be "],
    ["a negative duration", { endpoint: "/a", duration_ms: -1 }, "duration_ms must be "],
    ["a success that is no boolean", { endpoint: "/a", success: "yes" }, "success must be "],
    ["a time that is none", { endpoint: "/a", timestamp: "yesterday" }, "timestamp must be "],
    ["a day that does not exist", { endpoint: "/a", timestamp: "2026-19-39T00:00:00Z" }, "timestamp"],
    ["an empty id", { endpoint: "/a", id: "" }, "id must be "],
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
    expect(json.errors[0]?.message).toStartWith("The operation is not valid: endpoint ");
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
