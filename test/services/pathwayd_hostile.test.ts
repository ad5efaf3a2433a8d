/** pathwayd at the wire, in both compositions: what would break memory later is refused when it comes. */
import { beforeAll, expect, test } from "bun:test";
import { MAX_JSON_DEPTH } from "../../src/shared/depth.ts";
import { inBothCompositions, type RunningHouse } from "../support/house.ts";
import { contentsOf, type PathwayCalls, type PathwayProblem, pathwayAt } from "../support/pathway.ts";

const AT = "2026-01-01T00:00:00.000Z";
const MAX_VERSIONS = 4;
const lists = (depth: number) => "[".repeat(depth) + "]".repeat(depth);

interface Line {
  uid: string;
  predecessor?: string;
  versions: object[];
  uses?: object[];
}
const lineOf = (more: Partial<Line> = {}): Line => {
  const uid = Bun.randomUUIDv7();
  return {
    uid,
    versions: [{ version: 1, at: AT, change: "added", body: { content: `about ${uid}` } }],
    ...more,
  };
};
const ndjson = (...lines: Line[]) => lines.map((it) => JSON.stringify(it)).join("\n");

inBothCompositions("pathwayd, hostilely used", (start) => {
  let house: RunningHouse;
  let calls: PathwayCalls;
  beforeAll(async () => {
    house = await start({ LAKEHOUSE_PATHWAYD_MAX_VERSIONS: `${MAX_VERSIONS}` });
    calls = pathwayAt(house.url);
  });

  test("an import with times that there are not, or that RFC 3339 can't tell, leaves the export whole", async () => {
    const first = (at: string) => [{ version: 1, at, change: "added", body: { content: "when?" } }];
    const late = "9999-12-31T23:59:59-23:59";
    const { imported, errors } = await calls.import(
      ndjson(
        lineOf({ uses: [{ at: "2026-13-01T00:00:00Z" }] }),
        lineOf({ uses: [{ at: "2026-06-15T12:00:60Z", result: "success" }] }),
        lineOf({ uses: [{ at: AT, count: 2 ** 53 }] }),
        lineOf({ versions: first(late) }),
        lineOf({ versions: first("0000-01-01T00:00:00+23:59") }),
      ),
    );
    expect({ imported, lines: errors.map(({ line }) => line) }).toEqual({
      imported: 0,
      lines: [1, 2, 3, 4, 5],
    });
    for (const name of ["valid_from", "valid_to", "expires_at"]) {
      const answer = await calls.send("POST", "add", { content: "when?", [name]: late });
      expect(answer).toMatchObject({ status: 400, body: { code: "invalid" } });
      expect(answer.body.detail).toContain("names no time");
    }
    await calls.add({ content: "still here" });
    expect(await calls.export()).toContain("still here");
  });

  test("a trace at its last version can be ended, leaves, and comes back", async () => {
    const { uid } = await calls.add({ content: "version 1" });
    for (let version = 2; version <= MAX_VERSIONS; version++)
      await calls.update({ uid, content: `version ${version}` });
    expect((await calls.retire({ uid })).version).toBe(MAX_VERSIONS + 1);
    const again = await calls.send<PathwayProblem>("POST", "unretire", { uid });
    expect(again).toMatchObject({ status: 400, body: { code: "resource_limit" } });
    const line = (await calls.export()).split("\n").find((it) => it.includes(uid)) ?? "";
    const other = await start({ LAKEHOUSE_PATHWAYD_MAX_VERSIONS: `${MAX_VERSIONS}` });
    expect(await pathwayAt(other.url).import(line)).toMatchObject({ imported: 1, rejected: 0 });
    const forged = line.replace(`"version":${MAX_VERSIONS + 1}`, `"version":${2 ** 53 - 1}`);
    expect(forged).not.toBe(line);
    const moved = forged.replaceAll(uid, Bun.randomUUIDv7());
    expect(await calls.import(moved)).toMatchObject({ imported: 0, rejected: 1 });
  });

  test("a circle does not close, though its parts come at once", async () => {
    for (let round = 0; round < 10; round++) {
      const [a, b, c] = [Bun.randomUUIDv7(), Bun.randomUUIDv7(), Bun.randomUUIDv7()];
      const part = (uid: string, predecessor: string, successor: string) =>
        lineOf({
          uid,
          predecessor,
          versions: [
            { version: 1, at: AT, change: "revised", body: { content: uid } },
            { version: 2, at: AT, change: "superseded", successor },
          ],
        });
      const made = await Promise.all([
        calls.import(ndjson(part(a, c, b))),
        calls.import(ndjson(part(b, a, c), part(c, b, a))),
      ]);
      expect(made[0].imported + made[1].imported).toBe(2);
    }
  });

  test("of many at once, by a key or a content, one is made, whether or not paraphrases are asked for", async () => {
    const at_once = Array.from({ length: 32 }, (_, n) => n);
    const scope = { run_id: "at once" };
    const similar = (n: number) => (n % 2 === 0 ? {} : { similar_above: 0.9999 });
    const keyed = await Promise.all(
      at_once.map((n) =>
        calls.addIdempotent({ content: `number ${n} of them`, key: "one", scope, ...similar(n) }),
      ),
    );
    expect(keyed.filter((it) => it.created).length).toBe(1);
    const same = await Promise.all(
      at_once.map((n) => calls.addIdempotent({ content: "the very same", scope, ...similar(n) })),
    );
    expect(same.filter((it) => it.created).length).toBe(1);
  });

  test("JSON is taken as deep as it can be handled, and no deeper", async () => {
    const content = (depth: number) => `{"content":${lists(depth)}}`;
    const good = await calls.send<{ uid: string }>("POST", "add", content(MAX_JSON_DEPTH - 1));
    expect(good.status).toBe(201);
    for (const depth of [MAX_JSON_DEPTH, 30_000, 500_000]) {
      const answer = await calls.send("POST", "add", content(depth));
      expect(answer).toMatchObject({ status: 400, body: { code: "invalid" } });
      expect(answer.body.detail).toContain("nested too deeply");
    }
    const strings = JSON.stringify({ content: `${"[{".repeat(1000)}\\"${"[".repeat(1000)}` });
    expect((await calls.send("POST", "add", strings)).status).toBe(201);
    const line = JSON.stringify(lineOf()).replace(/"about [^"]*"/, lists(30_000));
    expect(await calls.import(line)).toMatchObject({ imported: 0, rejected: 1 });
    const item = `{"items":[{"id":"deep","vector":[1],"metadata":{"a":${lists(100_000)}}}]}`;
    await fetch(`${house.url}/v1/vectors/index`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ name: "deep", dimension: 1 }),
    });
    const added = await fetch(`${house.url}/v1/vectors/index/deep/add`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: item,
    });
    expect(added.status).toBe(400);
  });

  test("a text of which the model knows no word is kept, told from others, and found by its words", async () => {
    const scope = { run_id: "no words" };
    const strange = "y".repeat(300);
    await calls.addIdempotent({ content: strange, scope, similar_above: 0.9 });
    await calls.addIdempotent({ content: "\u{1f600}", scope, similar_above: 0.9 });
    await calls.add({ content: "an ordinary sentence", scope });
    expect(contentsOf(await calls.search({ query: strange, scope }))).toEqual([strange]);
    expect(contentsOf(await calls.search({ query: "\u{1f600}", scope }))).toEqual([]);
    await fetch(`${house.url}/v1/matrix/corpora`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ name: "memory", kind: "pathway" }),
    });
    const found = await fetch(`${house.url}/v1/matrix/search`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ query: strange }),
    });
    const { results } = (await found.json()) as { results: { text: string }[] };
    expect(results.map((it) => it.text)).toEqual([strange]);
  });

  test("an audit of long texts about one subject lets others be served meanwhile", async () => {
    const words = (from: number) => Array.from({ length: 4000 }, (_, n) => `w${from + n}`).join(" ");
    const lines = Array.from({ length: 60 }, (_, n) =>
      lineOf({
        versions: [{ version: 1, at: AT, change: "added", body: { content: words(n), subject: "long" } }],
      }),
    );
    expect((await calls.import(ndjson(...lines))).imported).toBe(60);
    let is_over = false;
    const audit = calls.audit().finally(() => {
      is_over = true;
    });
    let served = 0;
    for (; !is_over; served++) await calls.health();
    const { total } = (await audit).contradictions;
    expect(total).toBe((60 * 59) / 2);
    expect(served).toBeGreaterThan(3);
  });
});
