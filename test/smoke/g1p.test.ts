/** G1P: an index as one object in storaged: taken, killed, restarted, restored; the answers are the same. */
import { expect, test } from "bun:test";
import { inBothCompositionsOfProcesses } from "../support/processes.ts";
import { randomVector, seeded, settled, vectorsAt } from "../support/vectors.ts";

const DIMENSION = 32;
const ITEMS = 2000;
const KEY = "vectors/cities/smoke.tar";

inBothCompositionsOfProcesses("smoke g1p", (start) => {
  test("snapshot, kill, restart, restore: the same answers", async () => {
    const lake = await start({ LAKEHOUSE_VECTORD_SAVE_AFTER_MS: "1" });
    const calls = vectorsAt(lake.url);
    const random = seeded(1);
    const queries = Array.from({ length: 20 }, () => randomVector(DIMENSION, random));
    await calls.create("cities", DIMENSION);
    const items = Array.from({ length: ITEMS }, (_, at) => ({
      id: `${at}`,
      vector: randomVector(DIMENSION, random),
      metadata: { even: at % 2 === 0 },
      text: `city number ${at} of many`,
    }));
    await calls.add("cities", items);
    await calls.remove("cities", { ids: ["7", "8"] });
    await settled(calls, "cities");
    const answers = async (name: string) => {
      const filter = { must: [{ key: "even", match: true }] };
      return Promise.all(
        queries.flatMap((vector, at) =>
          [{ vector }, { vector, filter }, { vector, hybrid: { text: `number ${at}`, soft: 0 } }].map(
            async (query) => (await calls.search(name, { ...query, include: ["metadata", "text"] })).results,
          ),
        ),
      );
    };
    const before = await answers("cities");
    const taken = await calls.snapshot("cities", { key: KEY });
    expect(taken).toMatchObject({ key: KEY, index: "cities", items: ITEMS - 2 });

    const target = lake.targetOf("vectord");
    await lake.kill(target, "SIGKILL");
    await lake.restart(target);
    expect((await calls.send("DELETE", "/cities")).status).toBe(204);
    expect(await calls.restore({ key: KEY })).toMatchObject({
      name: "cities",
      items: ITEMS - 2,
      replaced: false,
      state: "ready",
    });
    expect(await answers("cities")).toEqual(before);
    await calls.restore({ key: KEY, name: "copy" });
    await calls.remove("cities", { ids: ["1"] });
    expect(await answers("copy")).toEqual(before);
  }, 60_000);
});
