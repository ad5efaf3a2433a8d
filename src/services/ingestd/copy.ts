/** Rows into Parquet files, by DuckDB's COPY. */
import { statSync } from "node:fs";
import type { Engine } from "../../shared/duckdb/engine.ts";
import type { IcebergField } from "../catalogd/schema.ts";
import type { OutFile } from "./protocol.ts";
import { copyRows } from "./sql.ts";

/** Text bytes that one row group takes at most, so that wide rows don't fill the memory. */
const ROW_GROUP_BYTES = 64 * 1024 * 1024;
const ROW_GROUP_ROWS = { least: 2048, most: 122_880 };

/** Runs a COPY and tells the files it made, those without rows left out. */
export async function runCopy(
  engine: Engine,
  select: string,
  fields: readonly IcebergField[],
  options: { out_dir: string; file_bytes: number; row_bytes?: number },
): Promise<OutFile[]> {
  const { out_dir, file_bytes, row_bytes = 512 } = options;
  const ideal = Math.floor(ROW_GROUP_BYTES / row_bytes / 2048) * 2048;
  const row_group_rows = Math.min(ROW_GROUP_ROWS.most, Math.max(ROW_GROUP_ROWS.least, ideal));
  const made = await engine.run(copyRows(select, fields, { out_dir, file_bytes, row_group_rows }));
  return made
    .getRowObjectsJson()
    .map((it) => ({
      path: String(it.filename),
      rows: Number(it.count),
      bytes: statSync(String(it.filename)).size,
    }))
    .filter((it) => it.rows > 0);
}
