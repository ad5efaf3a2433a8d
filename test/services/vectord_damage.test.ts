/** Files of an index damaged while nothing runs: that index is set aside, or made anew, and the others go on. */
import { expect, test } from "bun:test";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { inBothCompositions } from "../support/house.ts";
import { idsOf, type Problem, settled, vectorsAt } from "../support/vectors.ts";

const SETTINGS = { LAKEHOUSE_VECTORD_SAVE_AFTER_MS: "1" };
const items = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, at) => ({ id: `${from + at}`, vector: [1, from + at] }));

inBothCompositions("vectord over damaged files", (start) => {
  test("older items than the graph's are taken as they are, and its graph made anew", async () => {
    const first = await start(SETTINGS);
    const calls = vectorsAt(first.url);
    const file = join(first.data_dir, "vector", "back", "items.sqlite");
    for (const name of ["back", "other"]) await calls.create(name, 2, { metric: "l2" });
    await calls.add("back", items(0, 100));
    await first.stop();
    const older = readFileSync(file);
    const second = await start(SETTINGS, first.data_dir);
    const more = vectorsAt(second.url);
    await more.add("back", items(100, 200));
    await settled(more, "back");
    const manifest = join(first.data_dir, "vector", "back", "graph.json");
    while (!existsSync(manifest) || JSON.parse(readFileSync(manifest, "utf8")).covers_key !== 200)
      await Bun.sleep(5);
    await second.stop();
    // What a lost write-ahead log or a backup of this file alone comes to.
    writeFileSync(file, older);
    rmSync(`${file}-wal`, { force: true });

    const third = await start(SETTINGS, first.data_dir);
    const again = vectorsAt(third.url);
    expect((await again.info("back")).items).toBe(100);
    await again.add("back", items(500, 600));
    await settled(again, "back");
    const near = async (at: number) => idsOf((await again.search("back", { vector: [1, at], k: 1 })).results);
    expect([await near(42), await near(150), await near(555)]).toEqual([["42"], ["99"], ["555"]]);
    await again.add("other", items(0, 1));
    await third.stop();
  }, 60_000);

  test("a text that can't be read any more sets its index aside while the others go on", async () => {
    const first = await start(SETTINGS);
    const calls = vectorsAt(first.url);
    for (const name of ["hurt", "other"]) {
      await calls.create(name, 2);
      await calls.add(name, [{ id: "a", vector: [1, 0], text: "harbor ".repeat(20_000) }]);
    }
    await first.stop();
    const file = join(first.data_dir, "vector", "hurt", "items.sqlite");
    const bytes = readFileSync(file);
    // A long text lies in a chain of pages, each of which begins with the number of the next.
    const PAGE = 4096;
    const inside = Math.floor(bytes.indexOf("harbor harbor ".repeat(200), PAGE * 20) / PAGE) + 4;
    bytes.writeUInt32BE(0xfffffff0, inside * PAGE);
    writeFileSync(file, bytes);

    const second = await start(SETTINGS, first.data_dir);
    const again = vectorsAt(second.url);
    const unfit = async () => {
      const health = await (await fetch(`${second.url}/health`)).json();
      return (health as { services: { vectord: { unfit?: string[] } } }).services.vectord.unfit;
    };
    while ((await unfit()) === undefined) await Bun.sleep(5);
    expect(await unfit()).toEqual(["hurt"]);
    const refused = await again.send<Problem>("POST", "/hurt/search", { vector: [1, 0] });
    expect([refused.status, refused.body.code]).toEqual([503, "unavailable"]);
    await again.add("other", [{ id: "b", vector: [0, 1] }]);
    expect(idsOf((await again.search("other", { vector: [0, 1], k: 1 })).results)).toEqual(["b"]);
    await second.stop();
  }, 60_000);
});
