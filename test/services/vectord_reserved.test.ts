/** Indexes of the lake's own services: no one else reads, writes or lists them. */
import { expect, test } from "bun:test";
import { createVectordClient } from "../../src/services/vectord/client.ts";
import { createHttpClient } from "../../src/shared/client.ts";
import { serviceToken } from "../../src/shared/keys.ts";
import { inBothCompositions, type RunningHouse } from "../support/house.ts";
import { idsOf, type Problem, vectorsAt } from "../support/vectors.ts";

const TIMEOUT_MS = 30_000;

/** vectord as a service of this lake calls it. */
const asService = (house: RunningHouse) =>
  createVectordClient(
    createHttpClient({
      service: "vectord",
      base_url: `${house.url}/v1`,
      service_token: serviceToken(house.data_dir),
      timeout_ms: TIMEOUT_MS,
    }),
  );

inBothCompositions("vectord's reserved names", (start) => {
  test("a name with _ first is for services alone", async () => {
    const house = await start();
    const calls = vectorsAt(house.url);
    const service = asService(house);
    await service.create({ name: "_memory", dimension: 2 });
    await calls.create("open", 2);
    await service.add("_memory", { items: [{ id: "a", vector: [1, 0] }] });
    expect(idsOf((await service.search("_memory", { vector: [1, 0] })).results)).toEqual(["a"]);
    const namesSeen = async () => (await service.list({})).indexes.map((it) => it.name);
    expect(await namesSeen()).toEqual(expect.arrayContaining(["_memory", "open"]));

    for (const [method, path, body] of [
      ["POST", "", { name: "_other", dimension: 2 }],
      ["GET", "/_memory", undefined],
      ["GET", "/_none", undefined],
      ["DELETE", "/_memory", undefined],
      ["POST", "/_memory/add", { items: [{ id: "b", vector: [1, 0] }] }],
      ["POST", "/_memory/search", { vector: [1, 0] }],
      ["POST", "/_memory/get", { ids: ["a"] }],
      ["POST", "/_memory/delete", { ids: ["a"] }],
      ["POST", "/_memory/fields", { add: ["n"] }],
      ["POST", "/_memory/snapshot", {}],
      ["POST", "/_memory/from_table", { table: "t", id: "id", text: "text" }],
      ["GET", "/_memory/export", undefined],
    ] as const) {
      const refused = await calls.send<Problem>(method, path, body);
      expect(refused).toMatchObject({ status: 403, body: { code: "forbidden" } });
      expect(refused.body.detail).toContain("belongs to a service of this lake");
    }
    const listed = await calls.send<{ indexes: { name: string }[]; next_cursor: string | null }>(
      "GET",
      "?limit=1",
    );
    expect(listed.body).toMatchObject({ indexes: [{ name: "open" }], next_cursor: null });
    expect((await service.get("_memory", { ids: ["a", "b"] })).items.map((it) => it.id)).toEqual(["a"]);
    await service.drop("_memory");
    expect(await namesSeen()).not.toContain("_memory");
  });
});
