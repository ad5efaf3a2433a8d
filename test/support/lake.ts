/** A lake as its own services see it, through the gateway of a running house; and Parquet files to put into it. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type DuckDBConnection, DuckDBInstance } from "@duckdb/node-api";
import { createCatalogdClient } from "../../src/services/catalogd/client.ts";
import type { Catalogd, IcebergField, IcebergType, TableState } from "../../src/services/catalogd/schema.ts";
import { createStoragedClient } from "../../src/services/storaged/client.ts";
import type { Storaged } from "../../src/services/storaged/schema.ts";
import { createHttpClient } from "../../src/shared/client.ts";
import type { LakeError } from "../../src/shared/errors.ts";
import { serviceToken } from "../../src/shared/keys.ts";

const TIMEOUT_MS = 30_000;
const BUCKET = "s3://lakehouse/";

export interface Lake {
  readonly catalog: Catalogd;
  readonly storage: Storaged;
}

/** Calls with the service token of the lake, so that it may write where services write. */
export function lakeAt(house: { url: string; data_dir: string }, prefix = "/v1"): Lake {
  const client = (service: string) =>
    createHttpClient({
      service,
      base_url: house.url + prefix,
      service_token: serviceToken(house.data_dir),
      timeout_ms: TIMEOUT_MS,
    });
  return {
    catalog: createCatalogdClient(client("catalogd")),
    storage: createStoragedClient(client("storaged")),
  };
}

let connection: Promise<DuckDBConnection> | undefined;

/** The one DuckDB of this test process. */
export function duckdb(): Promise<DuckDBConnection> {
  connection ??= DuckDBInstance.create(":memory:", { threads: "2" }).then((it) => it.connect());
  return connection;
}

/** The rows of a query, as JSON has them. */
export async function rowsOf(sql: string): Promise<unknown[][]> {
  const reader = await (await duckdb()).runAndReadAll(sql);
  return reader.getRowsJson() as unknown[][];
}

/** A Parquet file of a query's rows, with the field ids that a table has for its columns where it is given. */
export async function parquetOf(
  sql: string,
  fields?: readonly IcebergField[],
  options = "",
): Promise<Buffer> {
  const folder = mkdtempSync(join(tmpdir(), "lakehouse-parquet-"));
  try {
    const path = join(folder, "it.parquet");
    const names = new Set((await rowsOf(`DESCRIBE ${sql}`)).map(([name]) => name));
    const ids = fields ? `, FIELD_IDS ${fieldIds(fields.filter((it) => names.has(it.name)))}` : "";
    await (await duckdb()).run(`COPY (${sql}) TO '${path}' (FORMAT parquet${ids}${options})`);
    return readFileSync(path);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const quoted = (name: string) => `"${name.replaceAll('"', '""')}"`;

function fieldIds(fields: readonly IcebergField[]): string {
  return `{${fields.map((field) => `${quoted(field.name)}: ${fieldId(field.id, field.type)}`).join(", ")}}`;
}

function fieldId(id: number, type: IcebergType): string {
  if (typeof type === "string") return String(id);
  const below =
    type.type === "struct"
      ? fieldIds(type.fields).slice(1, -1)
      : type.type === "list"
        ? `element: ${fieldId(type["element-id"], type.element)}`
        : `key: ${fieldId(type["key-id"], type.key)}, value: ${fieldId(type["value-id"], type.value)}`;
  return `{__duckdb_field_id: ${id}, ${below}}`;
}

/** Writes a query's rows as a data file into a table's folder, and answers its key. */
export async function writeDataFile(
  lake: Lake,
  table: TableState,
  sql: string,
  options = "",
): Promise<string> {
  const key = `${table.location.slice(BUCKET.length)}/data/${crypto.randomUUID()}.parquet`;
  await lake.storage.put(key, await parquetOf(sql, table.fields, options), { create_only: true });
  return key;
}

/** Commits a query's rows to a table as it is now. */
export async function append(lake: Lake, name: string, sql: string) {
  const key = await writeDataFile(lake, await lake.catalog.describe(name), sql);
  return { key, ...(await lake.catalog.commit(name, { operation: "append", add: [{ key }], remove: [] })) };
}

/** Optional top-level columns, numbered in order. */
export function columns(types: Record<string, IcebergType>): IcebergField[] {
  return Object.entries(types).map(([name, type], at) => ({ id: at + 1, name, required: false, type }));
}

/** How a call failed; all undefined where it didn't. */
export async function failing(promise: Promise<unknown>) {
  const error = await promise.then(
    () => undefined,
    (error) => error as LakeError,
  );
  return { code: error?.code, message: error?.message, details: error?.details };
}
