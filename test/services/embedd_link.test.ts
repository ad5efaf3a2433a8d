/** A Worker that dies or can't start: whoever asked is told, and the next question finds a new one. */
import { afterEach, expect, test } from "bun:test";
import { resolve } from "node:path";
import { Link } from "../../src/services/embedd/link.ts";
import { LakeError } from "../../src/shared/errors.ts";

const entry = resolve(import.meta.dir, "../support/dying_worker.ts");
const links: Link[] = [];
afterEach(() => {
  for (const link of links.splice(0)) link.close();
});

function start(broken: boolean): Link {
  const link = new Link({ title: "The Worker", entry, settings: { broken } });
  links.push(link);
  return link;
}

test("a Worker's death fails what it was asked, and nothing after", async () => {
  const link = start(false);
  expect(await link.ask<string>({ text: "hello" })).toBe("hello");
  const asked = await Promise.allSettled([link.ask({ text: "silence" }), link.ask({ text: "die" })]);
  const told = new LakeError("unavailable", "The Worker can't be used: it ended.");
  expect(asked).toEqual([
    { status: "rejected", reason: told },
    { status: "rejected", reason: told },
  ]);
  expect(link.fault).toBe("The Worker can't be used: it ended.");
  expect(await link.ask<string>({ text: "again" })).toBe("again");
  expect(link.fault).toBeUndefined();
});

test("a Worker that died is soon ready again, whether or not anyone asks", async () => {
  const link = start(false);
  await expect(link.ask({ text: "die" })).rejects.toThrow("it ended");
  expect(link.fault).toBeDefined();
  while (link.fault !== undefined) await Bun.sleep(10);
  expect(await link.ask<string>({ text: "hello" })).toBe("hello");
});

test("a Worker that can't start says why, each time", async () => {
  const link = start(true);
  for (const _ of [1, 2])
    await expect(link.ask({ text: "silence" })).rejects.toThrow("The Worker can't be used: it is broken.");
});

test("whoever stops waiting is let go", async () => {
  const link = start(false);
  const abort = new AbortController();
  const asked = link.ask({ text: "silence" }, abort.signal);
  abort.abort(new Error("enough"));
  await expect(asked).rejects.toThrow("enough");
  await expect(link.ask({ text: "x" }, abort.signal)).rejects.toThrow("enough");
});
