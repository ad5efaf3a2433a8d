/** The second wall: a DuckDB that can open nothing but the warehouse, the files of indexes and its own scratch. */
import { DuckDBInstance } from "@duckdb/node-api";
import { quoteText } from "../../shared/duckdb/quote.ts";
import type { WorkerSettings } from "./protocol.ts";

/** An engine in memory, locked; the order matters, since later settings forbid earlier ones. */
export async function openSandbox(settings: WorkerSettings): Promise<DuckDBInstance> {
  const engine = await DuckDBInstance.create(":memory:");
  const connection = await engine.connect();
  const directories = [settings.warehouse, settings.indexes, settings.scratch].map(quoteText).join(", ");
  for (const setting of [
    "GLOBAL errors_as_json = true",
    "enable_progress_bar = false",
    "parquet_metadata_cache = true",
    `temp_directory = ${quoteText(`${settings.scratch}/spill`)}`,
    `max_temp_directory_size = '${settings.scratch_mib}MiB'`,
    `memory_limit = '${settings.memory_limit_mib}MiB'`,
    `threads = ${settings.threads}`,
    "GLOBAL TimeZone = 'UTC'",
    "autoinstall_known_extensions = false",
    "autoload_known_extensions = false",
    "allow_community_extensions = false",
    "allow_unsigned_extensions = false",
    "allow_persistent_secrets = false",
    "allow_unredacted_secrets = false",
    "disabled_filesystems = 'HTTPFileSystem,S3FileSystem,HuggingFaceFileSystem'",
    `allowed_directories = [${directories}]`,
    "enable_external_access = false",
    "lock_configuration = true",
  ])
    await connection.run(`SET ${setting}`);
  connection.closeSync();
  return engine;
}
