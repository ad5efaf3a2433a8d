/** Calls to observerd through the gateway. */
import { expect } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Recorded } from "../../src/services/observerd/schema.ts";
import type { RunningHouse } from "./house.ts";

export const observer = (house: RunningHouse, path: string) => `${house.url}/v1/observer${path}`;

export async function get<T>(house: RunningHouse, path: string): Promise<T> {
  const response = await fetch(observer(house, path));
  expect(response.status).toBe(200);
  return (await response.json()) as T;
}

export function post(house: RunningHouse, path: string, body: unknown, headers: Record<string, string> = {}) {
  return fetch(observer(house, path), {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: typeof body === "string" ? body : JSON.stringify(body),
  });
}

export async function record(house: RunningHouse, op: object): Promise<Recorded> {
  const response = await post(house, "/event", op);
  expect(response.status).toBe(200);
  return (await response.json()) as Recorded;
}

/** The header that only the lake's own services can send. */
export const serviceKey = (house: RunningHouse) => ({
  authorization: `Bearer ${readFileSync(join(house.data_dir, "service.token"), "utf8").trim()}`,
});
