/** Chroma's server, of PyPI's chromadb, spoken to by the same client as ours: HTTP API v2, no client library of its own. */
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "../load.ts";
import type { Rows } from "../real.ts";
import { option, pythonPackage } from "./install.ts";
import { asNumbers, batches, post, range, type Store, type Way } from "./vector_store.ts";

const VERSION = "1.5.9";
/** Within its max_batch_size, 5,461. */
const BATCH = 5000;
const START_WAIT_MS = 30_000;
const WARM_UP = 50;
const EF_SEARCH = [50, 100, 150, 200, 300, 500];

interface Server {
  readonly api: string;
  start(): Promise<void>;
  stop(): Promise<void>;
}

/** `--venv FOLDER` names a virtual environment that has it; else one is made. */
export async function chroma(items: Rows, queries: Rows, k: number): Promise<Store> {
  const venv = option("venv") ?? (await pythonPackage("chromadb", VERSION));
  const program = join(venv, "bin", "chroma");
  if (!existsSync(program)) throw new Error(`${program} is not there`);
  const folder = mkdtempSync(join(tmpdir(), "lakehouse-chroma-"));
  const server = serverOf(program, folder);
  const stop = async () => {
    await server.stop();
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    await server.start();
    return { ...(await load(server, items, queries, k)), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

function serverOf(program: string, folder: string): Server {
  const port = freePort();
  const api = `http://127.0.0.1:${port}/api/v2`;
  let running: Bun.Subprocess | undefined;
  return {
    api,
    start: async () => {
      running = Bun.spawn([program, "run", "--path", folder, "--host", "127.0.0.1", "--port", `${port}`], {
        cwd: folder,
        env: { ...process.env, ANONYMIZED_TELEMETRY: "False" },
        stdout: "ignore",
        stderr: "ignore",
      });
      await answering(`${api}/heartbeat`);
    },
    stop: async () => {
      running?.kill("SIGTERM");
      await running?.exited;
    },
  };
}

async function load(server: Server, items: Rows, queries: Rows, k: number): Promise<Omit<Store, "stop">> {
  const collections = `${server.api}/tenants/default_tenant/databases/default_database/collections`;
  // As many links and candidates when adding as ours.
  const hnsw = { space: "cosine", max_neighbors: 16, ef_construction: 128, ef_search: 100 };
  const made = { name: "peers", configuration: { hnsw } };
  const { id } = (await post(collections, JSON.stringify(made))) as { id: string };
  const query = (body: string) => post(`${collections}/${id}/query`, body) as Promise<{ ids: string[][] }>;
  const bodies = asNumbers(queries).map((vector) =>
    JSON.stringify({ query_embeddings: [vector], n_results: k, include: ["distances"] }),
  );
  const ask = async (at: number) => (await query(bodies[at] as string)).ids[0] ?? [];
  const from_ms = performance.now();
  for (const [from, to] of batches(items.count, BATCH)) {
    const rows = range(from, to);
    const batch = { ids: rows.map(String), embeddings: rows.map((at) => items.base64(at)) };
    await post(`${collections}/${id}/add`, JSON.stringify(batch));
  }
  // It answers an add before its index holds it; a search waits for that.
  await ask(0);
  const loaded_per_s = (1000 * items.count) / (performance.now() - from_ms);
  const way = (ef_search: number): Way => ({
    name: `ef_search ${ef_search}`,
    prepare: async () => {
      const body = JSON.stringify({ new_configuration: { hnsw: { ef_search } } });
      const headers = { "content-type": "application/json" };
      const response = await fetch(`${collections}/${id}`, { method: "PUT", headers, body });
      if (!response.ok)
        throw new Error(`ef_search ${ef_search}: ${response.status} ${await response.text()}`);
      // An index that is loaded keeps the ef_search that it was loaded with.
      await server.stop();
      await server.start();
      for (let at = 0; at < WARM_UP; at++) await ask(at);
    },
    ask,
  });
  return { loaded_per_s, ways: EF_SEARCH.map(way) };
}

async function answering(url: string): Promise<void> {
  const until_ms = performance.now() + START_WAIT_MS;
  while (performance.now() < until_ms) {
    try {
      if ((await fetch(url)).ok) return;
    } catch {
      // Not listening yet.
    }
    await Bun.sleep(50);
  }
  throw new Error(`${url} did not answer in ${START_WAIT_MS} ms`);
}
