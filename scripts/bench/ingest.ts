/**
 * A CSV of 200 MB and more over HTTP into a table, committed, against DuckDB's own COPY of the same file to
 * zstd Parquet in a process of its own with as many threads: time, and peak memory of the process trees (PSS).
 */
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startBun } from "./load.ts";
import { treeMib, watchPeak } from "./process_memory.ts";
import { median, printRows, type Row } from "./row.ts";

const BYTES = 210_000_000;
const THREADS = 2;
const ROUNDS = 5;
const EXTRA_MIB = 128;
/** zstd's level in ingestd; DuckDB's own default is 3. The ratio at the same level is told beside the other. */
const OUR_LEVEL = 1;
const CITIES = [
  "Berlin",
  "Paris",
  "Springfield",
  "New York",
  "Los Angeles",
  "Tokyo",
  "Rio de Janeiro",
  "Zürich",
];
const WORDS = "lorem ipsum dolor sit amet consectetur adipiscing elit sed do eiusmod tempor".split(" ");

/** Between two rounds, so that what one leaves to be cleaned up isn't counted to the next. */
const SETTLE_MS = 500;
/** The kernel's clock tick in /proc (USER_HZ). */
const TICK_MS = 10;

interface Measured {
  ms: number;
  /** User and system time of all processes; unlike `ms` it means something on a busy machine. */
  cpu_ms: number;
  peak_mib: number;
}

export async function run(rounds = ROUNDS, bytes = BYTES): Promise<Row[]> {
  const folder = mkdtempSync(join(tmpdir(), "lakehouse-bench-ingest-"));
  const lake = await startBun(["src/main.ts", "all"], {
    LAKEHOUSE_GATEWAY_BIND: "127.0.0.1:0",
    LAKEHOUSE_INGESTD_THREADS: String(THREADS),
  });
  try {
    const csv = join(folder, "data.csv");
    await generate(csv, bytes);
    const idle_mib = treeMib(lake.pid);
    const ours: Measured[] = [];
    const duckdb: Measured[] = [];
    const same_level: Measured[] = [];
    // The first round warms the page cache and the compilers, and is the one whose memory is watched, which
    // takes time of its own; the others are timed.
    for (let round = 0; round <= rounds; round++) {
      const parquet = join(folder, "reference.parquet");
      duckdb.push(await copy(csv, parquet, round === 0));
      await Bun.sleep(SETTLE_MS);
      same_level.push(await copy(csv, parquet, false, OUR_LEVEL));
      await Bun.sleep(SETTLE_MS);
      ours.push(await ingest(lake, csv, `round${round}`, round === 0));
    }
    return rowsOf(ours, duckdb, same_level, statSync(csv).size, idle_mib);
  } finally {
    await lake.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function copy(csv: string, parquet: string, is_watched: boolean, level?: number): Promise<Measured> {
  const started_ms = performance.now();
  const child = Bun.spawn(
    [
      process.execPath,
      join(import.meta.dir, "duckdb_copy.ts"),
      csv,
      parquet,
      String(THREADS),
      ...(level === undefined ? [] : [String(level)]),
    ],
    { stdout: "ignore", stderr: "inherit" },
  );
  const peak = is_watched ? watchPeak(child.pid) : () => 0;
  if ((await child.exited) !== 0) throw new Error("DuckDB's COPY failed");
  const ms = performance.now() - started_ms;
  return { ms, cpu_ms: Number(child.resourceUsage()?.cpuTime.total ?? 0n) / 1000, peak_mib: peak() };
}

async function ingest(
  lake: { url: string; pid: number },
  csv: string,
  name: string,
  is_watched: boolean,
): Promise<Measured> {
  const peak = is_watched ? watchPeak(lake.pid) : () => 0;
  const cpu_before_ms = cpuMs(lake.pid);
  const started_ms = performance.now();
  const response = await fetch(`${lake.url}/v1/ingest?name=${name}`, { method: "POST", body: Bun.file(csv) });
  const answer = await response.text();
  const ms = performance.now() - started_ms;
  if (response.status !== 201) throw new Error(`the ingest failed: ${answer}`);
  await Bun.sleep(SETTLE_MS);
  return { ms, cpu_ms: cpuMs(lake.pid) - cpu_before_ms, peak_mib: peak() };
}

/** User and system time of a process and of those of its children that have ended (proc_pid_stat(5)). */
function cpuMs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
  return fields.slice(11, 15).reduce((sum, it) => sum + Number(it) * TICK_MS, 0);
}

function rowsOf(
  ours: readonly Measured[],
  duckdb: readonly Measured[],
  same_level: readonly Measured[],
  bytes: number,
  idle_mib: number,
): Row[] {
  const time = (all: readonly Measured[]) => median(all.slice(1).map((it) => it.ms));
  const cpu = (all: readonly Measured[]) => median(all.slice(1).map((it) => it.cpu_ms));
  const peak = (all: readonly Measured[]) => all[0]?.peak_mib ?? 0;
  const times = (all: readonly Measured[]) =>
    all
      .slice(1)
      .map((it) => Math.round(it.ms))
      .join(", ");
  const ratio = time(ours) / time(duckdb);
  const more_mib = peak(ours) - peak(duckdb);
  return [
    {
      what: `ingest of a CSV of ${Math.round(bytes / 1e6)} MB over HTTP, committed, against DuckDB's own COPY to zstd Parquet`,
      target: "≤ 1.3 ×",
      measured: `${ratio.toFixed(2)} ×`,
      met: ratio <= 1.3,
      detail: `ms: ours ${times(ours)}; DuckDB ${times(duckdb)}, at zstd level ${OUR_LEVEL} as ours ${times(same_level)} (${(time(ours) / time(same_level)).toFixed(2)} ×); CPU ms: ours ${Math.round(cpu(ours))}, DuckDB ${Math.round(cpu(duckdb))} (${(cpu(ours) / cpu(duckdb)).toFixed(2)} ×), at level ${OUR_LEVEL} ${Math.round(cpu(same_level))}`,
    },
    {
      what: "peak memory (PSS) of the whole single runtime during it, against that of DuckDB's process",
      target: `≤ + ${EXTRA_MIB} MiB`,
      measured: `${more_mib >= 0 ? "+" : "−"} ${Math.abs(Math.round(more_mib))} MiB`,
      met: more_mib <= EXTRA_MIB,
      detail: `MiB: ours ${Math.round(peak(ours))} (idle ${Math.round(idle_mib)}); DuckDB ${Math.round(peak(duckdb))}`,
    },
  ];
}

/** Integers, fractions, dates, timestamps, text bare and quoted, booleans; the same in every run. */
async function generate(path: string, bytes: number): Promise<void> {
  const writer = Bun.file(path).writer({ highWaterMark: 1 << 20 });
  writer.write("id,user_id,price,ratio,day,created_at,city,comment,active\n");
  let seed = 123456789;
  const random = () => {
    seed ^= seed << 13;
    seed ^= seed >>> 17;
    seed ^= seed << 5;
    return (seed >>> 0) / 2 ** 32;
  };
  const pick = (from: readonly string[]) => from[Math.floor(random() * from.length)];
  for (let written = 0, id = 0; written < bytes; ) {
    let text = "";
    for (const end = id + 1000; id < end; id++) {
      const at = new Date(1.6e12 + Math.floor(random() * 1e11)).toISOString();
      const amounts = `${Math.floor(random() * 1e9)},${(random() * 1000).toFixed(2)},${random()}`;
      const comment = `"${pick(WORDS)} ${pick(WORDS)}, ${pick(WORDS)}"`;
      text += `${id},${amounts},${at.slice(0, 10)},${at.slice(0, 19).replace("T", " ")},${pick(CITIES)},${comment},${random() < 0.5}\n`;
    }
    written += text.length;
    writer.write(text);
    await writer.flush();
  }
  await writer.end();
}

if (import.meta.main) printRows(await run());
