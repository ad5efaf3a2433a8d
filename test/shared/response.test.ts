import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { WireError } from "../../src/shared/http1/head.ts";
import { type ResponseHead, ResponseReader } from "../../src/shared/http1/response.ts";

interface Read {
  head?: ResponseHead;
  body: string;
  is_reusable?: boolean;
}

function read(chunks: readonly string[], { is_head_request = false, closes = false } = {}): Read {
  const reader = new ResponseReader();
  const found: Read = { body: "" };
  reader.expect(
    {
      head: (head) => {
        found.head = head;
      },
      body: (bytes) => {
        found.body += Buffer.from(bytes).toString("latin1");
      },
      end: (is_reusable) => {
        found.is_reusable = is_reusable;
      },
    },
    is_head_request,
  );
  for (const chunk of chunks) reader.feed(Buffer.from(chunk, "latin1"));
  if (closes) reader.close();
  return found;
}

const counted = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: b\r\n\r\nhello";
const chunked =
  "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;ext=1\r\nhello\r\n6\r\n world\r\n0\r\nTrailer: x\r\n\r\n";
const interim = `HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n${counted}`;

describe("a response", () => {
  test("is the same however its bytes are split", () => {
    for (const [text, body] of [
      [counted, "hello"],
      [chunked, "hello world"],
      [interim, "hello"],
    ] as const)
      fc.assert(
        fc.property(fc.array(fc.nat(text.length), { maxLength: 12 }), (cuts) => {
          const at = [0, ...cuts.sort((a, b) => a - b), text.length];
          const chunks = at.slice(1).map((end, index) => text.slice(at[index], end));
          const found = read(chunks);
          expect(found).toMatchObject({ body, is_reusable: true });
          expect(found.head?.status).toBe(200);
        }),
      );
  });

  test("keeps its own headers, and not the connection's", () => {
    const found = read([
      "HTTP/1.1 200 OK\r\nConnection: keep-alive, X-Private\r\nKeep-Alive: timeout=5\r\nX-Private: 1\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nContent-Length: 0\r\n\r\n",
    ]);
    expect(found.head?.headers).toEqual([
      ["set-cookie", "a=1"],
      ["set-cookie", "b=2"],
    ]);
  });

  test("is known again by all of its head but the request's id", () => {
    const answer = (id: string, body: string) =>
      read([
        `HTTP/1.1 200 OK\r\nX-Other: 1\r\nx-request-id: ${id}\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
      ]);
    // Ids that look like lengths, and lengths that share digits with ids: only the id's own line is left out.
    for (const [id, body] of [
      ["1", "a".repeat(15)],
      ["15", "b".repeat(15)],
      ["5", "c".repeat(1)],
      ["1", "d".repeat(5)],
      ["Content-Length: 5", "e".repeat(51)],
    ] as const) {
      const found = answer(id, body);
      expect(found).toMatchObject({ body, is_reusable: true });
      expect(found.head?.headers).toEqual([["x-other", "1"]]);
    }
    expect(answer("a", "same").head?.template).toBe(answer("b", "same").head?.template as Headers);
  });

  test("without a body ends at its head", () => {
    const head = "Content-Length: 10\r\n\r\n";
    expect(read([`HTTP/1.1 200 OK\r\n${head}`], { is_head_request: true })).toMatchObject({
      body: "",
      is_reusable: true,
      head: { headers: [["content-length", "10"]] },
    });
    for (const status of ["204 No Content", "304 Not Modified"])
      expect(read([`HTTP/1.1 ${status}\r\n\r\n`])).toMatchObject({ body: "", is_reusable: true });
  });

  test("of unknown length ends with its connection, which is not used again", () => {
    const found = read(["HTTP/1.1 200 OK\r\n\r\nhel", "lo"], { closes: true });
    expect(found).toMatchObject({ body: "hello", is_reusable: false });
  });

  test("whose connection is to close is the last on it", () => {
    for (const head of [
      "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
      "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
    ])
      expect(read([head]).is_reusable).toBe(false);
  });

  test("that is cut is refused", () => {
    for (const text of [counted, chunked])
      for (let end = 0; end < text.length; end++)
        expect(() => read([text.slice(0, end)], { closes: true })).toThrow(WireError);
  });

  test("that is malformed is refused", () => {
    for (const text of [
      "HTTP/2 200\r\n\r\n",
      "SSH-2.0-OpenSSH\r\n\r\n",
      "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
      "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
      "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n",
      `${counted}HTTP/1.1 200 OK\r\n`,
      `HTTP/1.1 200 OK\r\nX: ${"a".repeat(70_000)}`,
    ])
      expect(() => read([text])).toThrow(WireError);
  });
});
