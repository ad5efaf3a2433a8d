/** vectord killed at random moments of adds, deletes and saves: what was acknowledged is there, what was deleted is not. */
import { expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { startProcesses } from "../support/processes.ts";
import { randomVector, seeded, vectorsAt } from "../support/vectors.ts";

const KILLS = 25;
const DIMENSION = 8;
const BATCH = 20;
/** Writes go on for up to so long before the kill. */
const BUSY_MS = 120;
const TIMEOUT_MS = 240_000;
const NAME = "killed";

test(
  "no acknowledged item is lost, none comes back",
  async () => {
    const env = { LAKEHOUSE_VECTORD_SAVE_AFTER_MS: "1" };
    const lake = await startProcesses("mounted", env);
    const random = seeded(11);
    const calls = vectorsAt(lake.url);
    /** What is surely there, and the batch or ids whose fate the kill left open. */
    const there = new Map<string, number[]>();
    let open: { added: Map<string, number[]>; removed: string[] } = { added: new Map(), removed: [] };
    let count = 0;

    const write = async () => {
      open = { added: new Map(), removed: [] };
      if (random() < 0.3 && there.size > BATCH) {
        open.removed = [...there.keys()].filter(() => random() < 0.2);
        if (open.removed.length > 0) await calls.remove(NAME, { ids: open.removed });
        for (const id of open.removed) there.delete(id);
      } else {
        const old = [...there.keys()];
        for (let at = 0; at < BATCH; at++) {
          const again = random() < 0.3 ? old[Math.floor(random() * old.length)] : undefined;
          open.added.set(again ?? `item ${count++}`, randomVector(DIMENSION, random));
        }
        await calls.add(
          NAME,
          [...open.added].map(([id, vector]) => ({ id, vector })),
        );
        for (const [id, vector] of open.added) there.set(id, vector);
      }
      open = { added: new Map(), removed: [] };
    };

    try {
      await calls.create(NAME, DIMENSION);
      for (let round = 0; round < KILLS; round++) {
        let is_killed = false;
        const writing = (async () => {
          while (!is_killed) await write();
        })().catch((error) => {
          if (!is_killed) throw error;
        });
        await Bun.sleep(random() * BUSY_MS);
        is_killed = true;
        await lake.kill("all", "SIGKILL");
        await writing;
        await lake.restart("all");

        const seen = await everything(calls, [...there.keys(), ...open.added.keys()]);
        const has_added = [...open.added].some(([id, vector]) => seen.get(id)?.join() === vector.join());
        if (has_added) for (const [id, vector] of open.added) there.set(id, vector);
        if (open.removed.length > 0 && !seen.has(open.removed[0] as string))
          for (const id of open.removed) there.delete(id);
        expect(Object.fromEntries(seen)).toEqual(Object.fromEntries(there));
        expect((await calls.info(NAME)).items).toBe(there.size);
        const [id, vector] = [...there][Math.floor(random() * there.size)] ?? [];
        if (id !== undefined && vector) {
          const { results } = await calls.search(NAME, { vector, k: 1 });
          expect(results.map((it) => it.id)).toEqual([id]);
        }
      }
    } finally {
      await lake.stop();
      rmSync(lake.data_dir, { recursive: true, force: true });
    }
  },
  TIMEOUT_MS,
);

/** Of these ids, those there are, with their vectors. */
async function everything(
  calls: ReturnType<typeof vectorsAt>,
  ids: string[],
): Promise<Map<string, number[]>> {
  if (ids.length === 0) return new Map();
  const asked = { ids: [...new Set(ids)], include: ["vector"] };
  const { body } = await calls.send<{ items: { id: string; vector: number[] }[] }>(
    "POST",
    `/${NAME}/get`,
    asked,
  );
  return new Map(body.items.map((it) => [it.id, it.vector]));
}
