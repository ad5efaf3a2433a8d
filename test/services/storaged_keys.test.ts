import { beforeAll, describe, expect, test } from "bun:test";
import { decodeKey, encodeKey } from "../../src/services/storaged/keys.ts";
import { inBothCompositions, type RunningHouse } from "../support/house.ts";
import { RawClient } from "../support/raw_http.ts";

/** What follows the verb's slash, as bytes, and the key it is; undefined where it is none. */
const TARGETS: [target: string, key: string | undefined][] = [
  ["plain", "plain"],
  ["a/b.c/d-e_f~", "a/b.c/d-e_f~"],
  ["caf%C3%A9", "café"],
  ["caf\xc3\xa9", "café"],
  ["e%cc%81", "e\u0301"],
  ["%EF%BB%BFbom", "\ufeffbom"],
  ["a%20b+c", "a b+c"],
  ["a%2Fb", "a/b"],
  ["%3Fq%23h", "?q#h"],
  ["once?query=dropped", "once"],
  ["%252e%252e/%2525", "%2e%2e/%25"],
  ["...", "..."],
  [".hidden/..x/x..", ".hidden/..x/x.."],
  ["%0A%01%7F", "\n\u0001\u007f"],
  ["x".repeat(1024), "x".repeat(1024)],
  ["%C3%A9".repeat(512), "é".repeat(512)],
  ["", undefined],
  ["/a", undefined],
  ["%2Fa", undefined],
  ["a//b", undefined],
  ["a/", undefined],
  ["a%2F", undefined],
  ["a/..%2Fb", undefined],
  ["..%2Fetc%2Fpasswd", undefined],
  ["%2e%2e%2fetc", undefined],
  ["a%2F.%2Fb", undefined],
  ["a%5Cb", undefined],
  ["a%00b", undefined],
  ["%", undefined],
  ["a%4", undefined],
  ["a%zzb", undefined],
  ["%u0041", undefined],
  ["%FF", undefined],
  ["%C3", undefined],
  ["%C3%28", undefined],
  ["%C0%AF", undefined],
  ["%E0%80%AE", undefined],
  ["%ED%A0%80", undefined],
  ["%F4%90%80%80", undefined],
  ["\xff", undefined],
  ["%EF%BF%BD", undefined],
  ["x".repeat(1025), undefined],
  [`${"%C3%A9".repeat(512)}x`, undefined],
];

inBothCompositions("the key in a URL", (start) => {
  let house: RunningHouse;
  let client: RawClient;
  beforeAll(async () => {
    house = await start();
    client = new RawClient(house.url);
  });
  const send = (method: string, verb: string, target: string) =>
    client.send(method, Buffer.from(`/v1/storage/${verb}/${target}`, "latin1"), method === "PUT" ? "x" : "");
  const shown = (target: string) => JSON.stringify(target.length > 40 ? `${target.slice(0, 40)}…` : target);

  for (const [target, key] of TARGETS)
    test(`${shown(target)} is ${key === undefined ? "none: 400" : "decoded once"}`, async () => {
      const put = await send("PUT", "put", target);
      const answer = JSON.parse(put.body.toString()) as { key?: string; code?: string };
      expect([put.status, answer.key, answer.code]).toEqual(
        key === undefined ? [400, undefined, "invalid"] : [201, key, undefined],
      );
      expect((await send("GET", "get", target)).status).toBe(key === undefined ? 400 : 200);
      expect((await send("DELETE", "delete", target)).status).toBe(key === undefined ? 400 : 204);
    });

  test("dot segments that the URL's parser resolves are the path that results", async () => {
    const put = await send("PUT", "put", "a/../b/%2e/%2E%2e/c");
    expect(JSON.parse(put.body.toString()).key).toBe("c");
    expect((await send("PUT", "put", "../../../../etc/passwd")).status).toBe(404);
    expect((await send("PUT", "put", "../list")).status).toBe(405);
  });
});

describe("a key's encoding", () => {
  test("is undone by decoding", () => {
    for (const [, key] of TARGETS) if (key !== undefined) expect(decodeKey(encodeKey(key))).toBe(key);
  });
});
