/** Upserts: keys that must be there once, and old files rewritten without the rows that new ones replace. */
import { mkdirSync } from "node:fs";
import type { Engine } from "../../shared/duckdb/engine.ts";
import { LakeError } from "../../shared/errors.ts";
import type { IcebergField, IcebergType } from "../catalogd/schema.ts";
import { runCopy } from "./copy.ts";
import type { KeyBound, Merged, MergeRequest, OldFile } from "./protocol.ts";
import { literal, quote, sqlType } from "./types.ts";

/** Types whose bounds prune files, as catalogd's filters take them. */
const BOUNDED = new Set(["int", "long", "date", "string"]);

function readAll(paths: readonly string[], options = ""): string {
  return `read_parquet([${paths.map(literal).join(", ")}]${options})`;
}

/** The key columns as the table writes them. @throws LakeError invalid */
export function keyColumns(key: readonly string[], fields: readonly IcebergField[]): IcebergField[] {
  return key.map((name) => {
    const field = fields.find((it) => it.name.toLowerCase() === name.toLowerCase());
    if (!field)
      throw new LakeError(
        "invalid",
        `key names a column "${name}" that there isn't; there are ${fields
          .map((it) => it.name)
          .slice(0, 50)
          .join(", ")}.`,
      );
    if (typeof field.type !== "string" || field.type === "float" || field.type === "double")
      throw new LakeError(
        "invalid",
        `Column "${name}" can't be a key: rows are not identified by fractions or nested values.`,
      );
    return field;
  });
}

/** @throws LakeError invalid, telling the first null or doubled key */
export async function checkKeys(
  engine: Engine,
  staged: readonly string[],
  key: readonly string[],
  fields: readonly IcebergField[],
): Promise<void> {
  const columns = keyColumns(key, fields).map((it) => quote(it.name));
  const shown = `concat_ws(', ', ${columns.map((it) => `${it}::VARCHAR`).join(", ")})`;
  const nulls = await engine.run(
    `SELECT count(*)::INTEGER FROM ${readAll(staged)} WHERE ${columns.map((it) => `${it} IS NULL`).join(" OR ")}`,
  );
  const missing = Number(nulls.getRowsJson()[0]?.[0] ?? 0);
  if (missing > 0)
    throw new LakeError(
      "invalid",
      `${missing} rows of the file have no key (${key.join(", ")}): each row needs one.`,
    );
  const doubled = await engine.run(
    `SELECT ${shown}, count(*)::INTEGER FROM ${readAll(staged)} GROUP BY ${columns.join(", ")} HAVING count(*) > 1 ORDER BY 1 LIMIT 5`,
  );
  const examples = doubled
    .getRowsJson()
    .map(([value, times]) => `${String(value).slice(0, 100)} (${times} times)`);
  if (examples.length > 0)
    throw new LakeError(
      "invalid",
      `The file has several rows for one key (${key.join(", ")}): ${examples.join("; ")}.`,
    );
}

export async function keyBounds(
  engine: Engine,
  staged: readonly string[],
  key: readonly string[],
  fields: readonly IcebergField[],
): Promise<KeyBound[]> {
  const bounded = keyColumns(key, fields).filter((it) => BOUNDED.has(it.type as string));
  if (bounded.length === 0) return [];
  const columns = bounded.flatMap(({ name }) => [
    `min(${quote(name)})::VARCHAR`,
    `max(${quote(name)})::VARCHAR`,
  ]);
  const found = await engine.run(`SELECT ${columns.join(", ")} FROM ${readAll(staged)}`);
  const row = found.getRowsJson()[0] ?? [];
  return bounded.map(({ name, type }, index) => ({
    column: name,
    min: bound(String(row[2 * index]), type),
    max: bound(String(row[2 * index + 1]), type),
  }));
}

/** Long values stay text where a JavaScript number would round them. */
function bound(text: string, type: IcebergType): string | number {
  return (type === "int" || type === "long") && Number.isSafeInteger(Number(text)) ? Number(text) : text;
}

/** Rewrites those old files that hold a key of the new rows, without those rows, and adds the new ones. */
export async function merge(engine: Engine, request: MergeRequest): Promise<Merged> {
  const { staged, fields, out_dir, file_bytes } = request;
  const keys = keyColumns(request.key, fields).map((it) => quote(it.name));
  const same_key = keys.map((it) => `o.${it} = n.${it}`).join(" AND ");
  const fresh = `(SELECT ${keys.join(", ")} FROM ${readAll(staged)})`;
  const replaced: OldFile[] = [];
  for (const file of request.old_files) {
    const found = await engine.run(
      `SELECT 1 FROM ${liveRows([file], fields)} o SEMI JOIN ${fresh} n ON ${same_key} LIMIT 1`,
    );
    if (found.currentRowCount > 0) replaced.push(file);
  }
  const columns = fields.map((it) => quote(it.name)).join(", ");
  const news = `SELECT ${columns} FROM ${readAll(staged)}`;
  const kept = `SELECT ${columns} FROM ${liveRows(replaced, fields)} o ANTI JOIN ${fresh} n ON ${same_key}`;
  mkdirSync(out_dir, { recursive: true });
  const select = replaced.length === 0 ? news : `${kept} UNION ALL ${news}`;
  const files = await runCopy(engine, select, fields, { out_dir, file_bytes });
  return { replaced: replaced.map((it) => it.key), files };
}

/** The rows of old files under the table's present columns, by field id; deleted positions left out. */
function liveRows(files: readonly OldFile[], fields: readonly IcebergField[]): string {
  const schema = fields
    .map(
      (it) =>
        `${it.id}: {name: ${literal(it.name)}, type: ${literal(sqlType(it.type))}, default_value: NULL}`,
    )
    .join(", ");
  const parts = files.map(({ path, deletes }) => {
    const rows = `SELECT * FROM read_parquet(${literal(path)}, schema=MAP {${schema}}${deletes.length > 0 ? ", file_row_number=true" : ""})`;
    if (deletes.length === 0) return rows;
    const positions = deletes
      .map((it) => `SELECT pos, file_path FROM read_parquet(${literal(it)})`)
      .join(" UNION ALL ");
    const name = path.slice(path.lastIndexOf("/"));
    return `SELECT * EXCLUDE (file_row_number) FROM (${rows}) WHERE file_row_number NOT IN (SELECT pos FROM (${positions}) WHERE ends_with(file_path, ${literal(name)}))`;
  });
  return `(${parts.join(" UNION ALL ")})`;
}
