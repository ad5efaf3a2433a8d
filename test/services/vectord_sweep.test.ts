/** What vectord does by itself, that calls without a break must not put off. */
import { expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { inBothCompositions } from "../support/house.ts";
import { randomVector, seeded, vectorsAt } from "../support/vectors.ts";

const SWEEP_MS = 3000;

inBothCompositions("vectord by itself", (start) => {
  test("saves a graph whose writes never rest", async () => {
    const house = await start({ LAKEHOUSE_VECTORD_SAVE_AFTER_MS: "60" });
    const calls = vectorsAt(house.url);
    const random = seeded(31);
    await calls.create("busy", 4);
    const folder = join(house.data_dir, "vector", "busy");
    const isSaved = () => readdirSync(folder).some((it) => it.endsWith(".usearch"));
    // Each within what a graph at rest is given, so that it never rests.
    let written = 0;
    while (!isSaved() && written < 5000)
      await calls.add("busy", [{ id: `${written++}`, vector: randomVector(4, random) }]);
    expect(isSaved()).toBe(true);
  }, 60_000);

  test("removes all that has expired in one sweep, however much it is", async () => {
    const house = await start({ LAKEHOUSE_VECTORD_EXPIRE_EVERY_MS: String(SWEEP_MS) });
    const calls = vectorsAt(house.url);
    await calls.create("brief", 1, { metric: "l2" });
    const expires_at = new Date(Date.now() - 1000).toISOString();
    const batches = [0, 1, 2].map((batch) =>
      calls.add(
        "brief",
        Array.from({ length: 9000 }, (_, at) => ({ id: `${batch} ${at}`, vector: [at], expires_at })),
      ),
    );
    await Promise.all(batches);
    const all = 27_000;
    const left = async () => (await calls.info("brief")).items;
    while ((await left()) === all) await Bun.sleep(10);
    const began_ms = performance.now();
    while ((await left()) > 0) await Bun.sleep(10);
    expect(performance.now() - began_ms).toBeLessThan(SWEEP_MS);
  }, 60_000);
});
