/** What a disk or a hand can do to vectord's files: nothing is acknowledged that is not kept, and one bad index is one. */
import { expect, test } from "bun:test";
import {
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { startHouse } from "../support/house.ts";
import { startProcesses } from "../support/processes.ts";
import { testWithStrace } from "../support/strace.ts";
import { idsOf, type Problem, randomVector, seeded, settled, vectorsAt } from "../support/vectors.ts";

const DIMENSION = 8;
const ITEMS = 300;

const itemsOf = (seed: number, count = ITEMS) => {
  const random = seeded(seed);
  return Array.from({ length: count }, (_, at) => ({
    id: `${seed}-${at}`,
    vector: randomVector(DIMENSION, random),
  }));
};

for (const [call, error] of [
  ["pwrite64", "ENOSPC"],
  ["fdatasync", "EIO"],
] as const)
  testWithStrace(
    `${error} on ${call} of a commit: 503, and no acknowledgement`,
    async () => {
      const lake = await startProcesses("mounted");
      try {
        const calls = vectorsAt(lake.url);
        await calls.create("kept", DIMENSION);
        const before = itemsOf(1);
        await calls.add("kept", before);
        const wal = join(lake.data_dir, "vector/kept/items.sqlite-wal");
        const strace = Bun.spawn(
          [
            ...["strace", "-f", "-qq", "-o", "/dev/null", "-p", String(lake.pids.all), "-P", wal],
            ...["-e", `trace=${call},fsync`, "-e", `inject=${call},fsync:error=${error}`],
          ],
          { stderr: "pipe" },
        );
        const refused = itemsOf(2, 10);
        let answer = await calls.send<Problem>("POST", "/kept/add", { items: refused });
        // Until strace has taken hold, adds succeed.
        const lucky: string[] = [];
        for (let round = 0; answer.status === 200; round++) {
          lucky.push(...refused.map((it) => it.id));
          await Bun.sleep(50);
          answer = await calls.send<Problem>("POST", "/kept/add", { items: itemsOf(100 + round, 10) });
          if (answer.status === 200) lucky.push(...itemsOf(100 + round, 10).map((it) => it.id));
        }
        expect([answer.status, answer.body.code]).toEqual([503, "unavailable"]);
        expect(answer.body.detail).toContain("full or failing");
        strace.kill("SIGTERM");
        await strace.exited;
        const after = itemsOf(3, 10);
        await calls.add("kept", after);
        const expected = new Set([...before, ...after].map((it) => it.id).concat(lucky)).size;
        expect((await calls.info("kept")).items).toBe(expected);
        await lake.kill("all", "SIGKILL");
        await lake.restart("all");
        expect((await calls.info("kept")).items).toBe(expected);
        expect(idsOf((await calls.search("kept", { vector: after[0]?.vector ?? [], k: 1 })).results)).toEqual(
          ["3-0"],
        );
      } finally {
        await lake.stop();
        rmSync(lake.data_dir, { recursive: true, force: true });
      }
    },
    120_000,
  );

test("files that are damaged, cut, or links: the graph is built anew, and a bad index is set aside alone", async () => {
  const env = { LAKEHOUSE_VECTORD_SAVE_AFTER_MS: "1" };
  const first = await startHouse("mounted", env);
  const folder = (name: string) => join(first.data_dir, "vector", name);
  const names = ["whole", "no-manifest", "bad-manifest", "cut", "flipped", "elsewhere", "gone"];
  const calls = vectorsAt(first.url);
  for (const name of [...names, "broken"]) {
    await calls.create(name, DIMENSION);
    await calls.add(name, itemsOf(1));
    await settled(calls, name);
    while (!existsSync(join(folder(name), "graph.json"))) await Bun.sleep(5);
  }
  await first.stop();

  const graphOf = (name: string) =>
    join(folder(name), readdirSync(folder(name)).find((it) => it.endsWith(".usearch")) as string);
  rmSync(join(folder("no-manifest"), "graph.json"));
  writeFileSync(join(folder("bad-manifest"), "graph.json"), "{");
  truncateSync(graphOf("cut"), 1000);
  const bytes = readFileSync(graphOf("flipped"));
  bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] as number) ^ 1;
  writeFileSync(graphOf("flipped"), bytes);
  const named = JSON.parse(readFileSync(join(folder("elsewhere"), "graph.json"), "utf8"));
  writeFileSync(
    join(folder("elsewhere"), "graph.json"),
    JSON.stringify({ ...named, file: "../whole/x.usearch" }),
  );
  rmSync(graphOf("gone"));
  writeFileSync(join(folder("broken"), "items.sqlite"), "no database at all, whatever it was before");
  rmSync(join(folder("broken"), "items.sqlite-wal"), { force: true });
  symlinkSync(folder("whole"), folder("linked"));

  const house = await startHouse("mounted", env, first.data_dir);
  try {
    const again = vectorsAt(house.url);
    const [wanted] = itemsOf(1);
    for (const name of names) {
      const query = { vector: wanted?.vector ?? [], k: 1 };
      expect(idsOf((await again.search(name, query)).results)).toEqual(["1-0"]);
      await settled(again, name);
      expect(await again.info(name)).toMatchObject({ items: ITEMS, waiting: 0, masked: 0 });
    }
    expect((await again.send("GET", "/linked")).status).toBe(404);
    expect((await again.send<Problem>("POST", "/broken/search", { vector: wanted?.vector })).status).toBe(
      503,
    );
    const health = (await (await fetch(`${house.url}/health`)).json()) as {
      services: Record<string, object>;
    };
    expect(health.services.vectord).toMatchObject({ status: "degraded", unfit: ["broken"] });
    await again.snapshot("whole", { key: "vectors/whole.tar" });
    await again.restore({ key: "vectors/whole.tar", name: "broken", replace: true });
    expect((await again.info("broken")).items).toBe(ITEMS);
    expect((await again.send("GET", "?limit=100")).body).toMatchObject({
      indexes: { length: names.length + 1 },
    });
  } finally {
    await house.stop();
    rmSync(house.data_dir, { recursive: true, force: true });
  }
});
