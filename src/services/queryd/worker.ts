/**
 * A query worker: a process of its own with a locked DuckDB, which its parent may kill at any moment.
 * It is asked over IPC and answers over IPC; results too long for a message go to its scratch directory.
 */
import { writeFileSync } from "node:fs";
import { setPriority } from "node:os";
import type { DuckDBConnection, DuckDBInstance } from "@duckdb/node-api";
import { DIMENSION_KEY } from "../../shared/duckdb/content.ts";
import { Footers } from "../../shared/duckdb/footers.ts";
import { quoteName, quotePath } from "../../shared/duckdb/quote.ts";
import { bindTable } from "../../shared/duckdb/view.ts";
import { Checker } from "./check.ts";
import { fromDuckdb, QueryFailure, toReply } from "./failure.ts";
import type { BoundIndex, Question, Ready, References, Reply, WorkerSettings } from "./protocol.ts";
import { runStatement } from "./run.ts";
import { openSandbox } from "./sandbox.ts";

interface Checked {
  references: References;
  /** The statement without trailing semicolons. */
  body: string;
}

/** Statements remembered as checked: the check hangs on nothing but the text. */
const CHECKED_KEPT = 500;
const CHECKED_MAX_CHARS = 20_000;

class Worker {
  readonly #checked = new Map<string, Checked>();
  readonly #footers = new Footers();

  constructor(
    readonly engine: DuckDBInstance,
    readonly checker: Checker,
    readonly settings: WorkerSettings,
  ) {}

  async answer(question: Question): Promise<Reply> {
    const started_ms = performance.now();
    // A connection for each query: seeds, variables and prepared statements end with it.
    const connection = await this.engine.connect();
    try {
      const checked = await this.#check(question.sql);
      if (question.ask === "check") return { reply: "checked", ...checked.references };
      for (const binding of question.bindings)
        if (binding.content) await bindTable(connection, this.#footers, binding, binding.content);
      await bindIndexes(connection, question.indexes);
      return await runStatement(connection, this.checker, this.settings, question, checked.body, started_ms);
    } catch (error) {
      const failure = fromDuckdb(error, question.sql);
      return toReply(failure, [this.settings.scratch, this.settings.warehouse, this.settings.indexes]);
    } finally {
      connection.closeSync();
    }
  }

  async #check(sql: string): Promise<Checked> {
    const known = this.#checked.get(sql);
    if (known) return known;
    const references = await this.checker.check(sql);
    const checked = { references, body: await withoutEnd(sql, references, this.checker) };
    if (this.#checked.size >= CHECKED_KEPT) this.#checked.clear();
    if (sql.length <= CHECKED_MAX_CHARS) this.#checked.set(sql, checked);
    return checked;
  }
}

/**
 * The statement without the semicolon that ends it, so that it can stand in parentheses. A semicolon may
 * also stand in a string or comment: only one without which the rest still parses as the same is the end.
 */
async function withoutEnd(sql: string, references: References, checker: Checker): Promise<string> {
  const shape = JSON.stringify(references);
  let tries = 0;
  for (let end = sql.indexOf(";"); end !== -1 && tries < 100; end = sql.indexOf(";", end + 1)) {
    if (!/^(?:[\s;]|--[^\n]*(?:\n|$)|\/\*[\s\S]*?\*\/)*$/.test(sql.slice(end))) continue;
    tries++;
    const body = sql.slice(0, end);
    try {
      if (JSON.stringify(await checker.check(body)) === shape) return body;
    } catch (error) {
      if (!(error instanceof QueryFailure)) throw error;
    }
  }
  return sql;
}

/**
 * vectors('name') for one connection: a view of each file handed over, without items whose time has passed since, and
 * a macro that names them alone: no SQL of a caller's can name a view with a colon, nor any file.
 */
async function bindIndexes(connection: DuckDBConnection, indexes: readonly BoundIndex[]): Promise<void> {
  if (indexes.length === 0) return;
  for (const { name, path, with_vector } of indexes) {
    const vector = with_vector ? `, vector::FLOAT[${await dimensionOf(connection, path)}] AS vector` : "";
    const columns = `id, text, metadata::JSON AS metadata, expires_at${vector}`;
    await connection.run(
      `CREATE TEMP VIEW ${quoteName(`index:${name}`)} AS SELECT ${columns} FROM read_parquet(${quotePath(path)}, hive_partitioning = false) WHERE expires_at IS NULL OR expires_at > now()`,
    );
  }
  await connection.run(
    "CREATE TEMP MACRO vectors(name_of_index) AS TABLE SELECT * FROM query_table('index:' || name_of_index)",
  );
}

/** Parquet has lists alone: how long each of them is, its writer says beside them. */
async function dimensionOf(connection: DuckDBConnection, path: string): Promise<number> {
  const told = await connection.runAndReadAll(
    `SELECT decode(value) FROM parquet_kv_metadata(${quotePath(path)}) WHERE decode(key) = '${DIMENSION_KEY}'`,
  );
  const dimension = Number(told.getRows()[0]?.[0]);
  if (!Number.isSafeInteger(dimension) || dimension < 1)
    throw new Error("the copy of an index does not say how long its vectors are");
  return dimension;
}

/** Nobody but this process is to suffer from a query: the kernel takes it first, and schedules it last. */
function standBack(): void {
  setPriority(5);
  if (process.platform === "linux") writeFileSync("/proc/self/oom_score_adj", "1000");
}

async function main(): Promise<void> {
  // A parent that is gone must not leave a query running; nothing here is worth an orderly end.
  // A terminal and systemd signal the whole group; when a worker ends is for its parent to say.
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => {});
  process.on("disconnect", () => process.kill(process.pid, "SIGKILL"));
  standBack();
  const settings = JSON.parse(process.argv[2] ?? "{}") as WorkerSettings;
  const engine = await openSandbox(settings);
  const worker = new Worker(engine, await Checker.open(await engine.connect()), settings);
  process.on("message", async (question: Question) => {
    process.send?.(await worker.answer(question));
  });
  process.send?.({ ready: true } satisfies Ready);
}

await main();
