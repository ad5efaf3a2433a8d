import { afterAll, afterEach, describe, expect, test } from "bun:test";
import { connect } from "node:net";
import { type Fronted, gatewayBefore, type RawUpstream, rawUpstream, until } from "../support/upstream.ts";

const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const PATH = "/v1/observer/x";
const opened: { stop(): unknown }[] = [];
const keep = <T extends { stop(): unknown }>(it: T): T => {
  opened.push(it);
  return it;
};

/** A gateway before an upstream that answers what it is told to. */
async function front(
  answer: Parameters<typeof rawUpstream>[0],
  env?: Record<string, string>,
): Promise<{ upstream: RawUpstream; gateway: Fronted }> {
  const upstream = keep(await rawUpstream(answer));
  return { upstream, gateway: keep(await gatewayBefore(upstream.url, env)) };
}

/** A gateway before a Bun server. */
async function frontOf(fetch: (request: Request) => Response | Promise<Response>): Promise<Fronted> {
  const server = Bun.serve({ hostname: "127.0.0.1", port: 0, development: false, fetch });
  opened.push({ stop: () => server.stop(true) });
  return keep(await gatewayBefore(`http://127.0.0.1:${server.port}`));
}

async function problemOf(response: Response): Promise<{ status: number; code: string }> {
  expect(response.headers.get("content-type")).toBe("application/problem+json");
  const { status, code } = (await response.json()) as { status: number; code: string };
  expect(response.status).toBe(status);
  return { status, code };
}

/** Sends bytes as they are. @returns all that comes back until the server closes or `ms` have passed */
function raw(url: string, text: string, ms = 300): Promise<string> {
  return new Promise((resolve) => {
    let back = "";
    const socket = connect(Number(new URL(url).port), "127.0.0.1", () => socket.write(text));
    socket.on("data", (chunk) => {
      back += chunk.toString("latin1");
    });
    socket.on("error", () => {}); // a reset shows as what has come until then
    const timer = setTimeout(() => socket.destroy(), ms);
    socket.on("close", () => {
      clearTimeout(timer);
      resolve(back);
    });
  });
}

afterEach(async () => {
  for (const it of opened.splice(0).reverse()) await it.stop();
});

describe("headers", () => {
  test("reach the service without the connection's, with where they came from", async () => {
    const { upstream, gateway } = await front((socket) => socket.write(OK));
    const { host } = new URL(gateway.url);
    await raw(
      gateway.url,
      `GET ${PATH}?a=1 HTTP/1.1\r\nHost: ${host}\r\nConnection: keep-alive, X-Private\r\nX-Private: 1\r\nKeep-Alive: timeout=5\r\nTE: trailers\r\nProxy-Authorization: secret\r\nUpgrade: h2c\r\nX-Forwarded-For: 10.1.2.3\r\nX-Request-Id: mine-1\r\nAccept: text/csv\r\n\r\n`,
    );
    const [line, ...lines] = (upstream.received[0] as string).split("\r\n").filter((it) => it !== "");
    expect(line).toBe("GET /observer/x?a=1 HTTP/1.1");
    expect(lines.sort()).toEqual([
      "accept: text/csv",
      `host: ${new URL(upstream.url).host}`,
      "x-forwarded-for: 10.1.2.3, 127.0.0.1",
      `x-forwarded-host: ${host}`,
      "x-forwarded-proto: http",
      "x-request-id: mine-1",
    ]);
  });

  test("come back with the id of their own request, also where heads are alike and bodies come later", async () => {
    const { gateway } = await front((socket) => {
      socket.write("HTTP/1.1 200 OK\r\nX-Same: 1\r\nContent-Length: 2\r\n\r\no");
      setTimeout(() => socket.write("k"), 10);
    });
    const ids = Array.from({ length: 30 }, (_, at) => `own-${at}`);
    const answers = ids.map(async (id) => {
      const response = await fetch(gateway.url + PATH, { headers: { "x-request-id": id } });
      return [await response.text(), response.headers.get("x-request-id"), response.headers.get("x-same")];
    });
    expect(await Promise.all(answers)).toEqual(ids.map((id) => ["ok", id, "1"]));
  });

  test("come back without the connection's, each cookie on its own", async () => {
    const { gateway } = await front((socket) =>
      socket.write(
        "HTTP/1.1 200 OK\r\nConnection: X-Private\r\nX-Private: 1\r\nKeep-Alive: timeout=5\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nX-Kept: yes\r\nContent-Length: 2\r\n\r\nok",
      ),
    );
    const response = await fetch(gateway.url + PATH);
    expect(response.headers.get("x-private")).toBeNull();
    expect(response.headers.get("keep-alive")).toBeNull();
    expect(response.headers.getSetCookie()).toEqual(["a=1", "b=2"]);
    expect(response.headers.get("x-kept")).toBe("yes");
    expect(response.headers.get("x-request-id")).toBeString();
  });

  test("two of Host are refused, also where the service is mounted", async () => {
    const { upstream, gateway } = await front((socket) => socket.write(OK));
    const two = "Host: a\r\nHost: b\r\nConnection: close\r\n\r\n";
    for (const path of [PATH, "/health"])
      expect(await raw(gateway.url, `GET ${path} HTTP/1.1\r\n${two}`)).toStartWith("HTTP/1.1 400 ");
    expect(upstream.received.filter((it) => it.includes("/observer/x"))).toEqual([]);
  });
});

describe("bodies", () => {
  test("of every size arrive as they were sent, both ways", async () => {
    const gateway = await frontOf(
      (request) =>
        new Response(request.body, {
          headers: { "x-length": request.headers.get("content-length") ?? "none" },
        }),
    );
    for (const size of [0, 1, 65_536, 65_537, 20_000_000]) {
      const bytes = new Uint8Array(size).map((_, at) => (at * 31) % 251);
      const response = await fetch(gateway.url + PATH, { method: "POST", body: bytes });
      expect(response.headers.get("x-length")).toBe(String(size));
      expect(Bun.hash(await response.bytes())).toBe(Bun.hash(bytes));
    }
  });

  test("without a length are streamed, and begin to arrive before they end", async () => {
    const arrived = Promise.withResolvers<void>();
    const gateway = await frontOf(async (request) => {
      let text = "";
      for await (const chunk of request.body as ReadableStream<Uint8Array>) {
        text += new TextDecoder().decode(chunk);
        arrived.resolve();
      }
      return new Response(text);
    });
    const body = new ReadableStream({
      async start(controller) {
        controller.enqueue(new TextEncoder().encode("first "));
        await arrived.promise;
        controller.enqueue(new TextEncoder().encode("second"));
        controller.close();
      },
    });
    const response = await fetch(gateway.url + PATH, { method: "POST", body });
    expect(await response.text()).toBe("first second");
  });

  test("of event streams come event by event", async () => {
    const next = [Promise.withResolvers<void>(), Promise.withResolvers<void>()] as const;
    const gateway = await frontOf(
      () =>
        new Response(
          new ReadableStream({
            async start(controller) {
              for (const [at, { promise }] of next.entries()) {
                controller.enqueue(new TextEncoder().encode(`data: ${at}\n\n`));
                await promise;
              }
              controller.close();
            },
          }),
          { headers: { "content-type": "text/event-stream" } },
        ),
    );
    const response = await fetch(gateway.url + PATH);
    expect(response.headers.get("content-type")).toBe("text/event-stream");
    let text = "";
    for await (const chunk of response.body as ReadableStream<Uint8Array>) {
      text += new TextDecoder().decode(chunk);
      next[text.split("\n\n").length - 2]?.resolve();
    }
    expect(text).toBe("data: 0\n\ndata: 1\n\n");
  });

  test("that are compressed stay compressed", async () => {
    const packed = Bun.gzipSync("hello ".repeat(100));
    const gateway = await frontOf(
      () => new Response(packed, { headers: { "content-encoding": "gzip", "content-type": "text/plain" } }),
    );
    const response = await fetch(gateway.url + PATH, { decompress: false });
    expect(response.headers.get("content-encoding")).toBe("gzip");
    expect(await response.bytes()).toEqual(new Uint8Array(packed));
  });

  test("are left out of answers to HEAD, of 204 and of 304", async () => {
    const { gateway } = await front((socket, text) => {
      if (!text.endsWith("\r\n\r\n")) return;
      const path = text.slice(text.lastIndexOf("/observer/")).split(" ")[0];
      const lines = {
        "/observer/head": "200 OK\r\nContent-Length: 1234",
        "/observer/204": "204 No Content",
        "/observer/304": '304 Not Modified\r\nETag: "x"',
      };
      socket.write(`HTTP/1.1 ${lines[path as keyof typeof lines]}\r\n\r\n`);
    });
    const head = await fetch(`${gateway.url}/v1/observer/head`, { method: "HEAD" });
    expect([head.status, head.headers.get("content-length")]).toEqual([200, "1234"]);
    const none = await fetch(`${gateway.url}/v1/observer/204`);
    expect([none.status, await none.text()]).toEqual([204, ""]);
    const unchanged = await fetch(`${gateway.url}/v1/observer/304`);
    expect([unchanged.status, unchanged.headers.get("etag")]).toEqual([304, '"x"']);
  });

  test("cut by the service are cut for the client, never closed as if whole", async () => {
    const { gateway } = await front((socket) => {
      socket.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
      setTimeout(() => socket.destroy(), 30);
    });
    const host = new URL(gateway.url).host;
    const back = await raw(gateway.url, `GET ${PATH} HTTP/1.1\r\nHost: ${host}\r\n\r\n`, 2000);
    expect(back).toContain("hello");
    expect(back).not.toContain("\r\n0\r\n");
  });

  test("redirects are the client's to follow", async () => {
    const { gateway } = await front((socket) =>
      socket.write("HTTP/1.1 307 Temporary Redirect\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n"),
    );
    const response = await fetch(gateway.url + PATH, { redirect: "manual" });
    expect([response.status, response.headers.get("location")]).toEqual([307, "/elsewhere"]);
  });
});

describe("a service that fails", () => {
  test("is 502 when nothing listens", async () => {
    const gateway = keep(await gatewayBefore("http://127.0.0.1:1"));
    expect(await problemOf(await fetch(gateway.url + PATH))).toEqual({ status: 502, code: "unreachable" });
  });

  test("is 502 when it closes without an answer, or answers what is no HTTP", async () => {
    for (const answer of [
      "",
      "SSH-2.0-OpenSSH_9.2\r\n\r\n",
      "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf",
    ]) {
      const { gateway } = await front((socket) => socket.end(answer));
      expect(await problemOf(await fetch(gateway.url + PATH))).toEqual({ status: 502, code: "unreachable" });
    }
  });

  test("is 504 when no answer begins in time, and its connection is closed", async () => {
    const { upstream, gateway } = await front(() => {}, { LAKEHOUSE_GATEWAY_TIMEOUT_MS: "80" });
    expect(await problemOf(await fetch(gateway.url + PATH))).toEqual({ status: 504, code: "deadline" });
    await until(() => upstream.closed === 1, "the upstream's connection closed");
  });

  test("is not sent a POST twice, whatever becomes of the connection", async () => {
    const { upstream, gateway } = await front((socket, text) => {
      if ((text.match(/HTTP\/1\.1/g) ?? []).length === 1) socket.write(OK);
      else socket.destroy();
    });
    const post = () => fetch(gateway.url + PATH, { method: "POST", body: "x" });
    expect((await post()).status).toBe(200);
    expect((await post()).status).toBe(502);
    expect(upstream.received.length).toBe(1);
  });

  test("is asked again by GET, when a kept connection turns out to be closed", async () => {
    const { upstream, gateway } = await front((socket, text, connection) => {
      if (connection > 0 || (text.match(/HTTP\/1\.1/g) ?? []).length === 1) socket.write(OK);
      else socket.destroy();
    });
    expect((await fetch(gateway.url + PATH)).status).toBe(200);
    expect((await fetch(gateway.url + PATH)).status).toBe(200);
    expect(upstream.received.length).toBe(2);
  });

  test("may answer before it has read the body", async () => {
    const answered = new Set<number>();
    const { gateway } = await front((socket, _text, connection) => {
      if (answered.has(connection)) return;
      answered.add(connection);
      socket.write("HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig");
    });
    const response = await fetch(gateway.url + PATH, { method: "POST", body: new Uint8Array(8_000_000) });
    expect([response.status, await response.text()]).toEqual([413, "big"]);
  });
});

describe("a client that goes", () => {
  test("ends a call that waits, one that is answered, and one that is sending", async () => {
    const { upstream, gateway } = await front((socket, text) => {
      if (text.includes("/observer/answering") && !text.includes("wait"))
        socket.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
    });
    const waiting = new AbortController();
    const call = fetch(`${gateway.url}/v1/observer/wait`, { signal: waiting.signal });
    await until(() => upstream.received.length === 1, "the call arrived");
    waiting.abort();
    await expect(call).rejects.toThrow();
    await until(() => upstream.closed === 1, "the waiting call ended");

    const answering = new AbortController();
    const response = await fetch(`${gateway.url}/v1/observer/answering`, { signal: answering.signal });
    const reader = response.body?.getReader();
    await reader?.read();
    answering.abort();
    await until(() => upstream.closed === 2, "the answered call ended");

    const host = new URL(gateway.url).host;
    const head = `POST /v1/observer/wait HTTP/1.1\r\nHost: ${host}\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n`;
    await raw(gateway.url, head, 150);
    await until(() => upstream.closed === 3, "the sending call ended");
    expect(upstream.received[2]).toContain("hello");
    expect(upstream.received[2]).not.toEndWith("0\r\n\r\n");
  });
});

afterAll(() => expect(opened).toEqual([]));
