/** Searches beside writes: what is acknowledged is found at any moment, and no search takes for ever. */
import { expect, test } from "bun:test";
import { inBothCompositions } from "../support/house.ts";
import { idsOf, type Problem, randomVector, seeded, settled, vectorsAt } from "../support/vectors.ts";

inBothCompositions("searches", (start) => {
  test("find each item at any moment while all of them are replaced again and again", async () => {
    const house = await start();
    const calls = vectorsAt(house.url);
    const random = seeded(21);
    await calls.create("moving", 8, { metric: "l2", indexed: ["mine"] });
    const items = (round: number) =>
      Array.from({ length: 1500 }, (_, at) => ({
        id: `${at}`,
        vector: randomVector(8, random),
        metadata: { round, mine: at % 300 },
      }));
    await calls.add("moving", items(0));
    let is_over = false;
    const writers = [1, 2, 3].map(async (round) => {
      for (let turn = 0; turn < 3; turn++) await calls.add("moving", items(round));
    });
    const over = Promise.all(writers).then(() => {
      is_over = true;
    });
    let looked = 0;
    const reader = async (part: number) => {
      while (!is_over) {
        const filter = { must: [{ key: "mine", match: part }] };
        const { results } = await calls.search("moving", { vector: randomVector(8, random), k: 10, filter });
        expect(idsOf(results).sort()).toEqual([0, 1, 2, 3, 4].map((it) => `${it * 300 + part}`).sort());
        looked++;
      }
    };
    await Promise.all([over, reader(7), reader(288)]);
    expect(looked).toBeGreaterThan(3);
    expect((await calls.info("moving")).items).toBe(1500);
    await settled(calls, "moving");
  }, 60_000);

  test("that come without a break keep no write waiting, and let the graph grow", async () => {
    const house = await start({ LAKEHOUSE_VECTORD_SEARCHERS: "1" });
    const calls = vectorsAt(house.url);
    const random = seeded(23);
    const batch = (name: string, count: number) =>
      Array.from({ length: count }, (_, at) => ({
        id: `${name} ${at}`,
        vector: randomVector(256, random),
      }));
    await calls.create("asked", 256);
    for (const name of ["a", "b", "c"]) await calls.add("asked", batch(name, 2000));
    await settled(calls, "asked");
    // Each takes some milliseconds, and another always waits already.
    const vector = randomVector(256, random);
    let searches = 0;
    let is_over = false;
    const asking = Array.from({ length: 6 }, async () => {
      for (; !is_over; searches++) await calls.search("asked", { vector, k: 1, exact: true });
    });
    await calls.add("asked", batch("d", 1500));
    await settled(calls, "asked");
    is_over = true;
    await Promise.all(asking);
    expect(searches).toBeLessThan(3000);
  }, 60_000);

  test("that take too long are answered 504, and the next ones are not", async () => {
    const house = await start({ LAKEHOUSE_VECTORD_SEARCH_TIMEOUT_MS: "1" });
    const calls = vectorsAt(house.url);
    const random = seeded(22);
    await calls.create("slow", 256);
    for (let batch = 0; batch < 5; batch++)
      await calls.add(
        "slow",
        Array.from({ length: 2000 }, (_, at) => ({
          id: `${batch} ${at}`,
          vector: randomVector(256, random),
        })),
      );
    const vector = randomVector(256, random);
    const exact = () => calls.send<Problem>("POST", "/slow/search", { vector, k: 1000, exact: true });
    const answers = await Promise.all(Array.from({ length: 6 }, exact));
    const late = answers.filter(({ status }) => status === 504);
    expect(late.length).toBeGreaterThan(0);
    expect(late[0]?.body.code).toBe("deadline");
    expect(late[0]?.body.detail).toContain("vectord.search_timeout_ms");
    expect((await calls.info("slow")).items).toBe(10_000);
  }, 60_000);
});
