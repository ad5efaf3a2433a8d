/** Ours, as a user runs it: the single runtime over HTTP, indexes of default settings and of i8. */
import { rmSync } from "node:fs";
import { startProcesses } from "../../../test/support/processes.ts";
import { settled, vectorsAt } from "../../../test/support/vectors.ts";
import { DIMENSION, type Rows } from "../real.ts";
import { asNumbers, batches, post, range, type Store } from "./vector_store.ts";

const BATCH = 5000;

export async function lakehouse(items: Rows, queries: Rows, k: number): Promise<Store> {
  const lake = await startProcesses("mounted");
  const calls = vectorsAt(lake.url);
  const urlOf = (name: string) => `${lake.url}/v1/vectors/index/${name}`;
  const load = async (name: string, settings: object) => {
    await calls.create(name, DIMENSION, settings);
    const from_ms = performance.now();
    for (const [from, to] of batches(items.count, BATCH)) {
      const lines = range(from, to).map((at) => JSON.stringify({ id: `${at}`, vector: items.base64(at) }));
      await post(`${urlOf(name)}/add`, lines.join("\n"), "application/x-ndjson");
    }
    await settled(calls, name);
    return (1000 * items.count) / (performance.now() - from_ms);
  };
  const loaded_per_s = await load("plain", {});
  await load("small", { quantization: "i8" });
  const way = (what: string, name: string, vectors: readonly (number[] | string)[]) => {
    const bodies = vectors.map((vector) => JSON.stringify({ vector, k, include: [] }));
    const ask = async (at: number) => {
      const found = (await post(`${urlOf(name)}/search`, bodies[at] as string)) as {
        results: { id: string }[];
      };
      return found.results.map(({ id }) => id);
    };
    return { name: what, ask };
  };
  const base64 = range(0, queries.count).map((at) => queries.base64(at));
  const numbers = asNumbers(queries);
  return {
    loaded_per_s,
    ways: [
      way("by default, base64", "plain", base64),
      way("by default, arrays of numbers", "plain", numbers),
      way("i8, base64", "small", base64),
      way("i8, arrays of numbers", "small", numbers),
    ],
    stop: async () => {
      await lake.stop();
      rmSync(lake.data_dir, { recursive: true, force: true });
    },
  };
}
