/**
 * Indexes as tables, over HTTP in the single runtime: importing Parquet against adding the same items as NDJSON,
 * and a query on an index against the same query on a lake table with the same rows. `--items N` sets how many.
 */
import { rmSync } from "node:fs";
import { startProcesses } from "../../test/support/processes.ts";
import { sql } from "../../test/support/sql.ts";
import { base64Of, randomVector, seeded, settled, vectorsAt } from "../../test/support/vectors.ts";
import { median, printRows, type Row } from "./row.ts";

const DIMENSION = 384;
const BATCH = 2000;
const QUERIES = 15;
const PARQUET = "application/vnd.apache.parquet";
const given = process.argv.indexOf("--items");
const ITEMS = given < 0 ? 20_000 : Number(process.argv[given + 1]);

export async function run(): Promise<Row[]> {
  const lake = await startProcesses("mounted");
  const calls = vectorsAt(lake.url);
  try {
    const random = seeded(3);
    const lines = Array.from({ length: ITEMS }, (_, id) => {
      const vector = base64Of(randomVector(DIMENSION, random));
      return JSON.stringify({ id: `${id}`, vector, text: `item ${id}`, metadata: { city: `c${id % 50}` } });
    });
    const at = `${lake.url}/v1/vectors/index`;
    const post = async (path: string, body: BodyInit, type: string) => {
      const response = await fetch(path, { method: "POST", headers: { "content-type": type }, body });
      if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
    };
    for (const name of ["lines", "parquet"]) await calls.create(name, DIMENSION);
    const added_ms = await timed(async () => {
      for (let from = 0; from < ITEMS; from += BATCH)
        await post(`${at}/lines/add`, lines.slice(from, from + BATCH).join("\n"), "application/x-ndjson");
      await settled(calls, "lines");
    });
    let file = new Uint8Array();
    const exported_ms = await timed(async () => {
      file = await (await fetch(`${at}/lines/export`)).bytes();
    });
    const imported_ms = await timed(async () => {
      await post(`${at}/parquet/add`, file, PARQUET);
      await settled(calls, "parquet");
    });
    await post(`${lake.url}/v1/ingest?name=items`, file, PARQUET);
    const query = (from: string) => `SELECT count(*), max(length(text)) FROM ${from}`;
    const first_ms = await timed(() => sql(lake, query("vectors('parquet')")));
    const of_index = await repeated(() => sql(lake, query("vectors('parquet')")));
    const of_table = await repeated(() => sql(lake, query("items")));
    const ratio = added_ms / imported_ms;
    return [
      {
        what: `${ITEMS} items of ${DIMENSION} numbers from Parquet, until the graph holds all`,
        target: "≥ 0.8 × the rate of NDJSON",
        measured: `${ratio.toFixed(2)} × (${ms(imported_ms)} to ${ms(added_ms)})`,
        met: ratio >= 0.8,
        detail: `exported in ${ms(exported_ms)}, ${(file.length / 1e6).toFixed(0)} MB`,
      },
      {
        what: "a query on an index that has not changed",
        target: "≤ 3 × the same on a table",
        measured: `${(of_index / of_table).toFixed(2)} × (${ms(of_index)} to ${ms(of_table)})`,
        met: of_index <= 3 * of_table,
        detail: `the first query, which waits for the copy: ${ms(first_ms)}`,
      },
    ];
  } catch (error) {
    console.error(lake.stderr("all"));
    throw error;
  } finally {
    await lake.stop();
    rmSync(lake.data_dir, { recursive: true, force: true });
  }
}

const ms = (value: number) => `${value.toFixed(value < 100 ? 1 : 0)} ms`;

async function timed(work: () => Promise<unknown>): Promise<number> {
  const from_ms = performance.now();
  await work();
  return performance.now() - from_ms;
}

async function repeated(work: () => Promise<unknown>): Promise<number> {
  const taken: number[] = [];
  for (let run = 0; run < QUERIES; run++) taken.push(await timed(work));
  return median(taken);
}

if (import.meta.main) printRows(await run());
