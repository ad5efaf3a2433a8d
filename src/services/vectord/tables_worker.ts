/** A process with DuckDB that writes one index as Parquet, or reads the rows of one file or table. */
import { join } from "node:path";
import { serveEngine } from "../../shared/duckdb/serve.ts";
import { writeParquet } from "./parquet.ts";
import { Rows } from "./rows.ts";
import type { TableWork } from "./tables_protocol.ts";

let rows: Rows | undefined;
const opened = (): Rows => {
  if (rows === undefined) throw new Error("rows were asked for before they were opened");
  return rows;
};

serveEngine<TableWork, never>("transfer", "(vectord.memory_limit_mib, vectord.scratch_mib)", {
  write: (engine, request) => writeParquet(engine, request),
  async open(engine, request) {
    rows = await Rows.open(engine.connection, request, join(process.cwd(), "batch.ndjson"));
    return rows.opened;
  },
  judge: (_, request) => opened().judgeAll(request),
  next: (_, request) => opened().next(request),
  missing: (_, request) => opened().missing(request),
});
