/** Every setting, with its default, its bounds and what it means; lakehouse.toml is written from it. */
import { FormatRegistry, type Static, type TSchema, Type } from "@sinclair/typebox";
import { EMBEDDING_MODELS, EmbeddingModel } from "./settings_models.ts";
import { DEFAULT_DOWNGRADE_RULES, DOWNGRADE_RULES, DowngradeRule } from "./settings_rules.ts";

const MIB = 1024 * 1024;

/** A setting that must be a whole number of something, with its default, bounds and meaning. */
const whole = (value: number, minimum: number, maximum: number, description: string) =>
  Type.Integer({ default: value, minimum, maximum, description });
const text = (value: string, description: string) => Type.String({ default: value, description });
const flag = (value: boolean, description: string) => Type.Boolean({ default: value, description });
const bind = (port: number) =>
  Type.String({
    default: `127.0.0.1:${port}`,
    format: "bind",
    description: "host:port; port 0 takes a free one",
  });
const url = (service: string) =>
  Type.String({ default: "", format: "base_url", description: `where ${service} runs, when it is not here` });
const section = <P extends Record<string, TSchema>>(properties: P) =>
  Type.Object(properties, { additionalProperties: false, default: {} });
const oneOf = <Names extends string[]>(names: [...Names], value: Names[number], description: string) =>
  Type.Union(
    names.map((name) => Type.Literal(name as Names[number])),
    { default: value, description },
  );

const Key = Type.Object(
  {
    name: Type.String({ pattern: "^[a-z0-9-]{1,64}$" }),
    // Never shown: a person may have put the key itself here.
    sha256: Type.String({
      pattern: "^[0-9a-f]{64}$",
      description: "the key's SHA-256, as 64 hex digits in lower case",
      is_secret: true,
    }),
    scopes: Type.Array(
      Type.String({
        pattern: "^(\\*|[a-z_]+:(read|write))$",
        form: '"*", or a service with :read or :write, as in "vectord:read"',
      }),
      { minItems: 1 },
    ),
  },
  { additionalProperties: false },
);

export const ConfigSchema = Type.Object(
  {
    data_dir: text("./data", "everything that persists lives here"),
    log_level: oneOf(
      ["trace", "debug", "info", "warn", "error", "silent"],
      "info",
      "what is logged, on standard error",
    ),
    drain_ms: whole(10_000, 0, 600_000, "how long a stop waits for what is under way"),
    max_json_bytes: whole(4 * MIB, 1024, 256 * MIB, "the largest JSON body a route reads"),
    max_held_bytes: whole(
      256 * MIB,
      1024,
      1024 * 1024 * MIB,
      "bytes of bodies that one process holds at a time; past it the answer is 429",
    ),
    keys: Type.Array(Key, {
      default: [],
      description:
        "who may call, made by `npm start -- key create`; with none, everything is open, on loopback only",
    }),
    gateway: section({
      bind: bind(3210),
      timeout_ms: whole(30_000, 1, 3_600_000, "how long a forwarded call may stay without an answer"),
      witness: flag(true, "report every operation served to observerd"),
      witness_queue: whole(
        10_000,
        1,
        1_000_000,
        "operations waiting to be reported; past it they are dropped and counted",
      ),
      storaged_url: url("storaged"),
      catalogd_url: url("catalogd"),
      ingestd_url: url("ingestd"),
      queryd_url: url("queryd"),
      embedd_url: url("embedd"),
      vectord_url: url("vectord"),
      pathwayd_url: url("pathwayd"),
      observerd_url: url("observerd"),
      matrixd_url: url("matrixd"),
    }),
    storaged: section({
      bind: bind(3211),
      max_object_bytes: whole(256 * MIB, 1, 1024 * 1024 * MIB, "the largest object"),
      prefix_max_bytes: Type.Record(Type.String(), Type.Integer({ minimum: 1 }), {
        default: { "warehouse/": 32 * 1024 * MIB, "vectors/": 32 * 1024 * MIB },
        description: "a cap of its own for a prefix; the longest that fits counts",
      }),
    }),
    catalogd: section({
      bind: bind(3212),
      commit_attempts: whole(100, 1, 10_000, "how often a commit is tried where each attempt loses a race"),
      commit_keys_kept: whole(
        100_000,
        1,
        10_000_000,
        "idempotency keys of commits remembered for each table, the newest",
      ),
      max_commit_files: whole(10_000, 1, 1_000_000, "files that one commit or registration may name"),
      max_footer_bytes: whole(64 * MIB, 1024, 1024 * MIB, "the largest Parquet footer that is read"),
      cache_mib: whole(64, 0, 64 * 1024, "memory for metadata and manifests already read"),
      max_columns: whole(2000, 1, 100_000, "columns of one table, nested fields included"),
      snapshot_max_age_ms: whole(
        432_000_000,
        0,
        3_153_600_000_000,
        "maintain expires snapshots older than this",
      ),
      snapshots_kept: whole(1, 1, 1_000_000, "maintain keeps at least so many of the newest snapshots"),
      orphan_min_age_ms: whole(
        86_400_000,
        0,
        3_153_600_000_000,
        "maintain removes unreferenced files older than this",
      ),
    }),
    ingestd: section({
      bind: bind(3213),
      max_body_bytes: whole(16 * 1024 * MIB, 1, 1024 * 1024 * MIB, "the largest file, as sent"),
      max_expanded_bytes: whole(
        64 * 1024 * MIB,
        1,
        1024 * 1024 * MIB,
        "the largest file, after decompression",
      ),
      timeout_ms: whole(3_600_000, 1000, 86_400_000, "how long one ingest may take"),
      workers: whole(1, 1, 64, "conversions at a time"),
      queue: whole(16, 0, 10_000, "ingests waiting for a worker; past it the answer is 429"),
      memory_limit_mib: whole(1024, 64, 1024 * 1024, "DuckDB's memory in one conversion"),
      process_limit_mib: whole(
        2048,
        128,
        2 * 1024 * 1024,
        "a conversion that takes more resident memory is stopped",
      ),
      threads: whole(2, 1, 256, "DuckDB's threads in one conversion"),
      file_bytes: whole(256 * MIB, MIB, 16 * 1024 * MIB, "the size at which a new Parquet file is begun"),
      rejected_samples: whole(20, 0, 1000, "rejected rows told in an answer"),
      jobs_kept: whole(1000, 1, 1_000_000, "finished jobs that can still be asked for"),
    }),
    embedd: section({
      bind: bind(3216),
      default_model: text("lakehouse-static-en-v1", "the model of whoever names none; this one is built in"),
      workers: whole(1, 1, 64, "threads that run the built-in model"),
      timeout_ms: whole(25_000, 1, 3_600_000, "how long one request may take, waiting included"),
      provider_timeout_ms: whole(20_000, 1, 3_600_000, "how long a provider may take for one call"),
      max_texts: whole(2048, 1, 100_000, "texts of one request"),
      max_text_bytes: whole(32_768, 1, 65_535, "the longest text"),
      queue: whole(10_000, 1, 1_000_000, "texts waiting for one model; past it the answer is 429"),
      queue_bytes: whole(64 * MIB, MIB, 16 * 1024 * MIB, "bytes of texts waiting for one model"),
      cache_mib: whole(32, 0, 64 * 1024, "memory for vectors already made"),
      breaker_failures: whole(5, 1, 1000, "failed calls in a row after which a provider is left alone"),
      breaker_ms: whole(10_000, 1, 3_600_000, "how long a failing provider is left alone"),
      models: Type.Array(EmbeddingModel, {
        default: [],
        description: "models that other programs run, beside the built-in one",
        sample: EMBEDDING_MODELS,
      }),
    }),
    vectord: section({
      bind: bind(3215),
      max_indexes: whole(64, 1, 10_000, "indexes there may be"),
      timeout_ms: whole(
        3_600_000,
        1000,
        86_400_000,
        "how long one snapshot, restore, export, import or reading of a table may take",
      ),
      transfers: whole(1, 1, 64, "exports at a time, and as many imports and readings of tables"),
      transfer_queue: whole(16, 0, 10_000, "exports, and imports, waiting; past it the answer is 429"),
      max_import_bytes: whole(4 * 1024 * MIB, 1024, 1024 * 1024 * MIB, "the largest Parquet file to import"),
      memory_limit_mib: whole(512, 64, 1024 * 1024, "DuckDB's memory in one export or import"),
      process_limit_mib: whole(
        1536,
        128,
        2 * 1024 * 1024,
        "an export or import that takes more resident memory is stopped",
      ),
      scratch_mib: whole(4096, 0, 16 * 1024 * 1024, "disk one export or import may spill to"),
      jobs_kept: whole(1000, 1, 1_000_000, "finished readings of tables that can still be asked for"),
      max_index_items: whole(
        5_000_000,
        1,
        1_000_000_000,
        "items of one index; their vectors are held in memory",
      ),
      max_dimension: whole(4096, 1, 65_536, "numbers in a vector"),
      max_items: whole(10_000, 1, 1_000_000, "items of one batch"),
      max_body_bytes: whole(64 * MIB, 1024, 1024 * MIB, "the largest batch, as sent"),
      max_id_bytes: whole(512, 1, 65_536, "the longest id of an item"),
      max_metadata_bytes: whole(16 * 1024, 2, 16 * MIB, "the largest metadata of an item, as JSON"),
      max_text_bytes: whole(256 * 1024, 0, 64 * MIB, "the longest text of an item"),
      queue: whole(1000, 1, 1_000_000, "writes, and searches, waiting; past it the answer is 429"),
      searchers: whole(2, 1, 64, "threads that search; each index is in one of them"),
      ef_search: whole(96, 1, 10_000, "candidates a search looks at in the graph, unless asked otherwise"),
      search_timeout_ms: whole(5000, 1, 3_600_000, "a search that takes longer is answered 504"),
      save_after_ms: whole(5000, 1, 86_400_000, "how long a graph stays unchanged before it is saved"),
      expire_every_ms: whole(60_000, 10, 86_400_000, "how often items whose time has passed are removed"),
    }),
    queryd: section({
      bind: bind(3214),
      workers: whole(2, 1, 64, "queries at a time, each in a process of its own"),
      queue: whole(64, 0, 10_000, "queries waiting for a worker; past it the answer is 429"),
      timeout_ms: whole(
        30_000,
        1,
        3_600_000,
        "how long one query may take, and the most a caller may ask for",
      ),
      memory_limit_mib: whole(1024, 64, 1024 * 1024, "DuckDB's memory in one query"),
      process_limit_mib: whole(
        2048,
        128,
        2 * 1024 * 1024,
        "the resident memory at which a query's process is killed",
      ),
      threads: whole(2, 1, 256, "DuckDB's threads in one query"),
      scratch_mib: whole(4096, 0, 16 * 1024 * 1024, "disk one query may spill to"),
      worker_idle_ms: whole(
        30_000,
        0,
        3_600_000,
        "how long idle worker processes beyond the one kept warm are kept",
      ),
      worker_idle_mib: whole(
        256,
        64,
        1024 * 1024,
        "the resident memory past which a worker is replaced between queries",
      ),
      max_rows: whole(10_000, 1, 1_000_000, "rows of an application/json answer, unless asked otherwise"),
      max_rows_cap: whole(
        1_000_000,
        1,
        100_000_000,
        "the most rows an application/json answer may be asked for",
      ),
      max_answer_bytes: whole(256 * MIB, 1024, 16 * 1024 * MIB, "the largest application/json answer"),
      index_cache_mib: whole(1024, 1, 16 * 1024 * 1024, "disk for the indexes that vectors(…) reads"),
      index_idle_ms: whole(
        60_000,
        0,
        86_400_000,
        "how long the copy of an index that no query reads is kept",
      ),
      max_sql_bytes: whole(262_144, 1, 16 * MIB, "the longest statement"),
      max_params: whole(1000, 0, 100_000, "parameters of one statement"),
    }),
    pathwayd: section({
      bind: bind(3217),
      model: text("", 'of embedd, for the search index; "" is the one of whoever names none'),
      durability: oneOf(["fsync", "os"], "fsync", "fsync: a write is on the disk before it is acknowledged"),
      max_traces: whole(1_000_000, 1, 100_000_000, "traces there may be; they are held in memory"),
      max_versions: whole(1000, 1, 100_000, "versions of one trace"),
      max_history_bytes: whole(4 * MIB, 4096, 64 * MIB, "one trace with all its versions, as JSON"),
      max_content_bytes: whole(64 * 1024, 1, MIB, "the largest content"),
      max_tags: whole(64, 0, 1000, "tags of one trace"),
      max_scope_labels: whole(16, 0, 64, "labels of one scope"),
      max_import_bytes: whole(64 * MIB, 1024, 1024 * MIB, "the largest import, as sent"),
      index_batch: whole(500, 1, 10_000, "versions given to the search index at a time"),
      index_wait_ms: whole(5000, 0, 600_000, "how long a write or a search waits for the search index"),
      segment_bytes: whole(64 * MIB, 4096, 16 * 1024 * MIB, "the size at which a journal segment is closed"),
      dedupe_records: whole(100_000, 0, 100_000_000, "how many of the last records are known by their ids"),
      queue: whole(10_000, 1, 1_000_000, "records waiting for the disk; past it the answer is 429"),
      queue_bytes: whole(64 * MIB, MIB, 16 * 1024 * MIB, "bytes of records waiting for the disk"),
    }),
    observerd: section({
      bind: bind(3219),
      persist_path: Type.String({
        default: "observer/ops.jsonl",
        pattern: "^(.*[^/]\\.jsonl)?$",
        description: 'the journal, within data_dir; "" keeps operations in memory only',
      }),
      durability: oneOf(
        ["fsync", "os"],
        "fsync",
        "fsync: an operation is on the disk before it is acknowledged; os: the system writes it when it likes",
      ),
      ring_capacity: whole(2000, 1, 1_000_000, "operations held for stats and lists"),
      dedupe_records: whole(1_000_000, 0, 100_000_000, "how many of the last ids make a repeat idempotent"),
      segment_bytes: whole(64 * MIB, 4096, 16 * 1024 * MIB, "the size at which a journal segment is closed"),
      queue: whole(10_000, 1, 1_000_000, "operations waiting for the disk; past it the answer is 429"),
      queue_bytes: whole(64 * MIB, MIB, 16 * 1024 * MIB, "bytes of operations waiting for the disk"),
      max_event_bytes: whole(64 * 1024, 256, MIB, "the largest operation, as JSON"),
      max_events: whole(10_000, 1, 1_000_000, "operations in one batch"),
      gateway_segments: whole(
        16,
        1,
        1_000_000,
        "closed segments kept of the gateway's own reports; older ones are deleted",
      ),
    }),
    matrixd: section({
      bind: bind(3218),
      timeout_ms: whole(
        10_000,
        1,
        3_600_000,
        "how long one search may take, and the most a caller may ask for",
      ),
      max_corpora: whole(256, 1, 10_000, "corpora there may be"),
      max_searches: whole(64, 1, 10_000, "searches under way; past it the answer is 429"),
      queue: whole(1000, 1, 1_000_000, "changes waiting for the disk; past it the answer is 429"),
      max_chunks: whole(256, 1, 1000, "chunks that relevance judges together"),
      max_playbooks: whole(10_000, 1, 100_000, "playbooks there may be; each search compares them all"),
      dedupe_records: whole(
        100_000,
        0,
        100_000_000,
        "how many of the last ids make a repeated record of a playbook or an outcome harmless",
      ),
      min_outcomes: whole(
        20,
        1,
        1_000_000,
        "outcomes of each of the two modes before they decide on a downgrade",
      ),
      outcome_window: whole(
        1000,
        1,
        100_000,
        "how many of the newest outcomes of a model in a mode are counted",
      ),
      max_outcome_pairs: whole(1000, 1, 100_000, "pairs of model and mode with outcomes"),
      downgrade_rules: Type.Array(DowngradeRule, {
        default: DEFAULT_DOWNGRADE_RULES,
        description:
          "when a mode that brings much context falls back to a lean one: the first rule that fits; these by default",
        sample: DOWNGRADE_RULES,
      }),
    }),
  },
  { additionalProperties: false },
);

export type DeepReadonly<T> = T extends (infer E)[]
  ? readonly DeepReadonly<E>[]
  : T extends object
    ? { readonly [K in keyof T]: DeepReadonly<T[K]> }
    : T;

export type Config = DeepReadonly<Static<typeof ConfigSchema>>;
export type ApiKey = Config["keys"][number];

/** Splits "host:port"; IPv6 hosts stand in brackets. Undefined where it is neither. */
export function parseBind(value: string): { hostname: string; port: number } | undefined {
  const found = /^(\[[0-9a-fA-F:.]+\]|[^\s:/[\]]+):(\d{1,5})$/.exec(value);
  if (!found) return undefined;
  const port = Number(found[2]);
  const hostname = (found[1] as string).replace(/^\[|\]$/g, "");
  return port > 65_535 ? undefined : { hostname, port };
}

function isBaseUrl(value: string): boolean {
  if (value === "") return true;
  if (!/^https?:\/\/[^/]/.test(value) || !URL.canParse(value)) return false;
  const url = new URL(value);
  return url.pathname === "/" && url.search === "" && url.hash === "" && url.username === "";
}

FormatRegistry.Set("bind", (value) => parseBind(value) !== undefined);
FormatRegistry.Set("base_url", isBaseUrl);
