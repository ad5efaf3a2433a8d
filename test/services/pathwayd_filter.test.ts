/** What a filter of memory may ask, in both compositions: its keys are fixed, and its times are numbers. */
import { expect, test } from "bun:test";
import type { MatrixFound } from "../../src/services/matrixd/schema.ts";
import { inBothCompositions } from "../support/house.ts";
import { matrixAt } from "../support/matrix.ts";
import { type PathwayProblem, pathwayAt } from "../support/pathway.ts";
import type { Problem } from "../support/vectors.ts";

inBothCompositions("filters of memory", (start) => {
  test("an unknown key and a time as text are refused, saying what to write; where others have it, told", async () => {
    const house = await start();
    const memory = pathwayAt(house.url);
    const { uid } = await memory.add({ content: "tea at four", tags: ["tea"], scope: { team: "red" } });
    const refused = async (clause: object) => {
      const { status, body } = await memory.send<PathwayProblem>("POST", "search", {
        filter: { must: [{ should: [clause] }] },
      });
      expect([status, body.code]).toEqual([400, "invalid"]);
      return body.detail;
    };
    expect(await refused({ key: "tag", match: "tea" })).toContain('did you mean "tags"?');
    expect(await refused({ key: "expires_at", exists: true })).toContain('did you mean "expires"?');
    expect(await refused({ key: "colour", match: "red" })).toContain("scope.<label>");
    const day = { gte: "2026-02-01T00:00:00Z" };
    expect(await refused({ key: "known_from", range: day })).toContain(`write ${Date.parse(day.gte)}`);
    expect(await refused({ key: "valid_to", any: [1, "soon"] })).toContain('ms since 1970 (got "soon")');
    const keys = ["uid", "version", "state", "tags", "scope.team", "valid_from", "known_from", "known_to"];
    const must = [
      ...keys.map((key) => ({ key, exists: true })),
      { key: "expires", range: { gt: 0 } },
      { key: "source", is_null: false },
    ];
    expect(await memory.search({ filter: { must } })).toMatchObject({ results: [{ uid }] });

    expect(await memory.count({ filter: { must } })).toMatchObject({ count: 1 });
    expect(await memory.count({ scope: { team: "blue" } })).toMatchObject({ count: 0 });
    const wrong = [{ filter: { must: [{ key: "colour", match: "red" }] } }, { as_of: "soon" }, { k: 3 }];
    for (const body of wrong) expect((await memory.send("POST", "count", body)).status).toBe(400);

    const matrix = matrixAt(house.url);
    await matrix.fill("cities", [{ id: "a", text: "tea in Oslo", metadata: { city: "Oslo" } }]);
    await matrix.send("POST", "/corpora", { name: "memory", kind: "pathway" });
    const query = { query: "tea", filter: { must: [{ key: "city", match: "Oslo" }] } };
    const found: MatrixFound = await matrix.search(query);
    expect(found.results.map(({ id }) => id)).toEqual(["a"]);
    expect(found.warnings).toMatchObject([{ corpus: "memory", code: "invalid" }]);
    const alone = await matrix.send<Problem>("POST", "/search", { ...query, corpora: ["memory"] });
    expect(alone).toMatchObject({
      status: 400,
      body: { code: "invalid", detail: expect.stringContaining('no key "city"') },
    });
  });
});
