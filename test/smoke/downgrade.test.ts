/** The downgrade gate through the gateway: rule, evidence, force; a kill loses no outcome. */
import { expect, test } from "bun:test";
import type { Downgrade } from "../../src/services/matrixd/schema.ts";
import { matrixAt } from "../support/matrix.ts";
import { inBothCompositionsOfProcesses } from "../support/processes.ts";

inBothCompositionsOfProcesses("smoke downgrade", (start) => {
  test("a strong model falls back by rule, a helped one not by evidence, and a kill changes nothing", async () => {
    const lake = await start();
    const calls = matrixAt(lake.url);
    const ask = async (body: object) => (await calls.send<Downgrade>("POST", "/downgrade", body)).body;
    expect(await ask({ mode: "rich", model: "claude-opus-4" })).toMatchObject({
      mode: "lean",
      downgraded: true,
      evidence: { basis: "rule" },
    });
    for (let run = 0; run < 30; run++)
      for (const [mode, success] of [
        ["rich", run < 28],
        ["lean", run < 10],
      ] as const)
        expect(
          (await calls.send("POST", "/outcomes", { model: "claude-opus-4", mode, success })).status,
        ).toBe(200);
    const force = { mode: "rich", model: "claude-opus-5", force: true };
    expect(await ask(force)).toMatchObject({ mode: "rich", evidence: { basis: "forced", forced: 1 } });
    const answers = async () => [
      await ask({ mode: "rich", model: "claude-opus-4" }),
      await ask({ mode: "rich", model: "claude-opus-5" }),
    ];
    const before = await answers();
    expect(before).toMatchObject([
      { mode: "rich", downgraded: false, evidence: { basis: "evidence", with_context: { successes: 28 } } },
      { mode: "lean", downgraded: true, evidence: { basis: "rule", forced: 1 } },
    ]);
    const target = lake.targetOf("matrixd");
    await lake.kill(target, "SIGKILL");
    await lake.restart(target);
    expect(await answers()).toEqual(before);
  }, 60_000);
});
