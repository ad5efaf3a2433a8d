/** Near duplicates in memory: compared as what they say is indexed, with the subject. */
import { expect, test } from "bun:test";
import { inBothCompositions } from "../support/house.ts";
import { pathwayAt } from "../support/pathway.ts";

inBothCompositions("pathwayd's near duplicates", (start) => {
  test("a trace said again about the same subject is told instead of stored, about another it is stored", async () => {
    const calls = pathwayAt((await start()).url);
    const said = { subject: "Caroline", scope: { user_id: "ada" } };
    const first = await calls.add({ ...said, content: "went to a support group" });
    // Another mark at the end, so that only the meaning is the same.
    const again = { content: "went to a support group.", similar_above: 0.98 };
    expect(await calls.addIdempotent({ ...said, ...again })).toMatchObject({
      uid: first.uid,
      created: false,
      similar: [{ uid: first.uid }],
    });
    expect(await calls.addIdempotent({ ...said, ...again, subject: "Melanie" })).toMatchObject({
      created: true,
    });
  });
});
