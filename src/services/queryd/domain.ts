/** The rules of a query: its limits, its life from the queue to the last byte, and what ends it early. */
import { LakeError } from "../../shared/errors.ts";
import type { Log } from "../../shared/log.ts";
import { streamFile } from "../../shared/stream_file.ts";
import type { Catalogd } from "../catalogd/schema.ts";
import type { WorkerPool } from "./pool.ts";
import type { WorkerProcess } from "./process.ts";
import type { Question, Reply, TableReference } from "./protocol.ts";
import type { Queryd, QueryFormat, QueryRequest, QueryResult, SqlParams } from "./schema.ts";
import { streamFifo } from "./stream.ts";
import { bindingsFor, resolveTables } from "./tables.ts";

export interface QuerydLimits {
  readonly timeout_ms: number;
  readonly max_rows: number;
  readonly max_rows_cap: number;
  readonly max_sql_bytes: number;
  readonly max_params: number;
}

export interface QuerydOptions {
  readonly catalogd: Catalogd;
  readonly pool: WorkerPool;
  readonly limits: QuerydLimits;
  /** Absolute: what the keys of objects are relative to. */
  readonly storage: string;
  readonly log: Log;
  /** Counts a query that was ended before its time. */
  readonly onKilled: (reason: string) => void;
}

const WATCH_MS = 20;
/** Statements whose tables are remembered, so that a repeated one costs one question less. */
const PARSED_KEPT = 1000;
const PARSED_MAX_CHARS = 10_000;

export function createDomain(options: QuerydOptions): Queryd {
  const { limits } = options;
  const parsed = new Map<string, TableReference[]>();

  async function query(request: QueryRequest): Promise<QueryResult> {
    const asked = validate(request, limits);
    const life = new Life(asked.timeout_ms, request.signal, options.onKilled);
    let worker: WorkerProcess | undefined;
    try {
      worker = await options.pool.acquire(life.signal);
      life.watch(worker);
      return await run(options, parsed, request, asked, life, worker);
    } catch (error) {
      life.end();
      if (worker) {
        worker.tidy();
        options.pool.release(worker, life.held_ms);
      }
      throw error;
    }
  }
  return { query };
}

interface Asked {
  format: QueryFormat;
  params: SqlParams | null;
  max_rows: number;
  timeout_ms: number;
}

function validate(request: QueryRequest, limits: QuerydLimits): Asked {
  const bytes = Buffer.byteLength(request.sql, "utf8");
  if (bytes > limits.max_sql_bytes)
    throw new LakeError(
      "too_large",
      `The statement has ${bytes} bytes; at most ${limits.max_sql_bytes} are read.`,
    );
  if (request.sql.includes("\0")) throw new LakeError("invalid", "The statement holds a NUL character.");
  const params = request.params ?? null;
  const count = params === null ? 0 : Object.keys(params).length;
  if (count > limits.max_params)
    throw new LakeError("invalid", `params has ${count} values; at most ${limits.max_params} are read.`);
  const max_rows = request.max_rows ?? limits.max_rows;
  if (max_rows > limits.max_rows_cap)
    throw new LakeError(
      "invalid",
      `max_rows may be at most ${limits.max_rows_cap}; for more, ask for NDJSON, CSV or Parquet by the Accept header.`,
    );
  const timeout_ms = request.timeout_ms ?? limits.timeout_ms;
  if (timeout_ms > limits.timeout_ms)
    throw new LakeError("invalid", `timeout_ms may be at most ${limits.timeout_ms} (got ${timeout_ms}).`);
  return { format: request.format ?? "json", params, max_rows, timeout_ms };
}

async function run(
  options: QuerydOptions,
  parsed: Map<string, TableReference[]>,
  request: QueryRequest,
  asked: Asked,
  life: Life,
  worker: WorkerProcess,
): Promise<QueryResult> {
  const { sql } = request;
  const references = parsed.get(sql) ?? (await parse(parsed, worker, sql, options.log));
  const tables = await life.race(resolveTables(options.catalogd, sql, references, request.as_of));
  const question: Question = {
    ask: "run",
    sql,
    params: asked.params,
    format: asked.format,
    max_rows: asked.max_rows,
    bindings: bindingsFor(tables, worker.views, options.storage),
    snapshot_ids: Object.fromEntries(tables.map((table) => [table.name, table.plan.snapshot_id])),
    elapsed_before_ms: life.elapsed_ms,
  };
  const ask = async () => {
    try {
      return settled(await worker.ask(question), worker, options.log);
    } catch (error) {
      // A failed query may have left a view unmade: what the worker shows is not known any more.
      for (const { schema, view, content } of question.bindings)
        if (content) worker.views.delete(`${schema}.${view}`);
      throw error;
    }
  };
  const done = () => {
    life.end();
    options.pool.release(worker, life.held_ms);
  };
  if (asked.format === "ndjson" || asked.format === "csv") {
    const body = await streamFifo(worker.fifo, ask, (ended) => {
      if (ended === "cancelled") life.cancel();
      else if (ended === "failed")
        options.log.warn({ format: asked.format }, "a query failed while its rows were being sent");
      done();
    });
    return { kind: "stream", format: asked.format, body };
  }
  const reply = await ask();
  if (reply.reply === "answer") {
    done();
    return { kind: "text", format: "json", json: reply.json };
  }
  const body = streamFile(worker.takeResult());
  done();
  return { kind: "stream", format: asked.format, body };
}

async function parse(
  parsed: Map<string, TableReference[]>,
  worker: WorkerProcess,
  sql: string,
  log: Log,
): Promise<TableReference[]> {
  const reply = settled(await worker.ask({ ask: "check", sql }), worker, log);
  if (reply.reply !== "checked")
    throw new LakeError("internal", `a worker answered ${reply.reply} to a check`);
  if (parsed.size >= PARSED_KEPT) parsed.clear();
  if (sql.length <= PARSED_MAX_CHARS) parsed.set(sql, reply.tables);
  return reply.tables;
}

/** The reply, or what it failed with; an engine that broke takes its process with it. */
function settled(reply: Reply, worker: WorkerProcess, log: Log): Exclude<Reply, { reply: "failed" }> {
  if (reply.reply !== "failed") return reply;
  const error = new LakeError(reply.code, reply.message, reply.details, reply.cause);
  if (reply.fatal || reply.code === "unavailable")
    log.error({ err: { code: reply.code, cause: reply.cause } }, "query failed");
  if (reply.fatal) worker.kill(error);
  throw error;
}

/** What can end a query before its time: its deadline, its memory, or whoever asked going away. */
class Life {
  readonly #started_ms = performance.now();
  readonly #abort = new AbortController();
  readonly #deadline: ReturnType<typeof setTimeout>;
  readonly #onKilled: (reason: string) => void;
  readonly #asker: AbortSignal | undefined;
  #watched_ms: number | undefined;
  #watcher: ReturnType<typeof setInterval> | undefined;
  #worker: WorkerProcess | undefined;
  #ended = false;

  constructor(timeout_ms: number, asker: AbortSignal | undefined, onKilled: (reason: string) => void) {
    this.#onKilled = onKilled;
    this.#asker = asker;
    this.#deadline = setTimeout(() => {
      this.#kill(
        "deadline",
        new LakeError(
          "deadline",
          `The query did not finish within ${timeout_ms} ms, waiting for a worker included.`,
        ),
      );
    }, timeout_ms);
    if (asker?.aborted) this.cancel();
    asker?.addEventListener("abort", this.cancel, { once: true });
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  get elapsed_ms(): number {
    return performance.now() - this.#started_ms;
  }

  /** How long a worker has been held. */
  get held_ms(): number {
    return this.#watched_ms === undefined ? 0 : performance.now() - this.#watched_ms;
  }

  /** From here on, ending the query means killing this worker, and passing its limits ends the query. */
  watch(worker: WorkerProcess): void {
    this.#worker = worker;
    this.#watched_ms = performance.now();
    this.#watcher = setInterval(() => {
      const error = worker.overrun();
      if (error) this.#kill("resource_limit", error);
    }, WATCH_MS);
  }

  /** Waits for something that is not the worker's doing. */
  race<T>(work: Promise<T>): Promise<T> {
    const gone = Promise.withResolvers<never>();
    const leave = () => gone.reject(this.signal.reason);
    if (this.signal.aborted) leave();
    this.signal.addEventListener("abort", leave, { once: true });
    return Promise.race([work, gone.promise]).finally(() => this.signal.removeEventListener("abort", leave));
  }

  readonly cancel = (): void => {
    this.#kill("cancelled", new LakeError("unavailable", "Whoever asked has gone; the query was ended."));
  };

  end(): void {
    this.#ended = true;
    clearTimeout(this.#deadline);
    clearInterval(this.#watcher);
    this.#asker?.removeEventListener("abort", this.cancel);
  }

  #kill(reason: string, error: LakeError): void {
    if (this.#ended) return;
    this.end();
    this.#onKilled(reason);
    this.#abort.abort(error);
    this.#worker?.kill(error);
  }
}
