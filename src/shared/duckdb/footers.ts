/** The columns of Parquet files as their footers tell them, with Iceberg's field ids. */
import type { DuckDBConnection } from "@duckdb/node-api";
import { quoteText } from "./quote.ts";

/** One column of a file, or a part of one. */
export interface PhysicalColumn {
  name: string;
  /** Null where the file was written without field ids. */
  field_id: number | null;
  kind: "primitive" | "struct" | "list" | "map";
  /** A struct's fields; a list's element; a map's key and value. */
  children: PhysicalColumn[];
}

/** A file's columns, and a text that is the same for files with the same columns. */
export interface Footer {
  signature: string;
  columns: PhysicalColumn[];
}

interface Row {
  file_name: string;
  name: string;
  type: string | null;
  repetition_type: string | null;
  num_children: string | number | null;
  converted_type: string | null;
  logical_type: string | null;
  field_id: string | number | null;
}

const FILES_AT_ONCE = 500;
const KEPT = 50_000;

/** Reads footers, each once while it is remembered: data files never change. */
export class Footers {
  readonly #known = new Map<string, Footer>();

  async read(connection: DuckDBConnection, paths: readonly string[]): Promise<Map<string, Footer>> {
    if (this.#known.size + paths.length > KEPT) this.#known.clear();
    const unknown = paths.filter((path) => !this.#known.has(path));
    for (let start = 0; start < unknown.length; start += FILES_AT_ONCE) {
      const files = unknown.slice(start, start + FILES_AT_ONCE);
      const result = await connection.runAndReadAll(
        `SELECT file_name, name, type, repetition_type, num_children, converted_type, logical_type, field_id
         FROM parquet_schema([${files.map(quoteText).join(", ")}])`,
      );
      const by_file = new Map<string, Row[]>();
      for (const row of result.getRowObjectsJson() as unknown as Row[]) {
        const rows = by_file.get(row.file_name);
        if (rows) rows.push(row);
        else by_file.set(row.file_name, [row]);
      }
      for (const [file, rows] of by_file) this.#known.set(file, footerOf(rows));
    }
    return this.#known;
  }
}

function footerOf(rows: Row[]): Footer {
  const reader = { rows, next: 1 };
  const columns = children(reader, Number(rows[0]?.num_children ?? 0));
  return {
    columns,
    signature: rows
      .slice(1)
      .map((it) =>
        [it.name, it.type, it.num_children, it.converted_type, it.logical_type, it.field_id].join("\u0001"),
      )
      .join("\u0002"),
  };
}

function children(reader: { rows: Row[]; next: number }, count: number): PhysicalColumn[] {
  return Array.from({ length: count }, () => column(reader));
}

/** A column and what lies under it; the groups that Parquet puts between a list and its element are left out. */
function column(reader: { rows: Row[]; next: number }): PhysicalColumn {
  const row = reader.rows[reader.next++] as Row;
  const inner = children(reader, Number(row.num_children ?? 0));
  const field_id = row.field_id === null ? null : Number(row.field_id);
  const base = { name: row.name, field_id };
  const is = (name: string) => row.converted_type === name || (row.logical_type ?? "").startsWith(name);
  if (inner.length === 0) return { ...base, kind: "primitive", children: [] };
  const entries = inner[0] as PhysicalColumn;
  if (is("MAP")) return { ...base, kind: "map", children: entries.children };
  if (is("LIST"))
    return { ...base, kind: "list", children: entries.children.length === 1 ? entries.children : [entries] };
  return { ...base, kind: "struct", children: inner };
}
