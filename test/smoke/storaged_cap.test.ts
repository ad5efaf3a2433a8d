import { expect, test } from "bun:test";
import { join } from "node:path";
import { inBothCompositionsOfProcesses } from "../support/processes.ts";
import { treeOf } from "../support/tree.ts";

const CAP_BYTES = 100_000;

inBothCompositionsOfProcesses("storaged_cap: a body past the cap", (start) => {
  test("is 413, declared or in chunks, and leaves nothing", async () => {
    const lake = await start({ LAKEHOUSE_STORAGED_MAX_OBJECT_BYTES: String(CAP_BYTES) });
    const put = (body: BodyInit) => fetch(`${lake.url}/v1/storage/put/cap/object`, { method: "PUT", body });
    const before = treeOf(join(lake.data_dir, "storage"));
    for (const body of [new Uint8Array(CAP_BYTES + 1), inChunks(CAP_BYTES + 1)]) {
      const refused = await put(body);
      expect(refused.status).toBe(413);
      expect(refused.headers.get("content-type")).toBe("application/problem+json");
      expect(await refused.json()).toMatchObject({ code: "too_large", max_bytes: CAP_BYTES });
      expect(treeOf(join(lake.data_dir, "storage"))).toEqual(before);
    }
    expect((await put(new Uint8Array(CAP_BYTES))).status).toBe(201);
    expect((await put(inChunks(CAP_BYTES))).status).toBe(200);
  }, 60_000);
});

function inChunks(bytes: number): ReadableStream<Uint8Array> {
  let left = bytes;
  return new ReadableStream({
    pull(controller) {
      const size = Math.min(left, 10_000);
      left -= size;
      controller.enqueue(new Uint8Array(size));
      if (left === 0) controller.close();
    },
  });
}
