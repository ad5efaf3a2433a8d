/** Relevance through the gateway: of two services' documents those of the one asked about are kept. */
import { expect, test } from "bun:test";
import type { Relevance } from "../../src/services/matrixd/schema.ts";
import { matrixAt } from "../support/matrix.ts";
import { inBothCompositionsOfProcesses } from "../support/processes.ts";

inBothCompositionsOfProcesses("smoke relevance", (start) => {
  test("what is about the focus is kept, its neighbour dropped, by a call and within a search", async () => {
    const calls = matrixAt((await start()).url);
    const texts = {
      "pay-1": "The payment service keeps customers' keys; payKeyRotate makes a new payment key.",
      "pay-2": "A payment key is valid for a year, unless payKeyRotate was called by the payment service.",
      "mail-1": "The mail service sends at night; mailQueueFlush sends what could not be sent.",
    };
    const items = Object.entries(texts).map(([id, text]) => ({ id, text }));
    const focus = { text: "When does the payment service call payKeyRotate?" };
    const { status, body } = await calls.send<Relevance>("POST", "/relevance", { focus, chunks: items });
    expect(status).toBe(200);
    expect(body.chunks.map(({ id, keep }) => [id, keep])).toEqual([
      ["pay-1", true],
      ["pay-2", true],
      ["mail-1", false],
    ]);
    await calls.fill("services", items);
    const { results } = await calls.search({ query: focus.text, relevance: {} });
    expect(results.map(({ id }) => id).sort()).toEqual(["pay-1", "pay-2"]);
  }, 60_000);
});
