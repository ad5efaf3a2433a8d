/** Files sent to a running lake, and what came of them, read by DuckDB from the table's own files. */
import { join } from "node:path";
import { DuckDBInstance, type Json } from "@duckdb/node-api";

export interface Sent {
  status: number;
  /** An answer of any kind: the members that tests look into, and whatever else it has. */
  body: {
    snapshot_id: string;
    job_id: string;
    detail: string;
    schema: { name: string; type: string; nullable: boolean }[];
    rejected: { count: number; samples: { line: number; column: string | null }[] };
    [member: string]: unknown;
  };
}

/** POSTs a file to /ingest. */
export async function send(
  url: string,
  query: string,
  body: BodyInit,
  headers: Record<string, string> = {},
): Promise<Sent> {
  const response = await fetch(`${url}/v1/ingest?${query}`, { method: "POST", body, headers });
  return { status: response.status, body: (await response.json()) as Sent["body"] };
}

/** The table's data files, as paths; undefined where there is no such table. */
export async function dataFiles(
  lake: { url: string; data_dir: string },
  name: string,
): Promise<string[] | undefined> {
  const response = await fetch(`${lake.url}/v1/catalog/manifest/${name}`);
  if (response.status === 404) return undefined;
  const { objects } = (await response.json()) as { objects: { key: string }[] };
  return objects.map((it) => join(lake.data_dir, "storage", it.key));
}

/** Runs SQL in DuckDB, with no lake around it. */
export async function duck(sql: string): Promise<Json[][]> {
  const instance = await DuckDBInstance.create(":memory:");
  const connection = await instance.connect();
  try {
    await connection.run("SET threads=2; SET TimeZone='UTC'");
    return (await connection.runAndReadAll(sql)).getRowsJson();
  } finally {
    connection.closeSync();
  }
}

/** `FROM` of a table's files, columns that only some have included. */
export function fromFiles(files: readonly string[]): string {
  return `read_parquet([${files.map((it) => `'${it}'`).join(", ")}], union_by_name=true)`;
}

/** All rows of a table, in the order asked for. */
export async function rowsOf(
  lake: { url: string; data_dir: string },
  name: string,
  select = "*",
  order = "ALL",
): Promise<Json[][] | undefined> {
  const files = await dataFiles(lake, name);
  if (files === undefined) return undefined;
  if (files.length === 0) return [];
  return duck(`SELECT ${select} FROM ${fromFiles(files)} ORDER BY ${order}`);
}
