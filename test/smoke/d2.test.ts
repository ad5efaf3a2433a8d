import { expect, test } from "bun:test";
import { inBothCompositionsOfProcesses } from "../support/processes.ts";

inBothCompositionsOfProcesses("d2: storage put, get, list, delete", (start) => {
  test("keeps an object over a restart, lists it and lets it go", async () => {
    const lake = await start();
    const at = (path: string) => `${lake.url}/v1/storage/${path}`;

    const put = await fetch(at("put/smoke/d2.txt"), { method: "PUT", body: "first light" });
    expect(put.status).toBe(201);
    const stored = (await put.json()) as { key: string; size: number; etag: string; sha256: string };
    expect(stored).toMatchObject({ key: "smoke/d2.txt", size: 11 });
    expect(stored.sha256).toBe(new Bun.CryptoHasher("sha256").update("first light").digest("hex"));

    await lake.restart(lake.targetOf("storaged"));

    const got = await fetch(at("get/smoke/d2.txt"));
    expect(await got.text()).toBe("first light");
    expect(got.headers.get("etag")).toBe(stored.etag);

    const list = (await (await fetch(at("list?prefix=smoke/"))).json()) as { objects: { key: string }[] };
    expect(list.objects.map((it) => it.key)).toEqual(["smoke/d2.txt"]);

    expect((await fetch(at("delete/smoke/d2.txt"), { method: "DELETE" })).status).toBe(204);
    expect((await fetch(at("get/smoke/d2.txt"))).status).toBe(404);
    expect((await fetch(at("delete/smoke/d2.txt"), { method: "DELETE" })).status).toBe(204);
  }, 60_000);
});
