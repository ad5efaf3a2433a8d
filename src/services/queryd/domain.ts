/** The rules of a query: its limits, its life from the queue to the last byte, and what ends it early. */
import { LakeError } from "../../shared/errors.ts";
import type { Log } from "../../shared/log.ts";
import { streamFile } from "../../shared/stream_file.ts";
import type { Catalogd } from "../catalogd/schema.ts";
import type { Vectord } from "../vectord/schema.ts";
import { at } from "./failure.ts";
import type { IndexFile, IndexFiles } from "./indexes.ts";
import type { WorkerPool } from "./pool.ts";
import type { WorkerProcess } from "./process.ts";
import type { IndexReference, Question, References, Reply } from "./protocol.ts";
import type { Queryd, QueryFormat, QueryRequest, QueryResult, SqlParams } from "./schema.ts";
import { streamFifo } from "./stream.ts";
import { bindingsFor, nearest, resolveTables } from "./tables.ts";

export interface QuerydLimits {
  readonly timeout_ms: number;
  readonly max_rows: number;
  readonly max_rows_cap: number;
  readonly max_sql_bytes: number;
  readonly max_params: number;
}

export interface QuerydOptions {
  readonly catalogd: Catalogd;
  readonly vectord: Vectord;
  readonly indexes: IndexFiles;
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
  const parsed = new Map<string, References>();

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
  parsed: Map<string, References>,
  request: QueryRequest,
  asked: Asked,
  life: Life,
  worker: WorkerProcess,
): Promise<QueryResult> {
  const { sql } = request;
  const references = parsed.get(sql) ?? (await parse(parsed, worker, sql, options.log));
  const tables = await life.race(resolveTables(options.catalogd, sql, references.tables, request.as_of));
  const indexes = await takeIndexes(options, request, references.indexes, life);
  const question: Question = {
    ask: "run",
    sql,
    params: asked.params,
    format: asked.format,
    max_rows: asked.max_rows,
    bindings: bindingsFor(tables, worker.views, options.storage),
    indexes: indexes.map(({ name, path, with_vector }) => ({ name, path, with_vector })),
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
  parsed: Map<string, References>,
  worker: WorkerProcess,
  sql: string,
  log: Log,
): Promise<References> {
  const reply = settled(await worker.ask({ ask: "check", sql }), worker, log);
  if (reply.reply !== "checked")
    throw new LakeError("internal", `a worker answered ${reply.reply} to a check`);
  if (parsed.size >= PARSED_KEPT) parsed.clear();
  const { tables, indexes } = reply;
  if (sql.length <= PARSED_MAX_CHARS) parsed.set(sql, { tables, indexes });
  return { tables, indexes };
}

/** The files of the indexes that a statement names, kept until the query's end. @throws LakeError */
async function takeIndexes(
  { indexes, vectord }: QuerydOptions,
  { sql, as_of, may_read_indexes = true }: QueryRequest,
  references: readonly IndexReference[],
  life: Life,
): Promise<IndexFile[]> {
  const [first] = references;
  if (first === undefined) return [];
  if (!may_read_indexes)
    throw new LakeError(
      "forbidden",
      `vectors('${first.name}') needs the scope vectord:read.`,
      at(sql, first.offset),
    );
  if (typeof as_of === "string")
    throw new LakeError(
      "invalid",
      "vectors(…) is read as it is now: give as_of for the tables alone, as {table: snapshot id or time}.",
      at(sql, first.offset),
    );
  const taken = references.map(async ({ name, offset, with_vector }) => {
    try {
      const file = await indexes.take(name, with_vector);
      life.atEnd(file.release);
      return file;
    } catch (error) {
      if (!(error instanceof LakeError) || error.code !== "not_found") throw error;
      const { indexes: all } = await vectord.list({ limit: 1000 });
      const names = all.map((it) => it.name).filter((it) => !it.startsWith("_"));
      const candidates = nearest(name, names);
      const hint =
        candidates.length > 0
          ? `did you mean ${candidates.join(" or ")}?`
          : "GET /v1/vectors/index lists those there are.";
      throw new LakeError("not_found", `There is no index "${name}": ${hint}`, {
        ...at(sql, offset),
        candidates,
      });
    }
  });
  return life.race(Promise.all(taken));
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
  readonly #at_end: (() => void)[] = [];

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

  /** Done when the query has ended, however it does; now, where it has. */
  atEnd(work: () => void): void {
    if (this.#ended) work();
    else this.#at_end.push(work);
  }

  end(): void {
    this.#ended = true;
    for (const work of this.#at_end.splice(0)) work();
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
