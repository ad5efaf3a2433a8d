/** DuckDB in a process of its own: shut in, bounded, and telling how far it is. */
import { type DuckDBConnection, DuckDBInstance, type DuckDBResultReader } from "@duckdb/node-api";
import { messageOf } from "../errors.ts";
import { quoteText } from "./quote.ts";

export interface EngineOptions {
  memory_limit_mib: number;
  threads: number;
  /** Where DuckDB may spill. */
  temp_dir: string;
  max_temp_mib: number;
  /** The only directories it can reach. */
  directories: readonly string[];
}

export interface Engine {
  /** For what streams its rows. */
  readonly connection: DuckDBConnection;
  /** Runs one statement and reads its whole (small) result. @throws DuckDB's own error */
  run(sql: string): Promise<DuckDBResultReader>;
  /** How much of the statement under way is done, 0 to 100. */
  percent(): number;
}

export async function openEngine(options: EngineOptions): Promise<Engine> {
  const instance = await DuckDBInstance.create(":memory:");
  const connection = await instance.connect();
  for (const statement of settings(options)) await connection.run(statement);
  return {
    connection,
    run: (sql) => connection.runAndReadAll(sql),
    percent: () => percentOf(connection),
  };
}

function percentOf(connection: DuckDBConnection): number {
  const { percentage } = connection.progress;
  return percentage > 0 && percentage <= 100 ? percentage : 0;
}

/** The order matters: what is allowed can't change once external access is off, nor anything once locked. */
function settings(options: EngineOptions): string[] {
  return [
    `SET temp_directory=${quoteText(options.temp_dir)}`,
    `SET max_temp_directory_size='${options.max_temp_mib}MiB'`,
    `SET memory_limit='${options.memory_limit_mib}MiB'`,
    `SET threads=${options.threads}`,
    "SET TimeZone='UTC'",
    "SET enable_progress_bar=true",
    "SET enable_progress_bar_print=false",
    "SET autoinstall_known_extensions=false",
    "SET autoload_known_extensions=false",
    "SET allow_community_extensions=false",
    "SET allow_unsigned_extensions=false",
    "SET allow_persistent_secrets=false",
    "SET allow_unredacted_secrets=false",
    "SET disabled_filesystems='HTTPFileSystem,S3FileSystem,HuggingFaceFileSystem'",
    `SET allowed_directories=[${options.directories.map((it) => quoteText(`${it}/`)).join(", ")}]`,
    "SET enable_external_access=false",
    "SET lock_configuration=true",
  ];
}

/** Whether it was the room to work in that was missing, and not what was read that was at fault. */
export function isOutOfRoom(error: unknown): boolean {
  return /Out of Memory|max_temp_directory_size|No space left|Could not write/.test(messageOf(error));
}

/** Why a file can't be read, for its sender: DuckDB names it by its path here, with and without quotes. */
export function whyUnreadable(error: unknown, path: string): string {
  return firstLine(error, path)
    .replace(/^[A-Z][A-Za-z ]* Error: /, "")
    .replace(/(?:file )?(?:'[^']*\/[^']*'|"[^"]*\/[^"]*"|'it'|"it")/g, "it");
}

/** What DuckDB says, without its hints and candidates. @param path what it is to call "it" */
export function firstLine(error: unknown, path?: string): string {
  const [line] = messageOf(error).split("\n") as [string];
  return (path === undefined ? line : line.replaceAll(path, "it")).slice(0, 300);
}
