/**
 * Runs the benchmarks of scripts/bench one after another, each in a process of its own, and writes what
 * they measured to docs/benchmarks.md. `npm run bench [-- name…]` runs only those and keeps the rest; options
 * after the names (`npm run bench -- retrieval --sets FOLDER`) are handed to each of them.
 */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { cpus, tmpdir, totalmem } from "node:os";
import { join, resolve } from "node:path";
import packageJson from "../package.json";
import { printRows, type Row } from "./bench/row.ts";

const BENCHES = resolve(import.meta.dir, "bench");
const REPORT = resolve(import.meta.dir, "../docs/benchmarks.md");
const LIMIT_MS = 20 * 60_000;
const INTRODUCTION = `# Benchmarks

Written by \`npm run bench\`. Each row is a ratio to something known, measured in the same run on the same
machine, so that it can be measured again anywhere; the medians of several runs. \`npm run bench -- NAME\`
measures one again and replaces its section.

Some take data, as options after the names, and without it say that they were not measured: \`--real FOLDER\`, real
embeddings and texts that \`scripts/distill/real_vectors.py\` makes, and \`--sets FOLDER\`, retrieval sets. Programs of
others that we are compared with are installed from npm and PyPI when first needed, and kept under \`--peers FOLDER\`.
`;

/** The benchmarks: every file of scripts/bench that exports \`run\`. */
function benchmarks(): string[] {
  const transpiler = new Bun.Transpiler({ loader: "ts" });
  return readdirSync(BENCHES)
    .filter((file) => file.endsWith(".ts"))
    .filter((file) => transpiler.scan(readFileSync(join(BENCHES, file), "utf8")).exports.includes("run"))
    .map((file) => file.slice(0, -".ts".length))
    .sort();
}

/** Runs one in a fresh process, which writes its rows to a file. @throws Error where it fails or takes too long */
async function measure(name: string, options: readonly string[]): Promise<Row[]> {
  const scratch = mkdtempSync(join(tmpdir(), "lakehouse-bench-"));
  const out = join(scratch, "rows.json");
  const code = `import { run } from ${JSON.stringify(join(BENCHES, `${name}.ts`))};
await Bun.write(${JSON.stringify(out)}, JSON.stringify(await run()));
process.exit(0);`;
  try {
    const child = Bun.spawn([process.execPath, "-e", code, "--", ...options], {
      stdio: ["ignore", "inherit", "inherit"],
      timeout: LIMIT_MS,
    });
    const exit = await child.exited;
    if (exit !== 0) throw new Error(`${name} ended with exit code ${exit}`);
    return JSON.parse(readFileSync(out, "utf8")) as Row[];
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

function section(name: string, rows: readonly Row[]): string {
  const cells = (row: Row) => [row.what, row.target, row.measured, row.met ? "yes" : "**no**"];
  const line = (texts: string[]) => `| ${texts.map((text) => text.replaceAll("|", "\\|")).join(" | ")} |`;
  const details = rows.filter(({ detail }) => detail).map(({ what, detail }) => `- ${what}: ${detail}`);
  return [
    `## ${name}\n`,
    line(["what", "target", "measured", "met"]),
    "|---|---|---|---|",
    ...rows.map((row) => line(cells(row))),
    ...(details.length > 0 ? ["", ...details] : []),
    `\n${new Date().toISOString().slice(0, 10)}, ${machine()}\n`,
  ].join("\n");
}

function machine(): string {
  const { model, speed } = cpus()[0] ?? { model: "unknown processor", speed: 0 };
  const memory_gib = Math.round(totalmem() / 2 ** 30);
  const clock = speed > 0 && !model.includes("Hz") ? ` at ${speed} MHz` : "";
  const { elysia, "@duckdb/node-api": duckdb } = packageJson.dependencies;
  return (
    `${cpus().length} × ${model.trim()}${clock}, ${memory_gib} GiB, ${process.platform} ${process.arch}, ` +
    `Bun ${Bun.version}, Elysia ${elysia}, DuckDB ${duckdb}`
  );
}

/** The report with these sections put in or replaced, in order of name; of benchmarks that are gone none stays. */
function report(fresh: ReadonlyMap<string, string>, known: readonly string[]): string {
  const sections = new Map<string, string>();
  const before = existsSync(REPORT) ? readFileSync(REPORT, "utf8") : "";
  for (const text of before.split(/^(?=## )/m).slice(1))
    sections.set(/^## (.*)$/m.exec(text)?.[1] ?? "", text);
  for (const [name, text] of fresh) sections.set(name, text);
  const kept = known.flatMap((name) => sections.get(name) ?? []);
  return `${[INTRODUCTION, ...kept].map((text) => text.trim()).join("\n\n")}\n`;
}

async function main(given: readonly string[]): Promise<number> {
  const known = benchmarks();
  const first_option = given.findIndex((word) => word.startsWith("--"));
  const asked = first_option < 0 ? given : given.slice(0, first_option);
  const options = given.slice(asked.length);
  const unknown = asked.filter((name) => !known.includes(name));
  if (unknown.length > 0) {
    console.error(`no benchmark is called ${unknown.join(", ")} (there are: ${known.join(", ")})`);
    return 1;
  }
  let fell_short = 0;
  const unmeasured: string[] = [];
  const fresh = new Map<string, string>();
  for (const name of asked.length > 0 ? asked : known) {
    console.log(`\n── ${name}`);
    try {
      const rows = await measure(name, options);
      printRows(rows);
      fell_short += rows.filter(({ met }) => !met).length;
      if (rows.length > 0) fresh.set(name, section(name, rows));
      else unmeasured.push(name);
    } catch (error) {
      console.error((error as Error).message);
      fell_short += 1;
    }
  }
  writeFileSync(REPORT, report(fresh, known));
  if (unmeasured.length > 0)
    console.log(`\nNOT MEASURED, and left in the report as it was: ${unmeasured.join(", ")}`);
  console.log(
    `\n${fell_short === 0 ? "Every target that was measured was met" : `${fell_short} fell short`}; see docs/benchmarks.md`,
  );
  return fell_short === 0 ? 0 : 1;
}

process.exit(await main(process.argv.slice(2)));
