/** matrix: corpora are registered and searched at once through the gateway; registrations survive a kill. */
import { expect, test } from "bun:test";
import { matrixAt } from "../support/matrix.ts";
import { inBothCompositionsOfProcesses } from "../support/processes.ts";
import { vectorsAt } from "../support/vectors.ts";

inBothCompositionsOfProcesses("smoke matrix", (start) => {
  test("register, search with a filter and a budget, lose one corpus; kill, and find the same", async () => {
    const lake = await start();
    const calls = matrixAt(lake.url);
    await calls.fill("handbook", [
      { id: "leave", text: "Each employee has 30 days of leave a year.", metadata: { year: 2026 } },
      { id: "travel", text: "Trains are booked in second class.", metadata: { year: 2024 } },
    ]);
    await calls.fill("chat", [
      { id: "m1", text: "How many days off do we get? 30 I think", metadata: { year: 2026 } },
      { id: "m2", text: "lunch at twelve?", metadata: { year: 2026 } },
    ]);
    const answers = async () => {
      const query = "how many days of leave do I have?";
      const all = await calls.search({ query });
      const filter = { must: [{ key: "year", match: 2024 }] };
      const filtered = await calls.search({ query, filter });
      const budgeted = await calls.search({ query, budget_tokens: 12 });
      const ids = [all, filtered, budgeted].map(({ results }) =>
        results.map(({ corpus, id }) => `${corpus}/${id}`),
      );
      return { ids, left_out: budgeted.budget?.left_out.length, warnings: all.warnings };
    };
    const before = await answers();
    expect(before.ids[0]?.slice(0, 2).sort()).toEqual(["chat/m1", "handbook/leave"]);
    expect(before.ids[1]).toEqual(["handbook/travel"]);
    expect(before.left_out).toBe(3);
    expect(before.warnings).toEqual([]);
    const target = lake.targetOf("matrixd");
    await lake.kill(target, "SIGKILL");
    await lake.restart(target);
    expect(await answers()).toEqual(before);
    await vectorsAt(lake.url).send("DELETE", "/chat");
    const { results, warnings } = await calls.search({ query: "days of leave" });
    expect(results.map(({ corpus }) => corpus)).toEqual(["handbook", "handbook"]);
    expect(warnings.map(({ corpus, code }) => [corpus, code])).toEqual([["chat", "not_found"]]);
  }, 60_000);
});
