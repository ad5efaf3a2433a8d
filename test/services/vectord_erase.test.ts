/** Erasing: nothing of an item that is no more is left in any file of the lake. */
import { expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { unitOf } from "../../src/services/vectord/vectors.ts";
import { inBothCompositions, type RunningHouse, startHouse } from "../support/house.ts";
import { contentsBelow } from "../support/tree.ts";
import { idsOf, type Problem, randomVector, seeded, settled, vectorsAt } from "../support/vectors.ts";

const DIMENSION = 16;
const NAME = "erased";

/** What an item leaves in files: a word of each kind, the vector as it was sent, and as the graph holds it. */
function marked(mark: string, random: () => number) {
  const vector = randomVector(DIMENSION, random);
  const item = {
    id: `id${mark}`,
    vector,
    metadata: { note: `meta${mark}` },
    text: `some common words and word${mark} among them`,
  };
  const traces = {
    id: Buffer.from(item.id),
    metadata: Buffer.from(item.metadata.note),
    text: Buffer.from(`word${mark}`),
    f32: Buffer.from(Float32Array.from(vector).buffer),
    f16: Buffer.from(Float16Array.from(unitOf(Float32Array.from(vector))).buffer),
  };
  return { item, traces };
}

/** The same, as a graph of one byte a number holds them: lengths are kept by one factor, told in its manifest. */
function bytesOf(house: RunningHouse, { item }: ReturnType<typeof marked>): Buffer {
  const { scale } = JSON.parse(readFileSync(manifestOf(house), "utf8")) as { scale: number };
  return Buffer.from(Int8Array.from(item.vector, (it) => Math.round(Math.fround(it) * scale)).buffer);
}

/** Which of the traces are in any file. */
function left(house: RunningHouse, traces: ReturnType<typeof marked>["traces"]): string[] {
  const files = [...contentsBelow(house.data_dir).values()];
  return Object.entries(traces)
    .filter(([, bytes]) => files.some((file) => file.includes(bytes)))
    .map(([name]) => name);
}

const manifestOf = (house: RunningHouse) => join(house.data_dir, "vector", NAME, "graph.json");

/** Waits until a graph is saved that covers this key. */
async function savedTo(house: RunningHouse, key: number): Promise<void> {
  const covered = () =>
    existsSync(manifestOf(house)) &&
    (JSON.parse(readFileSync(manifestOf(house), "utf8")) as { covers_key: number }).covers_key;
  while (covered() !== key) await Bun.sleep(5);
}

inBothCompositions("vectord erases", (start) => {
  for (const { others, replaced } of [
    { others: 30, replaced: 5 },
    // So many are masked that the graph is built anew.
    { others: 900, replaced: 600 },
  ])
    test(`an item among ${others}, ${replaced} of them replaced before`, async () => {
      const house = await start({ LAKEHOUSE_VECTORD_SAVE_AFTER_MS: "1" });
      const calls = vectorsAt(house.url);
      const random = seeded(others);
      await calls.create(NAME, DIMENSION);
      const plain = Array.from({ length: others }, (_, at) => ({
        id: `${at}`,
        vector: randomVector(DIMENSION, random),
        text: `text ${at} of common words`,
      }));
      const before = marked("qzbefore", random);
      const gone = marked("qzgone", random);
      const stays = marked("qzstays", random);
      const again = marked("qzagain", random);
      const by_filter = marked("qzfilter", random);
      // An older version of an item that is erased, and one deleted before without being erased.
      await calls.add(NAME, [...plain, { ...before.item, id: again.item.id }, gone.item, stays.item]);
      await settled(calls, NAME);
      await calls.add(NAME, [again.item, by_filter.item]);
      await calls.add(NAME, plain.slice(0, replaced));
      await calls.remove(NAME, { ids: [gone.item.id] });
      await settled(calls, NAME);
      await savedTo(house, others + 5 + replaced);
      expect(left(house, again.traces)).toEqual(["id", "metadata", "text", "f32", "f16"]);
      expect(left(house, before.traces)).toContain("f16");

      expect(await calls.remove(NAME, { ids: [again.item.id], erase: true })).toEqual({ deleted: 1 });
      const filter = { must: [{ key: "note", match: "metaqzfilter" }] };
      expect(await calls.remove(NAME, { filter, erase: true })).toEqual({ deleted: 1 });
      const nothingLeft = () => {
        for (const { traces } of [again, before, gone, by_filter]) expect(left(house, traces)).toEqual([]);
      };
      nothingLeft();
      await settled(calls, NAME);
      await savedTo(house, others + 5 + replaced);
      nothingLeft();
      expect(left(house, stays.traces)).toEqual(["id", "metadata", "text", "f32", "f16"]);

      await house.stop();
      const later = await startHouse(house.composition, {}, house.data_dir);
      try {
        const calls = vectorsAt(later.url);
        expect((await calls.info(NAME)).items).toBe(others + 1);
        const { results } = await calls.search(NAME, { vector: stays.item.vector, k: 1 });
        expect(idsOf(results)).toEqual([stays.item.id]);
        const worded = await calls.search(NAME, {
          vector: stays.item.vector,
          k: others + 1,
          hybrid: { text: "wordqzstays wordqzagain", soft: 0 },
        });
        expect(idsOf(worded.results.filter((it) => it.ranks?.bm25 !== undefined))).toEqual([stays.item.id]);
        nothingLeft();
      } finally {
        await later.stop();
      }
    });

  for (const erased of [3, 600])
    test(`${erased} items, of a graph with one byte a number`, async () => {
      const house = await start({ LAKEHOUSE_VECTORD_SAVE_AFTER_MS: "1" });
      const calls = vectorsAt(house.url);
      const random = seeded(erased);
      await calls.create(NAME, DIMENSION, { metric: "l2", quantization: "i8" });
      const all = Array.from({ length: 2 * erased }, (_, at) => marked(`qz${at}z`, random));
      const [gone, stay] = [all.slice(0, erased), all.slice(erased)];
      await calls.add(
        NAME,
        all.map(({ item }) => item),
      );
      await settled(calls, NAME);
      await savedTo(house, 2 * erased);
      const bytes = all.map((it) => bytesOf(house, it));
      const held = () => {
        const files = [...contentsBelow(house.data_dir).values()];
        return bytes.map((it) => files.some((file) => file.includes(it)));
      };
      expect(held()).toEqual(all.map(() => true));
      const ids = gone.map(({ item }) => item.id);
      expect(await calls.remove(NAME, { ids, erase: true })).toEqual({ deleted: erased });
      expect(held().slice(0, erased)).toEqual(gone.map(() => false));
      await settled(calls, NAME);
      await savedTo(house, 2 * erased);
      expect(held().slice(0, erased)).toEqual(gone.map(() => false));
      for (const { item } of stay.slice(0, 20))
        expect(idsOf((await calls.search(NAME, { vector: item.vector, k: 1 })).results)).toEqual([item.id]);
    });

  test("the last item, one that is gone already, and what is refused", async () => {
    const house = await start();
    const calls = vectorsAt(house.url);
    const only = marked("qzonly", seeded(1));
    await calls.create(NAME, DIMENSION);
    await calls.add(NAME, [only.item]);
    expect(await calls.remove(NAME, { ids: [only.item.id] })).toEqual({ deleted: 1 });
    expect(await calls.remove(NAME, { ids: [only.item.id], erase: true })).toEqual({ deleted: 0 });
    expect(left(house, only.traces)).toEqual([]);
    await calls.add(NAME, [only.item]);
    expect((await calls.search(NAME, { vector: only.item.vector })).results).toHaveLength(1);
    for (const query of [
      { erase: true },
      { ids: ["a"], filter: {} },
      { ids: ["a"], filter: {}, erase: true },
    ])
      expect(await calls.send<Problem>("POST", `/${NAME}/delete`, query)).toMatchObject({ status: 400 });
  });
});
