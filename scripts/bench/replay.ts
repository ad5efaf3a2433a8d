/**
 * How fast observerd comes back: a journal of a million operations, replayed in process, and a whole start until the
 * address is printed. The reference of the rate is JSON.parse of the same lines, which is what a plain replay costs.
 */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openOpStore } from "../../src/services/observerd/store.ts";
import { createLog } from "../../src/shared/log.ts";
import { Metrics } from "../../src/shared/metrics.ts";
import { startBun } from "./load.ts";
import { median, printRows, type Row } from "./row.ts";

const OPERATIONS = 1_000_000;
const ROUNDS = 3;
const LEAST_RATE_PER_S = 300_000;
const MOST_START_MS = 4000;
const MIB = 1024 * 1024;
const BURST = 5000;

function open(path: string) {
  return openOpStore({
    path,
    durability: "os",
    ring_capacity: 2000,
    dedupe_records: 1_000_000,
    segment_bytes: 64 * MIB,
    queue_records: 10_000,
    queue_bytes: 64 * MIB,
    max_record_bytes: MIB,
    lock_wait_ms: 0,
    log: createLog("silent"),
    metrics: new Metrics(),
    adopt: () => undefined,
  });
}

async function fill(path: string): Promise<void> {
  const store = await open(path);
  for (let count = 0; count < OPERATIONS; ) {
    let last: Promise<unknown> = Promise.resolve();
    for (const end = count + BURST; count < end; count++)
      last = store.append({
        id: Bun.randomUUIDv7(),
        timestamp: new Date().toISOString(),
        source: count % 3 ? "mcp" : "scenario",
        success: count % 7 > 0,
        endpoint: "/v1/sql",
        duration_ms: (count % 1000) / 8,
        input_summary: "select count(*) from cars where origin = 'USA'",
        output_summary: "1 row",
        staffer_id: `s-${count % 100}`,
        event_kind: "query",
      });
    await last;
  }
  await store.close();
}

/** Operations a second of reading every line and parsing it. */
function parseRate(directory: string): number {
  const started_ms = performance.now();
  let parsed = 0;
  for (const name of readdirSync(directory).filter((it) => it.endsWith(".jsonl")))
    for (const line of readFileSync(join(directory, name), "utf8").split("\n"))
      if (line !== "") parsed += JSON.parse(line)._seq > 0 ? 1 : 0;
  return (parsed / (performance.now() - started_ms)) * 1000;
}

export async function run(): Promise<Row[]> {
  const data_dir = mkdtempSync(join(tmpdir(), "lakehouse-replay-"));
  const directory = join(data_dir, "observer");
  mkdirSync(directory);
  try {
    await fill(join(directory, "ops.jsonl"));
    const rates: number[] = [];
    const parses: number[] = [];
    const starts_ms: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      const opening_ms = performance.now();
      const store = await open(join(directory, "ops.jsonl"));
      rates.push((OPERATIONS / (performance.now() - opening_ms)) * 1000);
      if (store.report().records !== OPERATIONS)
        throw new Error(`replayed ${store.report().records} operations`);
      await store.close();
      parses.push(parseRate(directory));
      const starting_ms = performance.now();
      const bind = { LAKEHOUSE_OBSERVERD_BIND: "127.0.0.1:0", LAKEHOUSE_DATA_DIR: data_dir };
      const observerd = await startBun(["src/main.ts", "observerd"], bind);
      starts_ms.push(performance.now() - starting_ms);
      await observerd.stop();
    }
    const rate = median(rates);
    const start_ms = median(starts_ms);
    return [
      {
        what: `replay of ${OPERATIONS.toLocaleString("en")} operations`,
        target: `≥ ${LEAST_RATE_PER_S.toLocaleString("en")} a second`,
        measured: `${Math.round(rate).toLocaleString("en")} a second`,
        met: rate >= LEAST_RATE_PER_S,
        detail: `${(rate / median(parses)).toFixed(1)} × reading and JSON.parse of every line, checksums and ids included`,
      },
      {
        what: `start of observerd over ${OPERATIONS.toLocaleString("en")} operations, until it listens`,
        target: `< ${MOST_START_MS / 1000} s`,
        measured: `${(start_ms / 1000).toFixed(2)} s`,
        met: start_ms < MOST_START_MS,
      },
    ];
  } finally {
    rmSync(data_dir, { recursive: true, force: true });
  }
}

if (import.meta.main) printRows(await run());
