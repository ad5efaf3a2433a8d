/** Operations are recorded and counted through the gateway, and are still there after a kill. */
import { expect, test } from "bun:test";
import type { Stats } from "../../src/services/observerd/schema.ts";
import { inBothCompositionsOfProcesses } from "../support/processes.ts";

inBothCompositionsOfProcesses("smoke observer", (start) => {
  test("5 events, 3 ok and 2 failed from 2 sources, add up; an empty endpoint is 400; a kill loses none", async () => {
    const lake = await start();
    const record = (op: object) =>
      fetch(`${lake.url}/v1/observer/event`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(op),
      });
    const stats = async () => (await (await fetch(`${lake.url}/v1/observer/stats`)).json()) as Stats;
    const events = [
      { endpoint: "/v1/sql", success: true },
      { endpoint: "/v1/sql", success: false, error: "no such table" },
      { endpoint: "/v1/ingest", success: true, source: "scenario", staffer_id: "s-1", event_kind: "load" },
      { endpoint: "/v1/sql", success: true },
      { endpoint: "/v1/ingest", success: false, source: "scenario" },
    ];
    for (const event of events) expect((await record(event)).status).toBe(200);
    expect((await record({ endpoint: "" })).status).toBe(400);

    const before = await stats();
    expect(before).toMatchObject({ total: 5, successes: 3, failures: 2, by_source: { mcp: 3, scenario: 2 } });
    expect(before.recent_scenario_ops.map(({ ok, staffer, kind }) => ({ ok, staffer, kind }))).toEqual([
      { ok: true, staffer: "s-1", kind: "load" },
      { ok: false, staffer: undefined, kind: undefined },
    ]);

    const target = lake.targetOf("observerd");
    await lake.kill(target, "SIGKILL");
    await lake.restart(target);
    expect(await stats()).toEqual(before);
  }, 60_000);
});
