/** A time that no calendar has is refused wherever a caller may write one, in both compositions. */
import { expect, test } from "bun:test";
import { inBothCompositions } from "../support/house.ts";
import { send } from "../support/ingest.ts";
import type { Problem } from "../support/vectors.ts";

const NONE = "2026-02-30T00:00:00Z";
const LEAP = "2016-12-31T23:59:60Z";

inBothCompositions("times", (start) => {
  test("a day that is in no calendar is refused by every service, and a leap second is the second after it", async () => {
    const house = await start();
    const ask = async <T = Problem>(method: string, path: string, body?: object) => {
      const response = await fetch(`${house.url}/v1${path}`, {
        method,
        headers: body === undefined ? {} : { "content-type": "application/json" },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      return { status: response.status, body: (await response.json()) as T };
    };
    await ask("POST", "/vectors/index", { name: "dated", dimension: 2 });
    await send(house.url, "name=dated", '{"id":1}');
    const item = { id: "a", vector: [1, 0], expires_at: NONE };
    const refused: [string, string, object?][] = [
      ["POST", "/vectors/index/dated/add", { items: [item] }],
      ["POST", "/pathway/add", { content: "x", valid_from: NONE }],
      ["POST", "/pathway/add", { content: "x", expires_at: NONE }],
      ["POST", "/pathway/search", { as_of: NONE }],
      ["POST", "/sql", { sql: "SELECT * FROM dated", as_of: NONE }],
      ["POST", "/observer/event", { endpoint: "/x", timestamp: NONE }],
      ["GET", `/observer/ops?since=${NONE}`],
      ["POST", "/catalog/plan", { name: "dated", as_of: NONE }],
    ];
    for (const [method, path, body] of refused)
      expect([path, await ask(method, path, body)]).toMatchObject([
        path,
        { status: 400, body: { code: "invalid" } },
      ]);

    const added = await ask<{ uid: string }>("POST", "/pathway/add", {
      content: "a long minute",
      valid_from: LEAP,
    });
    expect(added.status).toBe(201);
    expect(await ask("GET", `/pathway/get/${added.body.uid}`)).toMatchObject({
      body: { valid_from: "2017-01-01T00:00:00.000Z" },
    });
  });
});
