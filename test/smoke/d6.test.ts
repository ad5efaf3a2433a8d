/** The whole path on one bind: an object, a file into a table, SQL, time travel, the witness, health. */
import { expect, test } from "bun:test";
import { inBothCompositionsOfProcesses, type RunningProcesses } from "../support/processes.ts";

const FIRST = "id,city,temp\n1,Oslo,4.5\n2,Lima,19.0\n";
const SECOND = "id,city,temp\n3,Pune,27.25\n";
const START_WAIT_MS = 60_000;

interface Ingested {
  snapshot_id: string;
  rows: number;
}

inBothCompositionsOfProcesses("d6: the whole path", (start) => {
  test(
    "put, ingest, query, travel, observe",
    async () => {
      const lake = await start();
      await keepsAnObject(lake);
      const first = await ingest(lake, FIRST, "", 201);
      const second = await ingest(lake, SECOND, "&mode=append", 200);
      expect(second.snapshot_id).not.toBe(first.snapshot_id);
      const sql = "SELECT count(*) AS n, max(temp) AS warmest FROM d6";
      expect(await query(lake, { sql })).toEqual([[3, 27.25]]);
      expect(await query(lake, { sql, as_of: first.snapshot_id })).toEqual([[2, 19]]);
      expect(await query(lake, { sql: "SELECT city FROM d6 WHERE id = $id", params: { id: 1 } })).toEqual([
        ["Oslo"],
      ]);
      await witnesses(lake);
      const health = await fetch(`${lake.url}/health`);
      expect(health.status).toBe(200);
      expect(await health.json()).toMatchObject({ status: "ok" });
    },
    START_WAIT_MS,
  );
});

async function keepsAnObject({ url }: RunningProcesses): Promise<void> {
  const put = await fetch(`${url}/v1/storage/put/notes/d6.txt`, { method: "PUT", body: "kept" });
  expect(put.status).toBe(201);
  const got = await fetch(`${url}/v1/storage/get/notes/d6.txt`);
  expect(await got.text()).toBe("kept");
}

async function ingest(
  { url }: RunningProcesses,
  csv: string,
  more: string,
  status: number,
): Promise<Ingested> {
  const response = await fetch(`${url}/v1/ingest?name=d6${more}`, {
    method: "POST",
    body: csv,
    headers: { "content-type": "text/csv" },
  });
  const answer = await response.text();
  expect({ status: response.status, answer }).toMatchObject({ status });
  const ingested = JSON.parse(answer) as Ingested;
  expect(ingested.rows).toBe(csv.trim().split("\n").length - 1);
  return ingested;
}

async function query({ url }: RunningProcesses, body: object): Promise<unknown[][]> {
  const response = await fetch(`${url}/v1/sql`, {
    method: "POST",
    body: JSON.stringify(body),
    headers: { "content-type": "application/json" },
  });
  const answer = await response.text();
  expect({ status: response.status, answer }).toMatchObject({ status: 200 });
  return (JSON.parse(answer) as { rows: unknown[][] }).rows;
}

async function witnesses({ url }: RunningProcesses): Promise<void> {
  const event = await fetch(`${url}/v1/observer/event`, {
    method: "POST",
    body: JSON.stringify({ endpoint: "d6", source: "scenario", success: true }),
    headers: { "content-type": "application/json" },
  });
  expect(await event.json()).toMatchObject({ accepted: true, ring_size: 1 });
  const stats = await fetch(`${url}/v1/observer/stats`);
  expect(await stats.json()).toMatchObject({
    total: 1,
    successes: 1,
    failures: 0,
    by_source: { scenario: 1 },
  });
}
