/**
 * vectord killed at random moments of adds, deletes, erasures, snapshots, restores and saves: what was
 * acknowledged is there, what was deleted is not, and graph, words and fields say what SQLite says.
 * `bun test acceptance/vector_kill --rerun-each 4` makes 120 kills of it.
 */
import { expect, test } from "bun:test";
import { inBothCompositionsOfProcesses } from "../support/processes.ts";
import { Survivor } from "../support/vector_kills.ts";
import { seeded, vectorsAt } from "../support/vectors.ts";

const KILLS = 15;
/** Each kill comes up to so long after up to so many writes and moves were acknowledged. */
const BUSY_MS = 60;
const WRITES = 12;
const MOVES = 2;
const TIMEOUT_MS = 400_000;

inBothCompositionsOfProcesses("vectord killed", (start) => {
  test(
    `${KILLS} times: nothing acknowledged is lost, and nothing comes back`,
    async () => {
      const lake = await start({ LAKEHOUSE_VECTORD_SAVE_AFTER_MS: "1" });
      const target = lake.targetOf("vectord");
      const seed = Date.now();
      const random = seeded(seed);
      const survivor = new Survivor(vectorsAt(lake.url), seed);
      await survivor.begin();
      try {
        for (let round = 0; round < KILLS; round++) {
          let is_killed = false;
          const over = async (work: () => Promise<void>) => {
            try {
              while (!is_killed) await work();
            } catch (error) {
              if (!is_killed) throw error;
            }
          };
          const working = Promise.all([over(() => survivor.write()), over(() => survivor.move())]);
          const { done } = survivor;
          const writes = done.writes + Math.floor(random() * WRITES);
          const moves = done.restores + Math.floor(random() * MOVES);
          const busy = async () => {
            while (done.writes < writes || done.restores < moves) await Bun.sleep(1);
            await Bun.sleep(random() * BUSY_MS);
          };
          await Promise.race([working, busy()]);
          is_killed = true;
          await lake.kill(target, "SIGKILL");
          await working;
          await lake.restart(target);
          await survivor.check(lake.data_dir);
        }
        for (const count of Object.values(survivor.done)) expect(count).toBeGreaterThan(0);
      } catch (error) {
        throw new Error(`seed ${seed}, after ${JSON.stringify(survivor.done)}`, { cause: error });
      }
      console.log(
        `killed ${KILLS} times (${lake.composition}); acknowledged: ${JSON.stringify(survivor.done)}`,
      );
    },
    TIMEOUT_MS,
  );
});
