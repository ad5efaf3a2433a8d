/** DuckDB by itself, as the reference of ingest: COPY of a CSV to zstd Parquet, in a process of its own. */
import { DuckDBInstance } from "@duckdb/node-api";

const [csv, parquet, threads] = process.argv.slice(2);
const instance = await DuckDBInstance.create(":memory:");
const connection = await instance.connect();
await connection.run(`SET threads=${threads}`);
await connection.run(
  `COPY (SELECT * FROM read_csv('${csv}')) TO '${parquet}' (FORMAT parquet, COMPRESSION zstd)`,
);
process.exit(0);
