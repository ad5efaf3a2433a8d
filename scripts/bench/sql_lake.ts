/** A lake in a process of its own with one table of a million rows, and DuckDB in this process over the same files. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type DuckDBConnection, DuckDBInstance } from "@duckdb/node-api";
import { type Running, startBun } from "./load.ts";

export const ROWS = 1_000_000;

export interface SqlLake {
  readonly server: Running;
  /** DuckDB in this process. */
  readonly duckdb: DuckDBConnection;
  /** `read_parquet(…)` over the table's files, for DuckDB in this process. */
  readonly files: string;
  ask(body: Record<string, unknown>, accept?: string): Promise<Response>;
  stop(): Promise<void>;
}

/** @param env settings beside the defaults */
export async function startSqlLake(env: Record<string, string> = {}): Promise<SqlLake> {
  const data_dir = mkdtempSync(join(tmpdir(), "lakehouse-bench-"));
  const server = await startBun(["src/main.ts", "all"], {
    LAKEHOUSE_DATA_DIR: data_dir,
    LAKEHOUSE_GATEWAY_BIND: "127.0.0.1:0",
    ...env,
  });
  try {
    const { duckdb, files } = await fill(server.url, data_dir);
    return lakeOf(server, duckdb, files, data_dir);
  } catch (error) {
    await server.stop();
    rmSync(data_dir, { recursive: true, force: true });
    throw error;
  }
}

async function fill(url: string, data_dir: string): Promise<{ duckdb: DuckDBConnection; files: string }> {
  const duckdb = await (await DuckDBInstance.create(":memory:")).connect();
  const upload = join(data_dir, "upload.parquet");
  await duckdb.run(
    `COPY (SELECT range AS id, 'name-' || (range % 1000) AS name, range * 1.5::DOUBLE AS value,
       TIMESTAMP '2020-01-01' + to_seconds(range) AS made FROM range(${ROWS})) TO '${upload}' (FORMAT parquet)`,
  );
  const made = await fetch(`${url}/v1/ingest?name=items&format=parquet`, {
    method: "POST",
    body: Bun.file(upload),
  });
  if (made.status !== 201) throw new Error(`the table could not be made: ${await made.text()}`);
  const manifest = (await (await fetch(`${url}/v1/catalog/manifest/items`)).json()) as {
    objects: { key: string }[];
  };
  const paths = manifest.objects.map((it) => `'${join(data_dir, "storage", it.key)}'`);
  return { duckdb, files: `read_parquet([${paths.join(", ")}])` };
}

function lakeOf(server: Running, duckdb: DuckDBConnection, files: string, data_dir: string): SqlLake {
  return {
    server,
    duckdb,
    files,
    ask: (body, accept = "application/json") =>
      fetch(`${server.url}/v1/sql`, {
        method: "POST",
        headers: { "content-type": "application/json", accept },
        body: JSON.stringify(body),
      }),
    stop: async () => {
      duckdb.closeSync();
      await server.stop();
      rmSync(data_dir, { recursive: true, force: true });
    },
  };
}
