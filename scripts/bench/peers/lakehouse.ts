/** Ours, as a user runs it: the single runtime over HTTP, default settings. */
import { rmSync } from "node:fs";
import { startProcesses } from "../../../test/support/processes.ts";
import { settled, vectorsAt } from "../../../test/support/vectors.ts";
import { DIMENSION, type Rows } from "../real.ts";
import { asNumbers, batches, post, range, type Store } from "./vector_store.ts";

const BATCH = 5000;
const NAME = "peers";

export async function lakehouse(items: Rows, queries: Rows, k: number): Promise<Store> {
  const lake = await startProcesses("mounted");
  const calls = vectorsAt(lake.url);
  await calls.create(NAME, DIMENSION);
  const url = `${lake.url}/v1/vectors/index/${NAME}`;
  const from_ms = performance.now();
  for (const [from, to] of batches(items.count, BATCH)) {
    const lines = range(from, to).map((at) => JSON.stringify({ id: `${at}`, vector: items.base64(at) }));
    await post(`${url}/add`, lines.join("\n"), "application/x-ndjson");
  }
  await settled(calls, NAME);
  const loaded_per_s = (1000 * items.count) / (performance.now() - from_ms);
  const way = (name: string, vectors: readonly (number[] | string)[]) => {
    const bodies = vectors.map((vector) => JSON.stringify({ vector, k, include: [] }));
    const ask = async (at: number) => {
      const found = (await post(`${url}/search`, bodies[at] as string)) as { results: { id: string }[] };
      return found.results.map(({ id }) => id);
    };
    return { name, ask };
  };
  const base64 = range(0, queries.count).map((at) => queries.base64(at));
  return {
    loaded_per_s,
    ways: [way("default ef, base64", base64), way("default ef, arrays of numbers", asNumbers(queries))],
    stop: async () => {
      await lake.stop();
      rmSync(lake.data_dir, { recursive: true, force: true });
    },
  };
}
