/** pathway: through the gateway something is remembered, revised and searched as of then and now; a kill loses none of it. */
import { expect, test } from "bun:test";
import { contentsOf, pathwayAt } from "../support/pathway.ts";
import { inBothCompositionsOfProcesses } from "../support/processes.ts";

inBothCompositionsOfProcesses("smoke pathway", (start) => {
  test("add, revise, retire, outcome, search now and as of then; kill, and find the same; forget", async () => {
    const lake = await start();
    const calls = pathwayAt(lake.url);
    const scope = { user_id: "ada" };
    const first = await calls.add({ content: "Ada lives in Oslo", subject: "ada", scope });
    const wrong = await calls.addIdempotent({ content: "Ada dislikes trains", key: "trains", scope });
    await calls.outcome({ uid: wrong.uid, result: "failure" });
    await calls.retire({ uid: wrong.uid, reason: "she takes them daily" });
    await Bun.sleep(5);
    const then = new Date().toISOString();
    await Bun.sleep(5);
    const second = await calls.revise({ uid: first.uid, content: "Ada lives in Bergen" });
    const answers = async () => ({
      now: contentsOf(await calls.search({ query: "where does Ada live", scope })),
      earlier: contentsOf(
        await calls.search({ query: "where does Ada live", scope, as_of: then, exact: true }),
      ),
      retired: await calls.get(wrong.uid),
      history: await calls.history(second.uid),
    });
    const before = await answers();
    expect([before.now, before.earlier]).toEqual([["Ada lives in Bergen"], ["Ada lives in Oslo"]]);
    expect(before.retired).toMatchObject({ state: "retired", outcome: { failures: 1 } });
    const target = lake.targetOf("pathwayd");
    await lake.kill(target, "SIGKILL");
    await lake.restart(target);
    expect(await answers()).toEqual(before);
    expect((await calls.send("POST", "retire", { uid: wrong.uid })).status).toBe(409);
    expect((await calls.forget({ uid: first.uid })).pending).toEqual([]);
    expect(await calls.export()).not.toContain("Oslo");
  }, 60_000);
});
