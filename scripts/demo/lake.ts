/** The demo's view of a lake: everything through HTTP, as any other client would. */
import { resolve } from "node:path";
import { megabytes, ProgressLine } from "./terminal.ts";

const MAIN = resolve(import.meta.dir, "../../src/main.ts");
const DATA = resolve(import.meta.dir, "../../node_modules/vega-datasets/data");

export interface Answer {
  columns: { name: string; type: string }[];
  rows: unknown[][];
  row_count: number;
  truncated: boolean;
  elapsed_ms: number;
}

interface Job {
  job_id: string;
  status: "queued" | "running" | "done" | "failed";
  phase: string;
  percent: number;
  rows: number;
  result: {
    snapshot_id: string;
    rows: number;
    bytes_out: number;
    existing: boolean;
    elapsed_ms: number;
  } | null;
  error: { detail: string } | null;
}

/** Where each phase lies on the bar, in percent of the whole. */
const PHASES: Record<string, readonly [from: number, to: number]> = {
  queued: [0, 0],
  reading: [0, 20],
  converting: [20, 85],
  merging: [85, 90],
  storing: [90, 97],
  committing: [97, 100],
};

function overall({ phase, percent }: Job): number {
  const [from, to] = PHASES[phase] ?? [100, 100];
  return from + ((to - from) * percent) / 100;
}

/** A runtime of the demo's own, on a free port. @throws Error where it does not come up */
export async function startRuntime(data_dir: string): Promise<{ url: string; stop(): Promise<void> }> {
  const child = Bun.spawn([process.execPath, MAIN], {
    env: {
      ...process.env,
      LAKEHOUSE_DATA_DIR: data_dir,
      LAKEHOUSE_GATEWAY_BIND: "127.0.0.1:0",
      LAKEHOUSE_LOG_LEVEL: "error",
    },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "inherit",
  });
  let text = "";
  const decoder = new TextDecoder();
  for await (const chunk of child.stdout) {
    text += decoder.decode(chunk, { stream: true });
    if (text.includes("\n")) break;
  }
  const url = /^listening (\S+)/.exec(text)?.[1];
  if (url === undefined)
    throw new Error(
      `The runtime did not start on ${data_dir} (exit code ${await child.exited}). Where one runs on it already: npm run demo -- --url http://127.0.0.1:3210`,
    );
  return {
    url,
    stop: async () => {
      child.kill("SIGTERM");
      await child.exited;
    },
  };
}

export class Lake {
  constructor(
    readonly url: string,
    readonly key: string | undefined,
  ) {}

  /** @throws Error with the problem's own words, where the answer is one */
  async request(
    path: string,
    init: RequestInit & { headers?: Record<string, string> } = {},
  ): Promise<Response> {
    const key: Record<string, string> = this.key ? { authorization: `Bearer ${this.key}` } : {};
    const response = await fetch(`${this.url}${path}`, { ...init, headers: { ...key, ...init.headers } });
    if (response.ok) return response;
    const text = await response.text();
    let detail = text;
    try {
      detail = (JSON.parse(text) as { detail: string }).detail;
    } catch {
      // not a problem document: the text as it came says more than nothing
    }
    throw new Error(`${init.method ?? "GET"} ${path}: ${response.status} ${detail}`);
  }

  async get<T>(path: string): Promise<T> {
    return (await (await this.request(path)).json()) as T;
  }

  async post<T>(path: string, body: object, headers: Record<string, string> = {}): Promise<T> {
    const response = await this.request(path, {
      method: "POST",
      body: JSON.stringify(body),
      headers: { "content-type": "application/json", ...headers },
    });
    return (await response.json()) as T;
  }

  sql(sql: string, more: { as_of?: unknown; params?: unknown } = {}): Promise<Answer> {
    return this.post<Answer>("/v1/sql", { sql, ...more });
  }

  /** Sends a file of vega-datasets into a table and draws its progress. @returns the snapshot it became */
  async ingest(
    file: string,
    name: string,
    query: Record<string, string> = {},
    key?: string,
  ): Promise<string> {
    const data = Bun.file(resolve(DATA, file));
    const bar = new ProgressLine(`${file} → ${name}`);
    bar.show(0, "sending");
    const accepted = await this.request(`/v1/ingest?${new URLSearchParams({ name, ...query })}`, {
      method: "POST",
      body: data,
      headers: { prefer: "respond-async", ...(key ? { "idempotency-key": key } : {}) },
    });
    const { job_id } = (await accepted.json()) as Job;
    for await (const job of this.#watch(job_id)) {
      bar.show(overall(job), `${job.phase} ${job.rows > 0 ? `${job.rows} rows` : ""}`);
      if (job.error) throw new Error(`${file}: ${job.error.detail}`);
      if (!job.result) continue;
      const { rows, bytes_out, existing, elapsed_ms, snapshot_id } = job.result;
      const size = `${megabytes(data.size)} → ${megabytes(bytes_out)} of Parquet`;
      const rows_text = `${rows.toLocaleString("en-US")} rows`.padStart(14);
      bar.done(
        existing ? `${rows_text}, there already` : `${rows_text}, ${size}, ${Math.round(elapsed_ms)} ms`,
      );
      return snapshot_id;
    }
    throw new Error(`${file}: the job's events ended before the job`);
  }

  /** The job's server-sent events, to its end. */
  async *#watch(job_id: string): AsyncGenerator<Job> {
    const { body } = await this.request(`/v1/ingest/jobs/${job_id}/events`);
    const decoder = new TextDecoder();
    let text = "";
    for await (const chunk of body ?? []) {
      text += decoder.decode(chunk, { stream: true });
      const events = text.split("\n\n");
      text = events.pop() ?? "";
      for (const event of events) {
        const data = /^data: (.*)$/m.exec(event)?.[1];
        if (data) yield JSON.parse(data) as Job;
      }
    }
  }
}
