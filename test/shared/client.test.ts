import { afterAll, describe, expect, test } from "bun:test";
import { createServer } from "node:net";
import { createHttpClient } from "../../src/shared/client.ts";

const TIMEOUT_MS = 300;
const MANY = 20;

/** Ways a neighbour may answer, by path. */
const server = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  async fetch(request) {
    const { pathname, search } = new URL(request.url);
    if (pathname === "/echo") return Response.json({ search, length: (await request.bytes()).byteLength });
    if (pathname === "/silent") await new Promise(() => {});
    if (pathname === "/long-work") await Bun.sleep(TIMEOUT_MS * 3);
    if (pathname === "/health" || pathname === "/long-work") return Response.json({ status: "ok" });
    if (pathname === "/slow-body" || pathname === "/stuck-body")
      return new Response(slowly(pathname === "/stuck-body"));
    if (pathname === "/broken") return new Response("not JSON");
    if (pathname === "/moved") return Response.redirect("/echo");
    if (pathname === "/busy")
      return problem(429, { code: "queue_full", detail: "Full.", queue: 7 }, { "retry-after": "3" });
    if (pathname === "/unauthenticated")
      return problem(401, { code: "unauthenticated", detail: "The key is not known here." });
    return new Response("<html>", { status: 503 });
  },
});
afterAll(() => server.stop(true));

function problem(status: number, members: object, headers: Record<string, string> = {}): Response {
  return Response.json(members, { status, headers });
}

/** Takes well over the client's deadline as a whole, or stops for good after its first byte. */
function slowly(sticks: boolean): ReadableStream<Uint8Array> {
  let sent = 0;
  return new ReadableStream({
    async pull(controller) {
      if (sticks && sent > 0) await new Promise(() => {});
      if (sent > 0) await Bun.sleep(TIMEOUT_MS / 10);
      controller.enqueue(Buffer.from(sent === 0 ? "[1" : ",1"));
      if (++sent < MANY) return;
      controller.enqueue(Buffer.from("]"));
      controller.close();
    },
  });
}

const clientOf = (base_url: string) =>
  createHttpClient({ service: "neighbour", base_url, service_token: "lhs_x", timeout_ms: TIMEOUT_MS });
const client = clientOf(`http://127.0.0.1:${server.port}`);

describe("a neighbour's client", () => {
  test("sends a query as it is", async () => {
    const query = { a: "x&y=z#é +%", b: 0, c: false, d: undefined };
    const { search } = await client.json<{ search: string }>("/echo", { query });
    expect(Object.fromEntries(new URLSearchParams(search))).toEqual({ a: "x&y=z#é +%", b: "0", c: "false" });
  });

  test("gives up on a neighbour that does not answer, or stops within JSON", async () => {
    await expect(client.call("/silent")).rejects.toMatchObject({ code: "deadline" });
    await expect(client.json("/stuck-body")).rejects.toMatchObject({ code: "deadline" });
  });

  test("waits for long work as long as it may take, but not for a neighbour that hangs", async () => {
    const long_ms = 3_600_000;
    expect(await client.json("/long-work", { timeout_ms: long_ms })).toEqual({ status: "ok" });
    const hanging = createServer(() => {}).listen(0, "127.0.0.1");
    await new Promise((resolve) => hanging.once("listening", resolve));
    const { port } = hanging.address() as { port: number };
    await expect(
      clientOf(`http://127.0.0.1:${port}`).json("/long-work", { timeout_ms: long_ms }),
    ).rejects.toMatchObject({ code: "deadline" });
    hanging.close();
  });

  test("reads a body for as long as it takes", async () => {
    const response = await client.call("/slow-body");
    expect(await response.json()).toHaveLength(MANY);
  });

  test("sends a body for as long as it takes", async () => {
    const { length } = await client.json<{ length: number }>("/echo", { method: "PUT", body: slowly(false) });
    expect(length).toBe(2 * MANY + 1);
    await expect(client.json("/echo", { method: "PUT", body: slowly(true) })).rejects.toMatchObject({
      code: "deadline",
    });
  });

  test("tells a neighbour's error with all it said", async () => {
    await expect(client.call("/busy")).rejects.toMatchObject({
      code: "queue_full",
      message: "Full.",
      details: { queue: 7, retry_after_s: 3 },
    });
    await expect(client.call("/other")).rejects.toMatchObject({ code: "unavailable" });
    expect((await client.call("/busy", { accept: [429] })).status).toBe(429);
  });

  test("does not pass its own refused key on as the caller's", async () => {
    await expect(client.call("/unauthenticated")).rejects.toMatchObject({ code: "unavailable" });
  });

  test("follows no redirect, which could carry its token elsewhere", async () => {
    await expect(client.call("/moved")).rejects.toMatchObject({ name: "LakeError" });
  });

  test("tells an answer that is no JSON, a closed port and a cut connection as unreachable", async () => {
    await expect(client.json("/broken")).rejects.toMatchObject({ code: "unreachable" });
    const cutting = createServer((socket) => socket.destroy()).listen(0, "127.0.0.1");
    await new Promise((resolve) => cutting.once("listening", resolve));
    const { port } = cutting.address() as { port: number };
    await expect(clientOf(`http://127.0.0.1:${port}`).call("/")).rejects.toMatchObject({
      code: "unreachable",
    });
    await new Promise((resolve) => cutting.close(resolve));
    await expect(clientOf(`http://127.0.0.1:${port}`).call("/")).rejects.toMatchObject({
      code: "unreachable",
    });
  });

  test("stops when its caller does, with the caller's reason", async () => {
    const reason = new Error("the caller is gone");
    const stop = new AbortController();
    const answer = client.call("/silent", { signal: stop.signal });
    stop.abort(reason);
    await expect(answer).rejects.toBe(reason);
  });
});
