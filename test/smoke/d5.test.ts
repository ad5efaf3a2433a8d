/** SQL over a table that came from a file: answers, formats, parameters, and what is refused. */
import { expect, test } from "bun:test";
import { inBothCompositionsOfProcesses } from "../support/processes.ts";

const CSV = "id,city,opened\n00123,Oslo,2026-01-31\n00124,Lima,2026-02-28\n00125,Oslo,\n";

inBothCompositionsOfProcesses("d5: SQL over an ingested table", (start) => {
  test("answers in every format, and refuses what is not one SELECT", async () => {
    const { url } = await start();
    const ingested = await fetch(`${url}/v1/ingest?name=smoke.d5`, {
      method: "POST",
      body: CSV,
      headers: { "content-type": "text/csv" },
    });
    expect(ingested.status).toBe(201);
    const ask = (sql: string, accept = "application/json", params?: unknown[]) =>
      fetch(`${url}/v1/sql`, {
        method: "POST",
        body: JSON.stringify({ sql, params }),
        headers: { "content-type": "application/json", accept },
      });

    const grouped = await ask(
      "SELECT city, count(*) AS n, min(id) AS first FROM smoke.d5 GROUP BY ALL ORDER BY n DESC",
    );
    expect(await grouped.json()).toMatchObject({
      columns: [
        { name: "city", type: "VARCHAR" },
        { name: "n", type: "BIGINT" },
        { name: "first", type: "VARCHAR" },
      ],
      rows: [
        ["Oslo", 2, "00123"],
        ["Lima", 1, "00124"],
      ],
      truncated: false,
    });
    const named = await ask("SELECT city FROM smoke.d5 WHERE opened > ?", "application/json", ["2026-02-01"]);
    expect(await named.json()).toMatchObject({ rows: [["Lima"]] });
    const lines = await ask("SELECT id, opened FROM smoke.d5 ORDER BY id", "application/x-ndjson");
    expect(
      (await lines.text())
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line)),
    ).toEqual([
      { id: "00123", opened: "2026-01-31" },
      { id: "00124", opened: "2026-02-28" },
      { id: "00125", opened: null },
    ]);
    const csv = await ask("SELECT id, city FROM smoke.d5 ORDER BY id LIMIT 1", "text/csv");
    expect(await csv.text()).toBe("id,city\n00123,Oslo\n");
    const parquet = await ask("SELECT * FROM smoke.d5", "application/vnd.apache.parquet");
    expect(new TextDecoder().decode((await parquet.bytes()).slice(0, 4))).toBe("PAR1");

    for (const sql of ["DROP TABLE d5", "SELECT 1; SELECT 2", "SELECT * FROM read_csv('/etc/passwd')"]) {
      const refused = await ask(sql);
      expect([sql, refused.status, ((await refused.json()) as { code: string }).code]).toEqual([
        sql,
        400,
        "sql_refused",
      ]);
    }
    const missing = await ask("SELECT * FROM smoke.d55");
    expect([missing.status, await missing.text()]).toEqual([404, expect.stringContaining("d5")]);
  }, 60_000);
});
