import { expect, test } from "bun:test";
import { inBothCompositionsOfProcesses } from "../support/processes.ts";

inBothCompositionsOfProcesses("d5: SQL over an ingested CSV", (start) => {
  test("answers as JSON, NDJSON and CSV, as of a snapshot, and again after a restart", async () => {
    const lake = await start();
    const ingest = async (csv: string, mode: string) => {
      const response = await fetch(`${lake.url}/v1/ingest?name=sales&mode=${mode}`, {
        method: "POST",
        body: csv,
      });
      expect(response.status).toBeLessThan(300);
      return (await response.json()) as { snapshot_id: string };
    };
    const ask = (body: object, accept = "application/json") =>
      fetch(`${lake.url}/v1/sql`, {
        method: "POST",
        headers: { "content-type": "application/json", accept },
        body: JSON.stringify(body),
      });
    const first = await ingest(
      "id,zip,price,day\n1,00123,12.50,2026-11-23\n9007199254740993,98765,,2026-11-24\n",
      "create",
    );
    const sql = "SELECT id, zip, price, day + 1 AS next FROM sales ORDER BY id";
    const rows = [
      [1, "00123", 12.5, "2026-11-24"],
      ["9007199254740993", "98765", null, "2026-11-25"],
    ];
    const answer = await (await ask({ sql })).json();
    expect(answer).toMatchObject({
      rows,
      row_count: 2,
      truncated: false,
      snapshot_ids: { sales: first.snapshot_id },
    });

    await ingest("id,zip,price,day\n3,00007,1.25,2026-11-25\n", "append");
    const count = async (as_of?: string) => {
      const response = await ask({
        sql: "SELECT count(*) FROM sales WHERE zip LIKE ?",
        params: ["0%"],
        as_of,
      });
      return ((await response.json()) as { rows: number[][] }).rows[0]?.[0];
    };
    expect(await count()).toBe(2);
    expect(await count(first.snapshot_id)).toBe(1);

    await lake.restart(lake.targetOf("queryd"));

    const lines = (await (await ask({ sql, as_of: first.snapshot_id }, "application/x-ndjson")).text())
      .trim()
      .split("\n");
    expect(lines.map((line) => Object.values(JSON.parse(line)))).toEqual(rows);
    expect(await (await ask({ sql: "SELECT zip FROM sales ORDER BY zip" }, "text/csv")).text()).toBe(
      "zip\n00007\n00123\n98765\n",
    );
    const refused = await ask({ sql: "SELECT * FROM read_csv('/etc/passwd')" });
    expect([refused.status, ((await refused.json()) as { code: string }).code]).toEqual([400, "sql_refused"]);
  }, 60_000);
});
