import { expect, test } from "bun:test";
import { inBothCompositions } from "../support/house.ts";

interface Op {
  endpoint: string;
  source: string;
  success: boolean;
  duration_ms: number;
  method: string;
  status: number;
  request_id: string;
}

inBothCompositions("the gateway's witness", (start) => {
  test("reports what was served, and neither the observer's own routes, health, metrics nor docs", async () => {
    const house = await start();
    const ask = (path: string) => fetch(house.url + path, { headers: { "x-request-id": `w${path.length}` } });
    for (const path of ["/health", "/metrics", "/swagger/json", "/v1/observer/stats", "/v1/observer/ops"])
      await (await ask(path)).text();
    await (await ask("/v1/storage/list?prefix=a")).text();
    await (await ask("/v1/storage/get/nothing-here")).text();
    const ops = await reported(house.url, 2);
    expect(ops.map(({ endpoint, success, status }) => [endpoint, success, status])).toEqual([
      ["/v1/storage/get/nothing-here", false, 404],
      ["/v1/storage/list", true, 200],
    ]);
    for (const op of ops) expect(op).toMatchObject({ source: "gateway", method: "GET" });
    expect(ops[1]?.request_id).toBe("w25");
    expect(ops[1]?.duration_ms).toBeGreaterThan(0);
    const stats = (await (await ask("/v1/observer/stats")).json()) as { total: number };
    expect(stats.total).toBe(0);
  });

  test("is silent where it is switched off", async () => {
    const house = await start({ LAKEHOUSE_GATEWAY_WITNESS: "false" });
    await (await fetch(`${house.url}/v1/storage/list`)).text();
    await Bun.sleep(150);
    expect(await list(house.url)).toEqual([]);
  });

  test("drops and counts what the queue can't hold, and slows nobody", async () => {
    const house = await start({ LAKEHOUSE_GATEWAY_WITNESS_QUEUE: "1" });
    await Promise.all(
      Array.from({ length: 40 }, async () => (await fetch(`${house.url}/v1/nowhere`)).text()),
    );
    const text = await (await fetch(`${house.url}/metrics`)).text();
    const dropped = Number(/^lakehouse_gateway_witness_dropped_total (\d+)$/m.exec(text)?.[1]);
    const kept = (await reported(house.url, 1)).length;
    expect(dropped).toBeGreaterThan(0);
    expect(dropped + kept).toBe(40);
  });
});

async function list(url: string): Promise<Op[]> {
  const response = await fetch(`${url}/v1/observer/ops?source=gateway`);
  return ((await response.json()) as { ops: Op[] }).ops;
}

/** Reports are sent a little later than answers; nothing is said about when. */
async function reported(url: string, count: number): Promise<Op[]> {
  for (let tries = 0; tries < 200; tries++) {
    const ops = await list(url);
    if (ops.length >= count) return ops;
    await Bun.sleep(10);
  }
  throw new Error(`fewer than ${count} operations were reported`);
}
