import { beforeAll, expect, test } from "bun:test";
import { inBothCompositions, type RunningHouse } from "../support/house.ts";
import { codeOf, storageRoutes } from "../support/storage.ts";

inBothCompositions("reads of storaged", (start) => {
  let house: RunningHouse;
  const { send, put, get } = storageRoutes(() => house.url);

  beforeAll(async () => {
    house = await start();
  });

  // Above and below the size to which an object is read at once.
  for (const size of [0, 1, 1000, 262_144, 262_145, 2_500_000])
    test(`${size} bytes come back as they went in`, async () => {
      const bytes = crypto.getRandomValues(new Uint8Array(Math.min(size, 65_536)));
      const body = new Uint8Array(size).map((_, i) => bytes[i % bytes.length] as number);
      await put(`sizes/${size}`, body);
      const read = await get(`sizes/${size}`);
      expect(read.status).toBe(200);
      expect(Buffer.from(await read.arrayBuffer()).equals(Buffer.from(body))).toBe(true);
      expect(read.headers.get("content-type")).toBe("application/octet-stream");
      expect(read.headers.get("x-content-type-options")).toBe("nosniff");
      expect(read.headers.get("accept-ranges")).toBe("bytes");
      // Passed on by the gateway, a large body goes in chunks.
      if (house.composition === "mounted") expect(read.headers.get("content-length")).toBe(String(size));
      const head = await send("get", `sizes/${size}`, { method: "HEAD" });
      expect(head.status).toBe(200);
      expect(head.headers.get("content-length")).toBe(String(size));
      expect(head.headers.get("etag")).toBe(read.headers.get("etag"));
    });

  test("a range is 206 with its place", async () => {
    await put("ranged", "0123456789");
    for (const [range, text, place] of [
      ["bytes=2-4", "234", "bytes 2-4/10"],
      ["bytes=7-", "789", "bytes 7-9/10"],
      ["bytes=-3", "789", "bytes 7-9/10"],
      ["bytes=-99", "0123456789", "bytes 0-9/10"],
      ["bytes=0-99999999999999999999", "0123456789", "bytes 0-9/10"],
    ] as const) {
      const read = await get("ranged", { range });
      expect([read.status, await read.text(), read.headers.get("content-range")]).toEqual([206, text, place]);
    }
  });

  test("a range of a large object is cut exactly", async () => {
    const body = Buffer.alloc(2_000_000, "abcdefghijklmnopqrstuvwxyz0");
    await put("ranged-large", body);
    const read = await get("ranged-large", { range: "bytes=100001-1900000" });
    expect(read.status).toBe(206);
    expect(Buffer.from(await read.arrayBuffer()).equals(body.subarray(100_001, 1_900_001))).toBe(true);
  });

  test("a range past the end is 416, and one that is none is the whole", async () => {
    await put("ranged", "0123456789");
    for (const range of ["bytes=10-", "bytes=-0", "bytes=99-100"]) {
      const read = await get("ranged", { range });
      expect([read.status, read.headers.get("content-range")]).toEqual([416, "bytes */10"]);
      expect(await codeOf(read)).toBe("range_not_satisfiable");
    }
    for (const range of ["bytes=4-2", "bytes=-", "lines=1-2", "bytes=0-1,4-5", "bytes=a-b"])
      expect((await get("ranged", { range })).status).toBe(200);
  });

  test("a reader that has the version is answered 304 without it", async () => {
    const { etag } = (await (await put("cached", "x")).json()) as { etag: string };
    const modified = (await get("cached")).headers.get("last-modified") ?? "";
    for (const headers of <Record<string, string>[]>[
      { "if-none-match": etag },
      { "if-none-match": `W/${etag}` },
      { "if-none-match": `"other", ${etag}` },
      { "if-none-match": "*" },
      { "if-modified-since": modified },
    ]) {
      const read = await get("cached", headers);
      expect(read.status).toBe(304);
      expect(read.headers.get("etag")).toBe(etag);
      expect(await read.text()).toBe("");
    }
    const earlier = "Mon, 01 Jan 2024 00:00:00 GMT";
    expect((await get("cached", { "if-none-match": '"other"', "if-modified-since": modified })).status).toBe(
      200,
    );
    expect((await get("cached", { "if-modified-since": earlier })).status).toBe(200);
    expect((await get("cached", { "if-match": '"other"' })).status).toBe(412);
    expect((await get("cached", { "if-unmodified-since": earlier })).status).toBe(412);
  });

  test("If-Range honours a range for the version it names only", async () => {
    const { etag } = (await (await put("if-range", "0123456789")).json()) as { etag: string };
    const read = async (if_range: string) =>
      (await get("if-range", { range: "bytes=0-1", "if-range": if_range })).status;
    expect(await read(etag)).toBe(206);
    expect(await read('"other"')).toBe(200);
    expect(await read(`W/${etag}`)).toBe(200);
    expect(await read("Mon, 23 Nov 2026 11:00:00 GMT")).toBe(200);
  });

  test("a read is one version while others replace the object", async () => {
    const versions = [1, 2].map((it) => new Uint8Array(400_000 + it).fill(it));
    await put("torn", versions[0] as Uint8Array<ArrayBuffer>);
    let writing = true;
    const write = async () => {
      for (let i = 0; i < 40; i++) await put("torn", versions[i % 2] as Uint8Array<ArrayBuffer>);
      writing = false;
    };
    let reads = 0;
    const read = async () => {
      for (; writing; reads++) {
        const bytes = new Uint8Array(await (await get("torn")).arrayBuffer());
        const version = bytes[0] as number;
        expect(bytes.length).toBe(400_000 + version);
        expect(bytes.every((it) => it === version)).toBe(true);
      }
    };
    await Promise.all([write(), read(), read(), read()]);
    expect(reads).toBeGreaterThan(0);
  });

  test("other methods on a read are 405", async () => {
    const refused = await send("get", "a/new", { method: "POST", body: "x" });
    expect(refused.status).toBe(405);
    expect(refused.headers.get("allow")).toBe("GET, HEAD");
  });
});
