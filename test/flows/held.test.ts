/** Large bodies at once: what is held of them has a bound, a refusal says so, and what is held is given back. */
import { expect, test } from "bun:test";
import { connect, type Socket } from "node:net";
import { inBothCompositions } from "../support/house.ts";
import { vectorsAt } from "../support/vectors.ts";

const MIB = 1024 * 1024;
const LIMITS = {
  LAKEHOUSE_MAX_JSON_BYTES: String(MIB),
  LAKEHOUSE_VECTORD_MAX_BODY_BYTES: String(MIB),
  LAKEHOUSE_PATHWAYD_MAX_IMPORT_BYTES: String(MIB),
  LAKEHOUSE_MAX_HELD_BYTES: String(MIB),
};
const LINE = `${JSON.stringify({ id: "x", vector: [1, 2] })}\n`;
const LARGE = LINE.padEnd(600_000, "\n");

/** A request whose body comes when told. */
class Sender {
  readonly #socket: Socket;
  #received = "";

  constructor(url: string, path: string, framing: string, type = "application/x-ndjson") {
    const { hostname, port } = new URL(url);
    this.#socket = connect(Number(port), hostname);
    this.#socket.on("data", (data) => {
      this.#received += data.toString();
    });
    this.#socket.on("error", () => {}); // of what is sent after the answer
    const head = [`POST /v1${path} HTTP/1.1`, `Host: ${hostname}:${port}`, `Content-Type: ${type}`, framing];
    this.#socket.write(`${head.join("\r\n")}\r\n\r\n`);
  }

  send(text: string): void {
    this.#socket.write(text);
  }

  /** The whole answer, once there is one. */
  async answer(): Promise<string> {
    while (!this.#received.includes("\r\n\r\n")) await Bun.sleep(2);
    return this.#received;
  }

  end(): void {
    this.#socket.destroy();
  }
}

inBothCompositions("bodies", (start) => {
  const heldBy = async (url: string) => {
    const text = await (await fetch(`${url}/metrics`)).text();
    return Number(/^lakehouse_held_bytes (\d+)$/m.exec(text)?.[1]);
  };
  const until = async (url: string, is: (held: number) => boolean) => {
    while (!is(await heldBy(url))) await Bun.sleep(5);
  };
  const declared = `Content-Length: ${LARGE.length}`;
  const chunk = (text: string) => `${text.length.toString(16)}\r\n${text}\r\n`;

  test("past what may be held are refused with 429, and taken once there is room", async () => {
    const house = await start(LIMITS);
    const calls = vectorsAt(house.url);
    const holder = house.service_urls.vectord ?? house.url;
    await calls.create("a", 2);
    const send = (body: string) =>
      calls.send<{ detail: string }>("POST", "/a/add", body, "application/x-ndjson");

    for (const framing of [declared, "Transfer-Encoding: chunked"]) {
      const is_chunked = framing !== declared;
      const first = new Sender(house.url, "/vectors/index/a/add", framing);
      first.send(is_chunked ? chunk(LARGE) : LARGE.slice(0, -10));
      await until(holder, (held) => held > 500_000);

      const refused = await send(LARGE);
      expect(refused.status).toBe(429);
      expect(refused.body.detail).toContain("max_held_bytes");
      const chunked = new Sender(house.url, "/vectors/index/a/add", "Transfer-Encoding: chunked");
      chunked.send(chunk(LARGE));
      const answer = await chunked.answer();
      expect(answer).toStartWith("HTTP/1.1 429");
      expect(answer.toLowerCase()).toContain("\r\nretry-after: 1\r\n");
      chunked.end();
      const json = await fetch(`${house.url}/v1/vectors/index/a/search`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ vector: [1, 2] }).padEnd(600_000),
      });
      expect(json.status).toBe(429);
      expect((await calls.search("a", { vector: [1, 2] })).results.length).toBeLessThan(2);

      first.send(is_chunked ? "0\r\n\r\n" : LARGE.slice(-10));
      expect(await first.answer()).toStartWith("HTTP/1.1 200");
      first.end();
      await until(holder, (held) => held === 0);
      expect((await send(LARGE)).status).toBe(200);
    }
  }, 30_000);

  test("of a sender that goes away are given back, and nothing of them is stored", async () => {
    const house = await start(LIMITS);
    const calls = vectorsAt(house.url);
    const holder = house.service_urls.vectord ?? house.url;
    await calls.create("a", 2);
    for (const framing of [declared, "Transfer-Encoding: chunked"]) {
      const gone = new Sender(house.url, "/vectors/index/a/add", framing);
      gone.send(framing === declared ? LARGE.slice(0, 300_000) : chunk(LARGE));
      await until(holder, (held) => held > 500_000);
      gone.end();
      await until(holder, (held) => held === 0);
      expect((await calls.info("a")).items).toBe(0);
    }
    const searching = new Sender(house.url, "/vectors/index/a/search", declared, "application/json");
    searching.send("{");
    await until(holder, (held) => held > 500_000);
    searching.end();
    await until(holder, (held) => held === 0);
  }, 30_000);
});
