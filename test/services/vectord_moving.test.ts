/** Snapshots and restores at the wire: what moves is whole, what is not is refused, and nothing is left behind. */
import { Database } from "bun:sqlite";
import { beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Manifest, pack } from "../../src/services/vectord/archive.ts";
import { headerOf } from "../../src/services/vectord/tar.ts";
import { inBothCompositions, type RunningHouse } from "../support/house.ts";
import {
  idsOf,
  type Problem,
  randomVector,
  seeded,
  settled,
  type VectorCalls,
  vectorsAt,
} from "../support/vectors.ts";

const DIMENSION = 8;
const KEY = "vectors/moved/first.tar";

const bytesOf = async (chunks: AsyncIterable<Uint8Array>) => Buffer.concat(await Array.fromAsync(chunks));

inBothCompositions("vectord moves", (start) => {
  let house: RunningHouse;
  let calls: VectorCalls;
  let good: Buffer;
  const put = (key: string, bytes: Uint8Array) =>
    fetch(`${house.url}/v1/storage/put/${key}`, { method: "PUT", body: bytes as BodyInit });
  const fetched = async (key: string) =>
    Buffer.from(await (await fetch(`${house.url}/v1/storage/get/${key}`)).arrayBuffer());
  /** What lies in vectord's folder, but for what other services keep there. */
  const left = () =>
    readdirSync(join(house.data_dir, "vector"))
      .filter((name) => !name.startsWith("_") && name !== ".jobs")
      .sort();

  beforeAll(async () => {
    house = await start({ LAKEHOUSE_VECTORD_SAVE_AFTER_MS: "1", LAKEHOUSE_VECTORD_MAX_INDEXES: "6" });
    calls = vectorsAt(house.url);
    const random = seeded(5);
    await calls.create("moved", DIMENSION, { metric: "l2", indexed: ["n"] });
    await calls.add(
      "moved",
      Array.from({ length: 50 }, (_, n) => ({
        id: `${n}`,
        vector: randomVector(DIMENSION, random),
        metadata: { n },
        text: `item number ${n}`,
        ...(n === 3 ? { expires_at: "2999-01-01T00:00:00.000Z" } : {}),
      })),
    );
    await calls.remove("moved", { ids: ["10"] });
  });

  test("a snapshot is a tar whose manifest says what it holds", async () => {
    const taken = await calls.snapshot("moved", { key: KEY });
    good = await fetched(KEY);
    expect(taken).toMatchObject({ key: KEY, size: good.length, index: "moved", items: 49, dimension: 8 });
    expect(taken.sha256).toBe(new Bun.CryptoHasher("sha256").update(good).digest("hex"));
    const folder = mkdtempSync(join(tmpdir(), "lakehouse-tar-"));
    try {
      writeFileSync(join(folder, "it.tar"), good);
      const { exitCode } = Bun.spawnSync(["tar", "-xf", "it.tar"], { cwd: folder });
      expect(exitCode).toBe(0);
      const manifest = JSON.parse(readFileSync(join(folder, "manifest.json"), "utf8")) as Manifest;
      expect(manifest).toMatchObject({
        name: "moved",
        items: 49,
        settings: { metric: "l2", indexed: ["n"] },
      });
      for (const { name, size, sha256 } of manifest.files) {
        const bytes = readFileSync(join(folder, name));
        expect([bytes.length, new Bun.CryptoHasher("sha256").update(bytes).digest("hex")]).toEqual([
          size,
          sha256,
        ]);
      }
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
    const named = await calls.snapshot("moved");
    expect(named.key).toMatch(/^vectors\/moved\/\d{4}-.*Z\.tar$/);
    expect(left()).toEqual(["moved", "vectord.lock"]);
  });

  test("a restored index is the one it was taken of, and goes its own way", async () => {
    const made = await calls.tryRestore<{ replaced: boolean }>({ key: KEY, name: "twin" });
    expect(made).toMatchObject({
      status: 201,
      body: { name: "twin", items: 49, replaced: false, metric: "l2" },
    });
    const everything = async (name: string) => {
      const vector = Array(DIMENSION).fill(0.1);
      const include = ["metadata", "text", "vector"] as const;
      const query = { vector, k: 100, exact: true, include: [...include] };
      return (await calls.search(name, query)).results;
    };
    expect(await everything("twin")).toEqual(await everything("moved"));
    await calls.add("twin", [{ id: "new", vector: Array(DIMENSION).fill(0.1), text: "only here" }]);
    await calls.remove("moved", { ids: ["11"] });
    expect(idsOf(await everything("twin"))).toContain("11");
    expect(idsOf(await everything("moved"))).not.toContain("new");
    expect(idsOf((await everything("twin")).slice(0, 1))).toEqual(["new"]);

    expect(await calls.tryRestore<Problem>({ key: KEY, name: "twin" })).toMatchObject({
      status: 409,
      body: { code: "conflict", detail: expect.stringContaining("replace: true") },
    });
    expect(idsOf(await everything("twin"))).toContain("new");
    const again = await calls.tryRestore({ key: KEY, name: "twin", replace: true });
    expect(again).toMatchObject({ status: 200, body: { replaced: true, items: 49 } });
    expect(idsOf(await everything("twin"))).not.toContain("new");
    expect(left()).toEqual(["moved", "twin", "vectord.lock"]);
  });

  test("a snapshot under writes holds whole batches, and all that was acknowledged before", async () => {
    await calls.create("busy", DIMENSION);
    const random = seeded(9);
    let is_over = false;
    let acknowledged = 0;
    const writing = (async () => {
      while (!is_over) {
        const items = Array.from({ length: 10 }, (_, at) => ({
          id: `${acknowledged + at}`,
          vector: randomVector(DIMENSION, random),
          text: `n${acknowledged + at}`,
        }));
        await calls.add("busy", items);
        acknowledged += 10;
      }
    })();
    for (let round = 0; round < 5; round++) {
      const before = acknowledged;
      const { items } = await calls.snapshot("busy", { key: "vectors/busy.tar" });
      expect(items % 10).toBe(0);
      expect(items).toBeGreaterThanOrEqual(before);
      expect(await calls.restore({ key: "vectors/busy.tar", name: "held", replace: true })).toMatchObject({
        items,
      });
    }
    is_over = true;
    await writing;
    for (const name of ["busy", "held"]) await calls.send("DELETE", `/${name}`);
  });

  test("an index dropped while it is copied is copied whole, or not there any more", async () => {
    for (let round = 0; round < 5; round++) {
      await calls.create("leaving", DIMENSION);
      await calls.add("leaving", [{ id: "a", vector: Array(DIMENSION).fill(0.5) }]);
      const key = `vectors/leaving/${round}.tar`;
      const [taken, again, dropped] = await Promise.all([
        calls.send("POST", "/leaving/snapshot", { key }),
        calls.send("POST", "/leaving/snapshot", { key: `${key}.again` }),
        calls.send("DELETE", "/leaving"),
      ]);
      expect(dropped.status).toBe(204);
      for (const { status } of [taken, again]) expect([200, 404]).toContain(status);
      const made = await calls.tryRestore({ key, name: "leaving" });
      expect(made.status).toBe(taken.status === 200 ? 201 : 404);
      if (made.status === 201) expect((await calls.send("DELETE", "/leaving")).status).toBe(204);
    }
  });

  test("what can't be asked is refused", async () => {
    const asked = (status: number, query: object) =>
      calls
        .tryRestore<Problem>(query)
        .then((it) => expect([it.status, it.body.detail]).toEqual([status, expect.anything()]));
    await asked(404, { key: "vectors/none.tar" });
    await asked(400, { key: "warehouse/t.tar" });
    await asked(400, { key: "vectors/" });
    await asked(400, { key: "vectors/../warehouse/t.tar" });
    await asked(403, { key: KEY, name: "_memory" });
    await asked(400, { key: KEY, name: "../x" });
    expect((await calls.send("POST", "/moved/snapshot", { key: "elsewhere/x.tar" })).status).toBe(400);
    expect((await calls.send("POST", "/moved/snapshot", { key: "vectors/../x.tar" })).status).toBe(400);
    expect((await calls.send("POST", "/none/snapshot", {})).status).toBe(404);
    expect((await calls.send("POST", "/_memory/snapshot", {})).status).toBe(403);
    expect((await calls.send("POST", "/_memory/fields", { add: ["n"] })).status).toBe(403);
  });

  describe("an object that is none", () => {
    const refused = async (bytes: Uint8Array, reason: string) => {
      const before = left();
      expect((await put("vectors/bad.tar", bytes)).ok).toBe(true);
      const answer = await calls.tryRestore<Problem>({
        key: "vectors/bad.tar",
        name: "moved",
        replace: true,
      });
      expect([answer.status, answer.body.detail]).toEqual([400, expect.stringContaining(reason)]);
      expect(left()).toEqual(before);
      expect((await calls.info("moved")).items).toBeGreaterThan(40);
    };
    const tarOf = (...files: [name: string, text: string][]) =>
      Buffer.concat([
        ...files.flatMap(([name, text]) => [
          headerOf({ name, size: text.length }, 0),
          Buffer.from(text.padEnd(Math.ceil(text.length / 512) * 512, "\0")),
        ]),
        Buffer.alloc(1024),
      ]);
    const manifestOf = () => JSON.parse(good.toString("utf8", 512, good.indexOf("\0", 512))) as Manifest;
    /** The good snapshot with another manifest, or another file of items. */
    const forged = async (change: (manifest: Manifest) => object, items?: (db: Database) => void) => {
      const folder = mkdtempSync(join(tmpdir(), "lakehouse-forged-"));
      try {
        writeFileSync(join(folder, "it.tar"), good);
        Bun.spawnSync(["tar", "-xf", "it.tar"], { cwd: folder });
        const manifest = manifestOf();
        const path = join(folder, "items.sqlite");
        const db = new Database(path);
        db.run("PRAGMA journal_mode = DELETE");
        items?.(db);
        db.close();
        const bytes = readFileSync(path);
        const sha256 = new Bun.CryptoHasher("sha256").update(bytes).digest("hex");
        manifest.files[0] = { name: "items.sqlite", size: bytes.length, sha256 };
        return await bytesOf(pack({ ...manifest, ...change(manifest) }, folder));
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
    };

    test("cut short, anywhere", async () => {
      for (const share of [0, 0.001, 0.01, 0.3, 0.9, 0.999])
        await refused(good.subarray(0, Math.floor(good.length * share)), "ends before it is whole");
      await refused(good.subarray(0, good.length - 1024), "ends before it is whole");
    });

    test("damaged, anywhere", async () => {
      const random = seeded(3);
      for (let round = 0; round < 12; round++) {
        const at = Math.floor(random() * (good.length - 1536));
        const bytes = Buffer.from(good);
        bytes[at] = (bytes[at] as number) ^ 0x40;
        await refused(bytes, '"vectors/bad.tar" ');
      }
      await refused(Buffer.concat([good, Buffer.from("more")]), "more than its manifest names");
    });

    test("foreign or hostile", async () => {
      const manifest = JSON.stringify(manifestOf());
      await refused(Buffer.from("no tar at all".repeat(100)), "is no tar");
      await refused(tarOf(["readme.txt", "hello"]), "begins with readme.txt");
      await refused(tarOf(["manifest.json", "{"]), "not JSON");
      await refused(tarOf(["manifest.json", "{}"]), "none of a snapshot");
      await refused(
        tarOf(["manifest.json", manifest.replace('"version":1', '"version":2')]),
        "format version 2",
      );
      await refused(tarOf(["../../evil", "x"]), "name that is none");
      await refused(tarOf(["/etc/evil", "x"]), "name that is none");
      for (const type of ["1", "2", "3", "5", "L", "x"]) {
        const bytes = Buffer.from(good);
        bytes.write(type, 156, "latin1");
        const sum = bytes
          .subarray(0, 512)
          .reduce((all, it, at) => all + (at >= 148 && at < 156 ? 32 : it), 0);
        bytes.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
        await refused(bytes, "no regular file");
      }
    });

    test("but for its graph: that is left out and built anew, since usearch would trust it", async () => {
      const name = "graphless";
      await calls.create("graphed", DIMENSION);
      const random = seeded(21);
      const items = Array.from({ length: 40 }, (_, n) => ({
        id: `${n}`,
        vector: randomVector(DIMENSION, random),
      }));
      await calls.add("graphed", items);
      await settled(calls, "graphed");
      const folder = mkdtempSync(join(tmpdir(), "lakehouse-forged-"));
      try {
        const { key } = await calls.snapshot("graphed");
        writeFileSync(join(folder, "it.tar"), await fetched(key));
        Bun.spawnSync(["tar", "-xf", "it.tar"], { cwd: folder });
        const manifest = JSON.parse(readFileSync(join(folder, "manifest.json"), "utf8")) as Manifest;
        const graph = readFileSync(join(folder, "graph.usearch"));
        graph.fill(0x7f, graph.indexOf("usearch") + 64 + 40 + 2 * items.length);
        writeFileSync(join(folder, "graph.usearch"), graph);
        const sha256 = new Bun.CryptoHasher("sha256").update(graph).digest("hex");
        const checksum = Bun.hash.xxHash3(graph).toString(16);
        const files = manifest.files.map((it) => (it.name === "graph.usearch" ? { ...it, sha256 } : it));
        const forged = { ...manifest, files, graph: manifest.graph && { ...manifest.graph, checksum } };
        await put(key, await bytesOf(pack(forged, folder)));
        expect(await calls.tryRestore({ key, name })).toMatchObject({ status: 201, body: { items: 40 } });
        await settled(calls, name);
        for (const { id, vector } of items)
          expect(idsOf((await calls.search(name, { vector, k: 1 })).results)).toEqual([id]);
      } finally {
        rmSync(folder, { recursive: true, force: true });
        await calls.send("DELETE", "/graphed");
        await calls.send("DELETE", `/${name}`);
      }
    });

    test("well made, but no index", async () => {
      await refused(
        await forged(({ settings }) => ({ settings: { ...settings, dimension: 9 } })),
        "other settings",
      );
      await refused(await forged(() => ({ items: 48 })), "its manifest names 48");
      await refused(await forged(() => ({ settings: { dimension: 1 } })), "none of a snapshot");
      for (const [sql, reason] of [
        ["CREATE TRIGGER t AFTER INSERT ON items BEGIN DELETE FROM items; END", "other tables"],
        ["CREATE VIEW v AS SELECT 1", "other tables"],
        ["UPDATE items SET vector = x'00' WHERE id = '1'", "another dimension"],
        [`UPDATE items SET vector = x'${"00".repeat(28)}0000c07f' WHERE id = '1'`, "numbers that are none"],
        ["UPDATE items SET metadata = '[' WHERE id = '1'", "no JSON object"],
        ["UPDATE items SET key = -5, text = NULL WHERE id = '1'", "never given"],
        ["DELETE FROM words WHERE rowid = 5", "found by their words"],
        ["UPDATE sqlite_sequence SET seq = 1", "up to key 1"],
      ] as const)
        await refused(
          await forged(
            () => ({}),
            (db) => db.run(sql),
          ),
          reason,
        );
    });
  });
});
