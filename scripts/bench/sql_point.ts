/** A point query over HTTP, warm, against the same statement in DuckDB in this process over the same files. */
import { median, printRows, type Row } from "./row.ts";
import { ROWS, startSqlLake } from "./sql_lake.ts";

const QUERIES = 400;
const WARM_UP = 50;
const TARGET_MS = 1.5;

export async function run(): Promise<Row[]> {
  const lake = await startSqlLake();
  try {
    const in_process: number[] = [];
    const over_http: number[] = [];
    for (let i = 0; i < QUERIES + WARM_UP; i++) {
      const id = (i * 7919) % ROWS;
      let from_ms = performance.now();
      const reader = await lake.duckdb.runAndReadAll(`SELECT * FROM ${lake.files} WHERE id = ?`, [
        BigInt(id),
      ]);
      const right = reader.getRowsJson().length;
      const direct_ms = performance.now() - from_ms;
      from_ms = performance.now();
      const response = await lake.ask({ sql: "SELECT * FROM items WHERE id = ?", params: [id] });
      const answer = (await response.json()) as { rows: unknown[][] };
      const http_ms = performance.now() - from_ms;
      if (right !== 1 || answer.rows[0]?.[0] !== id) throw new Error("a wrong answer");
      if (i < WARM_UP) continue;
      in_process.push(direct_ms);
      over_http.push(http_ms);
    }
    const [direct_ms, http_ms] = [median(in_process), median(over_http)];
    return [
      {
        what: `SQL point query over HTTP, warm, p50 of ${QUERIES}`,
        target: `DuckDB in process + ${TARGET_MS} ms`,
        measured: `${http_ms.toFixed(2)} ms = DuckDB's ${direct_ms.toFixed(2)} ms + ${(http_ms - direct_ms).toFixed(2)} ms`,
        met: http_ms <= direct_ms + TARGET_MS,
        detail: `one row of ${ROWS.toLocaleString("en")} by a column that is sorted; both prepare and bind anew each time`,
      },
    ];
  } finally {
    await lake.stop();
  }
}

if (import.meta.main) printRows(await run());
