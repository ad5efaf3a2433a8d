/** PyIceberg in a virtual environment of its own, made once from PyPI and kept in the user's cache. */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";

const HERE = import.meta.dir;
const INSTALL_TIMEOUT_MS = 600_000;
const READ_TIMEOUT_MS = 120_000;

interface Statistics {
  record_count: number;
  column_sizes: Record<string, number>;
  value_counts: Record<string, number>;
  null_value_counts: Record<string, number>;
  lower_bounds: Record<string, string>;
  upper_bounds: Record<string, string>;
  split_offsets: number[];
}

export interface TableRead {
  uuid: string;
  format_version: number;
  last_sequence_number: number;
  current_snapshot_id: string;
  /** Id, parent's id, sequence number, schema id. */
  snapshots: [string, string, number, number][];
  summary: Record<string, string>;
  log: string[];
  main: string;
  /** Id, name, type, whether required. */
  fields: [number, string, string, boolean][];
  name_mapping: string;
  planned: string[];
  manifests: {
    content: number;
    sequence_number: number;
    min_sequence_number: number;
    added_snapshot_id: string;
    counts: number[];
    entries: {
      status: number;
      snapshot_id: string;
      sequence_number: number;
      path: string;
      size: number;
      nan_value_counts: Record<string, number>;
      lower: Record<string, string>;
      upper: Record<string, string>;
      ours: Statistics;
      theirs?: Statistics;
    }[];
  }[];
}

/** The environment's Python, or why there is none. */
export function preparePython(): { python: string } | { missing: string } {
  const requirements = join(HERE, "requirements.txt");
  const digest = new Bun.CryptoHasher("sha256").update(readFileSync(requirements)).digest("hex").slice(0, 12);
  const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "lakehouse");
  const folder = join(cache, `interop-${digest}`);
  const python = join(folder, "bin", "python");
  if (existsSync(python)) return { python };
  mkdirSync(cache, { recursive: true });
  // A marker beside a half-made environment would be one more thing to trust: it is made aside, then named.
  const aside = mkdtempSync(join(cache, "making-"));
  const made = run("python3", ["-m", "venv", "--copies", aside]) ?? install(aside, requirements);
  if (made !== undefined) {
    rmSync(aside, { recursive: true, force: true });
    return { missing: made };
  }
  renameSync(aside, folder);
  return { python };
}

function install(folder: string, requirements: string): string | undefined {
  const pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", requirements];
  return run(join(folder, "bin", "python"), pip);
}

/** Undefined where it went well, else what went wrong. */
function run(command: string, args: string[]): string | undefined {
  const { status, stderr, error } = spawnSync(command, args, {
    timeout: INSTALL_TIMEOUT_MS,
    encoding: "utf8",
  });
  return status === 0
    ? undefined
    : `${command} ${args[0]} ${args[1]}: ${error?.message ?? stderr.slice(-2000)}`;
}

export interface ReadOptions {
  snapshot_id?: string;
  /** In PyIceberg's own words, as in `n >= 150`. */
  row_filter?: string;
  /** Tell for each file what PyIceberg would itself have written of it. */
  own_statistics?: boolean;
}

/** A lake's objects, as PyIceberg reads them. */
export interface Reader {
  /** Reads a table and writes its rows to `rows_path` as Parquet. */
  read(metadata_location: string, options: ReadOptions): TableRead & { rows_path: string };
  close(): void;
}

/** @param data_dir the lake's @throws Error with Python's own words where it can't read the table */
export function openReader(python: string, data_dir: string): Reader {
  const scratch = mkdtempSync(join(tmpdir(), "lakehouse-interop-"));
  let reads = 0;
  return {
    read(metadata_location, { snapshot_id = "", row_filter = "", own_statistics = false }) {
      const rows_path = join(scratch, `${reads++}.parquet`);
      const root = join(data_dir, "storage");
      const args = [root, metadata_location, rows_path, snapshot_id, row_filter, own_statistics ? "own" : ""];
      const { status, stdout, stderr } = spawnSync(python, [join(HERE, "read_table.py"), ...args], {
        timeout: READ_TIMEOUT_MS,
        encoding: "utf8",
        maxBuffer: 64 * 1024 * 1024,
        env: { ...process.env, PYTHONPATH: HERE },
      });
      if (status !== 0) throw new Error(`PyIceberg could not read ${metadata_location}:\n${stderr}`);
      return { ...(JSON.parse(stdout) as TableRead), rows_path };
    },
    close: () => rmSync(scratch, { recursive: true, force: true }),
  };
}
