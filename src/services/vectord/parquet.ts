/** An index as one Parquet file: its items stream from SQLite through DuckDB, a chunk at a time. */
import {
  ARRAY,
  DuckDBArrayValue,
  type DuckDBConnection,
  DuckDBTableFunction,
  DuckDBTimestampTZValue,
  type DuckDBType,
  type DuckDBValue,
  FLOAT,
  TIMESTAMPTZ,
  VARCHAR,
} from "@duckdb/node-api";
import { DIMENSION_KEY } from "../../shared/duckdb/content.ts";
import type { Engine } from "../../shared/duckdb/engine.ts";
import { quoteText } from "../../shared/duckdb/quote.ts";
import { type ExportedItem, ItemReader } from "./store.ts";
import type { WriteParquet } from "./tables_protocol.ts";

/** Rows of DuckDB's own chunks. */
const CHUNK_ROWS = 2048;
/** What a row group may take in memory while it is written, and what a row without its vector takes of it. */
const ROW_GROUP_BYTES = 32 * 1024 * 1024;
const ROW_BYTES = 512;
const ROW_GROUP_ROWS = 122_880;

/** A column of the file, and its value of an item. */
interface ItemColumn {
  readonly name: string;
  readonly type: DuckDBType;
  value(item: ExportedItem): DuckDBValue;
}

/** Items as they were when it began; what has expired is left out. */
export async function writeParquet(engine: Engine, request: WriteParquet): Promise<{ rows: number }> {
  const reader = new ItemReader(request.items_path);
  try {
    const { dimension } = reader.settings;
    const columns = columnsOf(request.with_vectors ? dimension : null);
    const given = serveItems(engine.connection, "items", columns, reader.all(request.now_ms));
    const row_bytes = ROW_BYTES + (request.with_vectors ? 4 * dimension : 0);
    const group_rows =
      Math.ceil(Math.min(ROW_GROUP_ROWS, ROW_GROUP_BYTES / row_bytes) / CHUNK_ROWS) * CHUNK_ROWS;
    const length = request.with_vectors ? `, KV_METADATA {${DIMENSION_KEY}: '${dimension}'}` : "";
    await engine.run(
      `COPY (SELECT * FROM items()) TO ${quoteText(request.out)} (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE ${group_rows}${length})`,
    );
    return { rows: given.rows };
  } finally {
    reader.close();
  }
}

/** @param dimension null where vectors are left out */
function columnsOf(dimension: number | null): ItemColumn[] {
  const vector: ItemColumn[] =
    dimension === null
      ? []
      : [{ name: "vector", type: ARRAY(FLOAT, dimension), value: ({ vector }) => floatsOf(vector) }];
  return [
    { name: "id", type: VARCHAR, value: ({ id }) => id },
    ...vector,
    { name: "text", type: VARCHAR, value: ({ text }) => text },
    { name: "metadata", type: VARCHAR, value: ({ metadata }) => metadata },
    {
      name: "expires_at",
      type: TIMESTAMPTZ,
      value: ({ expires_ms }) =>
        expires_ms === null ? null : new DuckDBTimestampTZValue(BigInt(expires_ms) * 1000n),
    },
  ];
}

function floatsOf(bytes: Uint8Array): DuckDBArrayValue {
  const aligned = bytes.byteOffset % 4 === 0 ? bytes : bytes.slice();
  const floats = new Float32Array(aligned.buffer, aligned.byteOffset, aligned.byteLength / 4);
  // Read by place alone: an array of its own would cost as much again.
  return new DuckDBArrayValue(floats as unknown as readonly DuckDBValue[]);
}

/** A table function of DuckDB's that answers with these items, once. */
export function serveItems<Row>(
  connection: DuckDBConnection,
  name: string,
  columns: readonly { name: string; type: DuckDBType; value(row: Row): DuckDBValue }[],
  rows: Iterator<Row>,
): { rows: number } {
  const given = { rows: 0 };
  const table = DuckDBTableFunction.create({
    name,
    bindFunction: (info) => {
      for (const column of columns) info.addResultColumn(column.name, column.type);
    },
    // One thread, so that the rows stay in their order.
    initFunction: (info) => info.setMaxThreads(1),
    mainFunction: (_, chunk) => {
      const some: Row[] = [];
      while (some.length < CHUNK_ROWS) {
        const { done, value } = rows.next();
        if (done) break;
        some.push(value);
      }
      chunk.rowCount = some.length;
      given.rows += some.length;
      if (some.length > 0)
        for (const [at, column] of columns.entries()) chunk.setColumnValues(at, some.map(column.value));
    },
  });
  connection.registerTableFunction(table);
  return given;
}
