/** A million rows as NDJSON over HTTP, against rows taken from DuckDB in this process and JSON.stringify. */
import { treeMib, watchPeak } from "./process_memory.ts";
import { median, printRows, type Row } from "./row.ts";
import { ROWS, type SqlLake, startSqlLake } from "./sql_lake.ts";

const RUNS = 5;
const TIMES = 4;
const MEMORY_MIB = 64;
const SETTLE_MS = 1000;
const SELECT = "SELECT id, name, value, made FROM";

export async function run(): Promise<Row[]> {
  const lake = await startSqlLake();
  try {
    await (await lake.ask({ sql: `${SELECT} items LIMIT 1` })).text();
    await Bun.sleep(SETTLE_MS);
    const before_mib = treeMib(lake.server.pid);
    const stop = watchPeak(lake.server.pid);
    const bytes = await streamed(lake);
    const grown_mib = stop() - before_mib;
    const streams: number[] = [];
    const stringifies: number[] = [];
    // Turn by turn, so that whatever else the machine does falls on both; unwatched, since watching takes time.
    for (let i = 0; i < RUNS; i++) {
      streams.push(await timed(() => streamed(lake)));
      stringifies.push(await timed(() => stringified(lake)));
    }
    const [stream_ms, stringify_ms] = [median(streams), median(stringifies)];
    return [
      {
        what: `${ROWS.toLocaleString("en")} rows of 4 columns as NDJSON over HTTP`,
        target: `at least ${TIMES} times faster than JSON.stringify of the rows in process`,
        measured: `${(stringify_ms / stream_ms).toFixed(1)} times: ${Math.round(stream_ms)} ms against ${Math.round(stringify_ms)} ms`,
        met: stringify_ms / stream_ms >= TIMES,
        detail: `${(bytes / 1e6).toFixed(0)} MB; in process: DuckDB's rows as objects, each through JSON.stringify`,
      },
      {
        what: "memory of the service's process tree while streaming them (PSS, peak over a warm start)",
        target: `at most + ${MEMORY_MIB} MiB`,
        measured: `+ ${Math.round(grown_mib)} MiB`,
        met: grown_mib <= MEMORY_MIB,
        detail: `${Math.round(before_mib)} MiB before, with one small query answered`,
      },
    ];
  } finally {
    await lake.stop();
  }
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const from_ms = performance.now();
  await work();
  return performance.now() - from_ms;
}

/** @returns the bytes that came */
async function streamed(lake: SqlLake): Promise<number> {
  const response = await lake.ask({ sql: `${SELECT} items` }, "application/x-ndjson");
  let bytes = 0;
  for await (const chunk of response.body as ReadableStream<Uint8Array>) bytes += chunk.byteLength;
  if (bytes < ROWS) throw new Error("a wrong answer");
  return bytes;
}

async function stringified(lake: SqlLake): Promise<void> {
  const reader = await lake.duckdb.runAndReadAll(`${SELECT} ${lake.files}`);
  let length = 0;
  for (const row of reader.getRowObjectsJson()) length += JSON.stringify(row).length + 1;
  if (reader.currentRowCount !== ROWS || length < ROWS) throw new Error("a wrong answer");
}

if (import.meta.main) printRows(await run());
