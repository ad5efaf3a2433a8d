/** What a scan plan and a commit cost beside the least that either must do. */
import { Database } from "bun:sqlite";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DuckDBInstance } from "@duckdb/node-api";
import { parseConfig } from "../../src/config.ts";
import { createCatalogd } from "../../src/services/catalogd/index.ts";
import type { Catalogd } from "../../src/services/catalogd/schema.ts";
import { createStoraged } from "../../src/services/storaged/index.ts";
import type { Storaged } from "../../src/services/storaged/schema.ts";
import { createDoor } from "../../src/shared/http.ts";
import { KeyRing } from "../../src/shared/keys.ts";
import { createLog } from "../../src/shared/log.ts";
import { Metrics } from "../../src/shared/metrics.ts";
import { median, printRows, type Row } from "./row.ts";

const FILES = 1000;
const COMMITS = 60;
const PLANS = 2000;
const ROUNDS = 5;
const BUCKET = "s3://lakehouse/";

interface Lake {
  storaged: Storaged;
  catalogd: Catalogd;
  close(): Promise<void>;
}

async function openLake(data_dir: string): Promise<Lake> {
  const config = parseConfig("", { LAKEHOUSE_DATA_DIR: data_dir, LAKEHOUSE_LOG_LEVEL: "silent" });
  const door = createDoor(new KeyRing([], "lhs_bench"));
  const context = { config, log: createLog("silent"), metrics: new Metrics(), door };
  const storaged = await createStoraged(context);
  const catalogd = await createCatalogd(context, { storaged: storaged.domain });
  return {
    storaged: storaged.domain,
    catalogd: catalogd.domain,
    close: async () => {
      await catalogd.close();
      await storaged.close();
    },
  };
}

/** Milliseconds that each of `count` calls took, in the middle. */
async function medianCall(count: number, call: (at: number) => unknown): Promise<number> {
  const times: number[] = [];
  for (let at = 0; at < count; at++) {
    const started_ms = performance.now();
    await call(at);
    times.push(performance.now() - started_ms);
  }
  return median(times);
}

/** A small Parquet file with these field ids. */
async function smallParquet(folder: string): Promise<Uint8Array> {
  const path = join(folder, "small.parquet");
  const connection = await (await DuckDBInstance.create()).connect();
  const select = "SELECT range::BIGINT AS id, 'name ' || range AS name FROM range(100)";
  await connection.run(`COPY (${select}) TO '${path}' (FORMAT parquet, FIELD_IDS {id: 1, name: 2})`);
  return new Uint8Array(await Bun.file(path).arrayBuffer());
}

async function makeTable({ storaged, catalogd }: Lake, parquet: Uint8Array, name: string, files: number) {
  const fields = ["long", "string"].map((type, at) => ({
    id: at + 1,
    name: ["id", "name"][at] ?? "",
    required: false,
    type,
  }));
  const { location } = await catalogd.create(name, { fields });
  const keys = Array.from(
    { length: files },
    (_, at) => `${location.slice(BUCKET.length)}/data/${at}.parquet`,
  );
  for (const key of keys) await storaged.put(key, parquet, { create_only: true, by_service: true });
  return keys;
}

/** What a commit can't do without: three objects and a row, each durable. */
function bareCommits(folder: string, storaged: Storaged): (at: number) => Promise<void> {
  const db = new Database(join(folder, "bare.sqlite"));
  db.run("PRAGMA journal_mode = WAL");
  db.run("PRAGMA synchronous = FULL");
  db.run("CREATE TABLE t (k TEXT PRIMARY KEY, v TEXT)");
  const set = db.query("INSERT OR REPLACE INTO t VALUES ('k', ?)");
  const bytes = new Uint8Array(4096);
  return async (at) => {
    for (const name of ["manifest", "list", "metadata"])
      await storaged.put(`bare/${name}-${at}-${crypto.randomUUID()}`, bytes, { create_only: true });
    set.run(String(at));
  };
}

async function planRow(data_dir: string, parquet: Uint8Array): Promise<Row> {
  const lake = await openLake(data_dir);
  const keys = await makeTable(lake, parquet, "hot", FILES);
  for (let at = 0; at < FILES; at += 100) {
    const add = keys.slice(at, at + 100).map((key) => ({ key }));
    await lake.catalogd.commit("hot", { operation: "append", add, remove: [] });
  }
  await lake.close();
  const cold_ms: number[] = [];
  const hot_ms: number[] = [];
  const pruned_ms: number[] = [];
  const filters = [{ column: "id", op: ">=" as const, values: [50] }];
  for (let round = 0; round < ROUNDS; round++) {
    const opened = await openLake(data_dir);
    cold_ms.push(await medianCall(1, () => opened.catalogd.plan({ name: "hot" })));
    hot_ms.push(await medianCall(PLANS, () => opened.catalogd.plan({ name: "hot" })));
    pruned_ms.push(await medianCall(PLANS / 10, () => opened.catalogd.plan({ name: "hot", filters })));
    await opened.close();
  }
  const [cold, hot, pruned] = [median(cold_ms), median(hot_ms), median(pruned_ms)];
  return {
    what: `scan plan of a table of ${FILES} files, read before, against the first read of its manifests`,
    target: "<= 0.01 x, and well under 1 ms",
    measured: `${(hot / cold).toFixed(5)} x (${(hot * 1000).toFixed(1)} µs)`,
    met: hot / cold <= 0.01 && hot < 0.25,
    detail: `first read ${cold.toFixed(1)} ms; with pruning ${(pruned * 1000).toFixed(0)} µs`,
  };
}

async function commitRow(data_dir: string, parquet: Uint8Array, scratch: string): Promise<Row> {
  const lake = await openLake(data_dir);
  const bare = bareCommits(scratch, lake.storaged);
  const ratios: number[] = [];
  let ours = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const name = `commits_${round}`;
    const keys = await makeTable(lake, parquet, name, COMMITS);
    const floor_ms = await medianCall(COMMITS, bare);
    ours = await medianCall(COMMITS, (at) =>
      lake.catalogd.commit(name, { operation: "append", add: [{ key: keys[at] ?? "" }], remove: [] }),
    );
    ratios.push(ours / floor_ms);
  }
  await lake.close();
  return {
    what: "append commit, durable, against three objects put by storaged and one SQLite row",
    target: "<= 2 x",
    measured: `${median(ratios).toFixed(2)} x (${ours.toFixed(1)} ms)`,
    met: median(ratios) <= 2,
  };
}

export async function run(): Promise<Row[]> {
  const folder = mkdtempSync(join(tmpdir(), "lakehouse-bench-"));
  try {
    const parquet = await smallParquet(folder);
    return [
      await planRow(join(folder, "plan"), parquet),
      await commitRow(join(folder, "commit"), parquet, folder),
    ];
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

if (import.meta.main) printRows(await run());
