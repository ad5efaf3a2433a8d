/** G1: through the gateway an index is made, filled and searched; an acknowledged item survives a kill. */
import { expect, test } from "bun:test";
import { inBothCompositionsOfProcesses } from "../support/processes.ts";
import { idsOf, vectorsAt } from "../support/vectors.ts";

inBothCompositionsOfProcesses("smoke g1", (start) => {
  test("make an index, add, search by vector, filter and words; kill, and find the same", async () => {
    const lake = await start();
    const calls = vectorsAt(lake.url);
    await calls.create("cities", 3);
    await calls.add("cities", [
      { id: "oslo", vector: [1, 0, 0], metadata: { country: "no" }, text: "fjord and forest" },
      { id: "bergen", vector: [0.9, 0.1, 0], metadata: { country: "no" }, text: "rain and seven hills" },
      { id: "porto", vector: [0, 1, 0], metadata: { country: "pt" }, text: "river, wine and hills" },
    ]);
    const answers = async () => [
      idsOf((await calls.search("cities", { vector: [1, 0, 0], k: 2 })).results),
      idsOf(
        (
          await calls.search("cities", {
            vector: [1, 0, 0],
            filter: { must: [{ key: "country", match: "pt" }] },
          })
        ).results,
      ),
      idsOf((await calls.search("cities", { vector: [1, 0, 0], k: 1, hybrid: { text: "hills" } })).results),
    ];
    const before = await answers();
    expect(before).toEqual([["oslo", "bergen"], ["porto"], ["bergen"]]);
    const target = lake.targetOf("vectord");
    await lake.kill(target, "SIGKILL");
    await lake.restart(target);
    expect(await answers()).toEqual(before);
  }, 60_000);
});
