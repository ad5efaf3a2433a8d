import { beforeAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { createStoragedClient } from "../../src/services/storaged/client.ts";
import type { ObjectInfo, ObjectList, Storaged } from "../../src/services/storaged/schema.ts";
import { createHttpClient } from "../../src/shared/client.ts";
import { inBothCompositions, type RunningHouse } from "../support/house.ts";
import { codeOf, storageRoutes } from "../support/storage.ts";
import { treeOf } from "../support/tree.ts";

const CAP_BYTES = 3_000_000;
const SMALL_CAP_BYTES = 1000;

inBothCompositions("storaged", (start) => {
  let house: RunningHouse;
  let lake: Storaged;
  const { send, put, get, list } = storageRoutes(() => house.url);

  beforeAll(async () => {
    house = await start({
      LAKEHOUSE_STORAGED_MAX_OBJECT_BYTES: String(CAP_BYTES),
      LAKEHOUSE_STORAGED_PREFIX_MAX_BYTES: JSON.stringify({
        "small/": SMALL_CAP_BYTES,
        "small/large/": 2000,
      }),
    });
    // As a neighbour in another process calls it.
    lake = createStoragedClient(
      createHttpClient({
        service: "storaged",
        base_url: house.service_urls.storaged ?? `${house.url}/v1`,
        service_token: readFileSync(join(house.data_dir, "service.token"), "utf8").trim(),
        timeout_ms: 10_000,
      }),
    );
  });

  test("a new object is 201 with its digest, a replaced one 200 with another ETag", async () => {
    const first = await put("a/new", "one");
    expect(first.status).toBe(201);
    const { etag, ...stored } = (await first.json()) as { etag: string };
    expect(first.headers.get("etag")).toBe(etag);
    expect(etag).toMatch(/^"[^"]+"$/);
    expect(stored).toEqual({
      key: "a/new",
      size: 3,
      sha256: "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed",
    } as never);
    const second = await put("a/new", "two");
    expect(second.status).toBe(200);
    expect(second.headers.get("etag")).not.toBe(etag);
    expect(await (await get("a/new")).text()).toBe("two");
  });

  test("a body is bytes, whatever its content type", async () => {
    for (const type of [
      "application/json",
      "text/plain",
      "multipart/form-data",
      "application/x-www-form-urlencoded",
    ])
      expect((await put("typed", '{"not": "JSON', { "content-type": type })).ok).toBe(true);
    expect(await (await get("typed")).text()).toBe('{"not": "JSON');
  });

  test("a key and the keys beneath it are objects of their own", async () => {
    for (const key of ["tree", "tree/leaf", "tree/leaf/vein", "TREE", "tree."]) await put(key, key);
    for (const key of ["tree", "tree/leaf", "tree/leaf/vein", "TREE", "tree."])
      expect(await (await get(key)).text()).toBe(key);
    await send("delete", "tree/leaf", { method: "DELETE" });
    expect((await get("tree/leaf")).status).toBe(404);
    expect(await (await get("tree/leaf/vein")).text()).toBe("tree/leaf/vein");
  });

  describe("conditional writes", () => {
    test("If-None-Match: * creates once", async () => {
      expect((await put("once", "1", { "if-none-match": "*" })).status).toBe(201);
      const refused = await put("once", "2", { "if-none-match": "*" });
      expect(refused.status).toBe(412);
      expect(await codeOf(refused)).toBe("precondition_failed");
      expect(await (await get("once")).text()).toBe("1");
    });

    test("If-Match replaces only the version it names", async () => {
      expect((await put("match", "1", { "if-match": '"none"' })).status).toBe(412);
      expect((await put("match", "1", { "if-match": "*" })).status).toBe(412);
      const { etag } = (await (await put("match", "1")).json()) as { etag: string };
      expect((await put("match", "2", { "if-match": etag })).status).toBe(200);
      expect((await put("match", "3", { "if-match": etag })).status).toBe(412);
      expect((await put("match", "4", { "if-match": `W/${etag}` })).status).toBe(412);
      expect(await (await get("match")).text()).toBe("2");
    });

    test("one of many replacing the same version wins", async () => {
      const { etag } = (await (await put("cas", "0")).json()) as { etag: string };
      const answers = await Promise.all(
        Array.from({ length: 32 }, (_, i) => put("cas", `${i}`, { "if-match": etag })),
      );
      expect(answers.filter((it) => it.status === 200)).toHaveLength(1);
      expect(answers.filter((it) => it.status === 412)).toHaveLength(31);
    });

    test("a conditional delete removes only the version it names", async () => {
      await put("gone", "1");
      const remove = (etag: string) =>
        send("delete", "gone", { method: "DELETE", headers: { "if-match": etag } });
      expect((await remove('"other"')).status).toBe(412);
      expect((await remove((await get("gone")).headers.get("etag") ?? "")).status).toBe(204);
      expect((await remove("*")).status).toBe(412);
    });

    test("what they can't mean is refused", async () => {
      expect((await put("odd", "1", { "if-none-match": '"x"' })).status).toBe(400);
      expect((await put("odd", "1", { "if-none-match": "*", "if-match": "*" })).status).toBe(400);
      expect((await put("odd", "1", { "content-range": "bytes 0-0/2" })).status).toBe(400);
      expect((await get("odd")).status).toBe(404);
    });
  });

  test("a list goes through keys in the order of their bytes, page by page", async () => {
    const keys = ["é", "z", "a/b", "a.txt", "a", "a!", "a/B", "ﬀ", "😀", "Z"].map((it) => `order/${it}`);
    for (const key of keys) await put(encodeURI(key), "x");
    const sorted = keys.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
    const seen: string[] = [];
    for (let cursor: string | null = ""; cursor !== null; ) {
      const page: ObjectList = await list(`prefix=order/&limit=3${cursor && `&cursor=${cursor}`}`);
      expect(page.objects.length).toBeLessThanOrEqual(3);
      seen.push(...page.objects.map((it) => it.key));
      cursor = page.next_cursor;
    }
    expect(seen).toEqual(sorted);
    const [entry] = (await list(`prefix=${encodeURIComponent("order/😀")}`)).objects as [ObjectInfo];
    const head = await send("get", encodeURI("order/😀"), { method: "HEAD" });
    expect(entry.etag).toBe(head.headers.get("etag") ?? "");
    expect(entry.modified).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  });

  test("a list with a delimiter tells what keys share", async () => {
    for (const key of ["d/1", "d/x/1", "d/x/2", "d/y/z/1", "d/y"]) await put(key, "x");
    const page = await list("prefix=d/&delimiter=/");
    expect(page.objects.map((it) => it.key)).toEqual(["d/1", "d/y"]);
    expect(page.prefixes).toEqual(["d/x/", "d/y/"]);
    const by_pages: string[] = [];
    for (let cursor: string | null = ""; cursor !== null; ) {
      const one: ObjectList = await list(`prefix=d/&delimiter=/&limit=1${cursor && `&cursor=${cursor}`}`);
      by_pages.push(...one.objects.map((it) => it.key), ...one.prefixes);
      cursor = one.next_cursor;
    }
    expect(by_pages).toEqual(["d/1", "d/x/", "d/y", "d/y/"]);
  });

  test("a list refuses what it can't mean", async () => {
    for (const query of [
      "limit=0",
      "limit=1001",
      "limit=x",
      "cursor=!!",
      "cursor=a3g&prefix=y",
      `prefix=${"x".repeat(1025)}`,
    ]) {
      const refused = await fetch(`${house.url}/v1/storage/list?${query}`);
      expect([query, refused.status]).toEqual([query, 400]);
    }
    expect((await list("prefix=../")).objects).toEqual([]);
    expect((await list("prefix=warehouse/../")).objects).toEqual([]);
  });

  describe("caps", () => {
    test("the longest prefix's cap counts", async () => {
      expect((await put("small/x", new Uint8Array(SMALL_CAP_BYTES))).status).toBe(201);
      expect((await put("small/x", new Uint8Array(SMALL_CAP_BYTES + 1))).status).toBe(413);
      expect((await put("small/large/x", new Uint8Array(2000))).status).toBe(201);
      expect((await put("small/large/x", new Uint8Array(2001))).status).toBe(413);
      expect((await put("smaller", new Uint8Array(2001))).status).toBe(201);
    });

    test("a body past the cap leaves the object before it", async () => {
      await put("capped", "before");
      const refused = await put("capped", new Uint8Array(CAP_BYTES + 1));
      expect(refused.status).toBe(413);
      expect(await (await get("capped")).text()).toBe("before");
    });
  });

  test("a sender that goes away leaves nothing", async () => {
    const objects = join(house.data_dir, "storage/objects");
    const before = treeOf(objects);
    const { hostname, port } = new URL(house.url);
    const head = `PUT /v1/storage/put/aborted/object HTTP/1.1\r\nHost: ${hostname}:${port}\r\n`;
    for (const rest of [
      `Content-Length: 500000\r\n\r\n${"x".repeat(1000)}`,
      `Transfer-Encoding: chunked\r\n\r\n3e8\r\n${"x".repeat(1000)}\r\n`,
    ]) {
      const socket = connect(Number(port), hostname);
      socket.write(head + rest);
      await until(() => treeOf(objects).some((it) => it.includes("d_aborted/t_")));
      socket.destroy();
      await until(() => treeOf(objects).length === before.length);
      expect(treeOf(objects)).toEqual(before);
    }
  });

  describe("the lake's own keys", () => {
    test("are written and deleted by its services only", async () => {
      for (const [verb, method] of [
        ["put", "PUT"],
        ["delete", "DELETE"],
      ] as const) {
        const refused = await send(verb, "warehouse/t/data.parquet", { method });
        expect(refused.status).toBe(403);
        expect(await codeOf(refused)).toBe("forbidden");
      }
      await lake.put("warehouse/t/data.parquet", Buffer.from("PAR1"), {
        create_only: true,
        by_service: true,
      });
      expect(await (await get("warehouse/t/data.parquet")).text()).toBe("PAR1");
      expect(readFileSync(join(house.data_dir, "storage/warehouse/t/data.parquet"), "utf8")).toBe("PAR1");
      await lake.delete("warehouse/t/data.parquet", { by_service: true });
      expect(treeOf(join(house.data_dir, "storage/warehouse"))).toEqual([]);
    });

    test("are files: none lies beneath another", async () => {
      const own = { by_service: true };
      await lake.put("warehouse/file", Buffer.from("x"), own);
      await expect(lake.put("warehouse/file/beneath", Buffer.from("x"), own)).rejects.toMatchObject({
        code: "conflict",
      });
      await lake.put("warehouse/folder/file", Buffer.from("x"), own);
      for (const create_only of [true, false])
        await expect(
          lake.put("warehouse/folder", Buffer.from("x"), { ...own, create_only }),
        ).rejects.toMatchObject({ code: "conflict" });
      await expect(lake.get("warehouse/folder")).rejects.toMatchObject({ code: "not_found" });
      await expect(lake.get("warehouse/file/beneath")).rejects.toMatchObject({ code: "not_found" });
      await lake.delete("warehouse/file/beneath", own);
      expect((await lake.head("warehouse/file")).size).toBe(1);
    });

    test("that no file system holds as themselves are refused", async () => {
      for (const key of [`warehouse/${"x".repeat(256)}`, "warehouse/.lakehouse-tmp-1"])
        await expect(lake.put(key, Buffer.from("x"), { by_service: true })).rejects.toMatchObject({
          code: "invalid",
        });
    });

    test("copied in by hand are objects like any other", async () => {
      await Bun.write(join(house.data_dir, "storage/warehouse/hand/copied.txt"), "by hand");
      const info = await lake.head("warehouse/hand/copied.txt");
      expect((await get("warehouse/hand/copied.txt", { "if-none-match": info.etag })).status).toBe(304);
      expect((await list("prefix=warehouse/hand/")).objects).toEqual([info]);
      await Bun.write(join(house.data_dir, "storage/warehouse/hand/copied.txt"), "changed by hand");
      expect((await lake.head("warehouse/hand/copied.txt")).etag).not.toBe(info.etag);
    });
  });

  describe("a neighbour's client", () => {
    test("sends every kind of body and reads it back", async () => {
      const file = join(house.data_dir, "body.bin");
      await Bun.write(file, new Uint8Array(700_000).fill(7));
      const stream = () => Bun.file(file).stream();
      for (const body of [
        new Uint8Array(700_000).fill(7),
        new Blob([new Uint8Array(700_000).fill(7)]),
        Bun.file(file),
        stream(),
      ]) {
        const stored = await lake.put("client/body", body);
        expect(stored.size).toBe(700_000);
        const read = await lake.get("client/body", { start: 699_998 });
        expect(read.range).toEqual({ start: 699_998, end: 699_999 });
        expect(read.info).toEqual(await lake.head("client/body"));
        expect(await new Response(read.body).bytes()).toEqual(new Uint8Array([7, 7]));
      }
      expect((await lake.list({ prefix: "client/" })).objects).toEqual([await lake.head("client/body")]);
      await lake.delete("client/body");
      await expect(lake.head("client/body")).rejects.toMatchObject({ code: "not_found" });
      await expect(lake.get("client/body")).rejects.toMatchObject({ code: "not_found" });
    });

    test("keeps every character of a key, and refuses a path for one", async () => {
      for (const key of ["a b/c?d#e%2f", "%", "+&=;", "…/é/é", "~!*'()"]) {
        await lake.put(key, Buffer.from(key));
        expect(await new Response((await lake.get(key)).body).text()).toBe(key);
      }
      for (const key of ["../x", "a/./b", "", "/a", "a//b", "a\\b", "a\0b", "\ud800"])
        await expect(lake.put(key, Buffer.from("x"))).rejects.toMatchObject({ code: "invalid" });
    });

    test("is told of a stale version", async () => {
      const { etag } = await lake.put("client/cas", Buffer.from("1"));
      expect((await lake.put("client/cas", Buffer.from("2"), { if_match: etag })).created).toBe(false);
      await expect(lake.put("client/cas", Buffer.from("3"), { if_match: etag })).rejects.toMatchObject({
        code: "precondition_failed",
      });
      await expect(lake.delete("client/cas", { if_match: etag })).rejects.toMatchObject({
        code: "precondition_failed",
      });
      await expect(lake.get("client/cas", { start: 5 })).rejects.toMatchObject({
        code: "range_not_satisfiable",
      });
    });
  });
});

async function until(holds: () => boolean): Promise<void> {
  for (let tries = 0; tries < 500; tries++) {
    if (holds()) return;
    await Bun.sleep(10);
  }
  throw new Error("what was waited for did not come to hold within 5 s");
}
