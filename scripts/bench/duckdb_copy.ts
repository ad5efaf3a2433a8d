/** DuckDB by itself, as the reference of ingest: COPY of a CSV to zstd Parquet, in a process of its own. */
import { DuckDBInstance } from "@duckdb/node-api";

const [csv, parquet, threads, level] = process.argv.slice(2);
const instance = await DuckDBInstance.create(":memory:");
const connection = await instance.connect();
await connection.run(`SET threads=${threads}`);
const options = `FORMAT parquet, COMPRESSION zstd${level === undefined ? "" : `, COMPRESSION_LEVEL ${level}`}`;
await connection.run(`COPY (SELECT * FROM read_csv('${csv}')) TO '${parquet}' (${options})`);
process.exit(0);
