import { expect, test } from "bun:test";
import { serviceNames } from "../../src/services/index.ts";
import { inBothCompositions } from "../support/house.ts";

inBothCompositions("health", (start) => {
  test("tells every service and how it is reached", async () => {
    const house = await start();
    const response = await fetch(`${house.url}/health`);
    expect(response.status).toBe(200);
    const body = (await response.json()) as {
      status: string;
      services: Record<string, { status: string; mode: string }>;
    };
    expect(body.status).toBe("ok");
    expect(Object.keys(body.services).sort()).toEqual([...serviceNames].sort());
    for (const service of Object.values(body.services))
      expect(service).toMatchObject({ status: "ok", mode: house.composition });
  });
});
