/** pathwayd at the wire, in both compositions: every write, what is refused, search, as of any moment. */
import { beforeAll, expect, test } from "bun:test";
import { inBothCompositions, type RunningHouse } from "../support/house.ts";
import { contentsOf, type PathwayCalls, pathwayAt } from "../support/pathway.ts";

inBothCompositions("pathwayd", (start) => {
  let house: RunningHouse;
  let calls: PathwayCalls;
  beforeAll(async () => {
    house = await start();
    calls = pathwayAt(house.url);
  });

  test("what is added is told whole, read, and found by the next search", async () => {
    const scope = { user_id: "ada" };
    const given = {
      content: "Ada prefers trains to planes",
      kind: "preference",
      tags: ["travel"],
      subject: "ada",
      scope,
    };
    const made = await calls.send("POST", "add", given);
    expect(made.status).toBe(201);
    expect(made.body).toMatchObject({ ...given, version: 1, state: "live", replay_count: 0, indexed: true });
    const trace = made.body as unknown as { uid: string };
    const { indexed: _indexed, ...rest } = made.body as unknown as { indexed: boolean };
    expect(await calls.get(trace.uid)).toEqual(rest as never);
    await calls.add({ content: "The cat sleeps on the sofa", scope });
    await calls.add({ content: "Ada prefers planes to trains", scope: { user_id: "bob" } });
    const found = await calls.search({ query: "how does Ada like to travel", scope, k: 1, explain: true });
    expect(contentsOf(found)).toEqual([given.content]);
    expect(found.results[0]?.explain).toMatchObject({
      relevance: { rank: 1 },
      outcome: { factor: 1, value: 0 },
    });
  });
});
