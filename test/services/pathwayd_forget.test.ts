/** Forgetting, and what damage does: no file keeps what is forgotten, and no bad line stops a start or goes unsaid. */
import { afterAll, expect, test } from "bun:test";
import { appendFileSync, existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { serviceToken } from "../../src/shared/keys.ts";
import { compositions, inBothCompositions, startHouse } from "../support/house.ts";
import { contentsOf, pathwayAt } from "../support/pathway.ts";
import { startProcesses } from "../support/processes.ts";
import { contentsBelow } from "../support/tree.ts";
import { seeded } from "../support/vectors.ts";

/** Files that hold a text, in whatever encoding the house writes. */
function filesWith(folder: string, text: string): string[] {
  return [...contentsBelow(folder)].flatMap(([path, bytes]) => (bytes.includes(text) ? [path] : []));
}
const journalOf = (data_dir: string) => join(data_dir, "pathway/traces.jsonl");

inBothCompositions("pathwayd forgets", (start) => {
  test("in no file, no export and no search is anything left, whatever became of the trace", async () => {
    const house = await start({
      LAKEHOUSE_PATHWAYD_SEGMENT_BYTES: "4096",
      LAKEHOUSE_VECTORD_SAVE_AFTER_MS: "1",
    });
    const calls = pathwayAt(house.url);
    const scope = { user_id: "forgetful" };
    const { uid } = await calls.addIdempotent({
      content: "zanzibarine the first",
      scope,
      key: "secretkeyname",
    });
    for (let at = 0; at < 30; at++) await calls.add({ content: `filler ${at} ${"x".repeat(200)}`, scope });
    await calls.update({ uid, content: "zanzibarine the second" });
    await calls.retire({ uid, reason: "zanzibarine was wrong" });
    await calls.unretire({ uid });
    const heir = await calls.revise({ uid, content: "quixotropic the heir" });
    const json = await calls.add({ content: { name: "zanzibarine" }, scope });
    await calls.search({ query: "zanzibarine", scope });
    expect(filesWith(house.data_dir, "zanzibarine").length).toBeGreaterThan(1);

    for (const it of [uid, json.uid])
      expect(await calls.forget({ uid: it })).toMatchObject({ uid: it, pending: [] });
    expect(filesWith(house.data_dir, "zanzibarine")).toEqual([]);
    expect(filesWith(house.data_dir, "zanzibarin")).toEqual([]);
    expect(filesWith(house.data_dir, "secretkeyname")).toEqual([]);
    expect(await calls.export()).not.toContain("zanzibarine");
    for (const query of [{ query: "zanzibarine" }, {}, { as_of: new Date().toISOString() }])
      expect(
        contentsOf(await calls.search({ ...query, scope, include_superseded: true })).join(),
      ).not.toContain("zanz");
    const gone = await calls.send("GET", `get/${uid}`);
    expect(gone.status).toBe(404);
    expect(gone.body).toMatchObject({ uid, state: "forgotten" });
    expect((await calls.send("POST", "forget", { uid })).status).toBe(404);
    const { chain, forgotten } = await calls.history(heir.uid);
    expect(chain.map((it) => it.uid)).toEqual([heir.uid]);
    expect(forgotten.map((it) => it.uid)).toEqual([uid]);

    await house.stop();
    expect(filesWith(house.data_dir, "zanzibarine")).toEqual([]);
    const again = await start({}, house.data_dir);
    const after = pathwayAt(again.url);
    expect(await after.health()).toMatchObject({
      status: "ok",
      erasing: 0,
      journal: { corrupt: 0, gaps: 0, orphans: 0 },
    });
    expect((await after.send("GET", `get/${uid}`)).status).toBe(404);
    expect(await after.get(heir.uid)).toMatchObject({ content: "quixotropic the heir", predecessor: uid });
    await after.forget({ uid: heir.uid });
    expect(filesWith(house.data_dir, "quixotropic")).toEqual([]);
    expect((await after.stats()).traces).toBe(30);
    await again.stop();
  });

  test("an export comes back whole, once, and what was forgotten stays so", async () => {
    const house = await start();
    const calls = pathwayAt(house.url);
    const scope = { user_id: "moving" };
    const first = await calls.add({
      content: "one",
      tags: ["a"],
      scope,
      outcome: { result: "success", score: 1 },
    });
    await calls.update({ uid: first.uid, content: "two" });
    const second = await calls.revise({ uid: first.uid, content: "three" });
    await calls.retire({ uid: second.uid, reason: "over" });
    const keyed = await calls.addIdempotent({ content: "four", key: "k", scope });
    await calls.addIdempotent({ content: "four", key: "k", scope });
    const lines = await calls.export();
    const told = await Promise.all([first, second, keyed].map(({ uid }) => calls.history(uid)));

    const other = pathwayAt((await start()).url);
    const taken = await other.import(lines);
    expect(taken).toEqual({ imported: 3, existing: 0, rejected: 0, errors: [], indexed: true });
    expect(await Promise.all([first, second, keyed].map(({ uid }) => other.history(uid)))).toEqual(told);
    expect(await other.export()).toBe(lines);
    expect(await other.import(lines)).toMatchObject({ imported: 0, existing: 3 });
    expect(contentsOf(await other.search({ query: "four", scope }))).toEqual(["four"]);
    const as_of = told[0]?.versions[1]?.at as string;
    expect(contentsOf(await other.search({ query: "two", scope, as_of }))).toEqual(["two"]);
    expect(await other.addIdempotent({ content: "x", key: "k", scope })).toMatchObject({
      uid: keyed.uid,
      replay_count: 2,
    });

    await other.forget({ uid: keyed.uid });
    const [line = ""] = lines.split("\n");
    const forked = JSON.parse(line);
    forked.uid = "01900000-0000-7000-8000-000000000001";
    const judged = await other.import(
      [lines, "{", JSON.stringify({ ...forked, more: 1 }), JSON.stringify(forked)].join("\n"),
    );
    expect(judged).toMatchObject({ imported: 0, existing: 2, rejected: 4 });
    expect(judged.errors.map((it) => it.message).join("\n")).toMatch(
      /forgotten here.*not valid JSON.*more.*fork/s,
    );
  });
});

for (const composition of compositions)
  test(`damaged lines cost what they held, are told, and are forgotten, too (${composition})`, async () => {
    let house = await startHouse(composition);
    afterAll(() => rmSync(house.data_dir, { recursive: true, force: true }));
    const journal = journalOf(house.data_dir);
    let calls = pathwayAt(house.url);
    const kept = await calls.add({ content: "kept one" });
    const lost = await calls.add({ content: "lost zanzibarine" });
    const last = await calls.add({ content: "last one" });
    await calls.outcome({ uid: lost.uid, result: "success" });
    await house.stop();
    writeFileSync(journal, readFileSync(journal, "utf8").replace("lost zanzibarine", "lost zanzibarins"));
    appendFileSync(
      journal,
      `{"id":"x","op":"added","at":"2026-11-23T10:00:00.000Z","uid":"${last.uid}","body":{"content":"torn`,
    );

    house = await startHouse(composition, {}, house.data_dir);
    calls = pathwayAt(house.url);
    expect(await calls.health()).toMatchObject({
      status: "degraded",
      journal: { corrupt: 1, torn: 1, orphans: 1 },
    });
    expect((await calls.send("GET", `get/${lost.uid}`)).status).toBe(404);
    expect(contentsOf(await calls.search({ query: "one" })).sort()).toEqual(["kept one", "last one"]);
    expect((await calls.search({ query: "zanzibarine" })).results.map((it) => it.uid)).not.toContain(
      lost.uid,
    );
    expect(existsSync(`${journal}.corrupt`) && existsSync(`${journal}.torn`)).toBe(true);
    await calls.forget({ uid: last.uid });
    expect(filesWith(house.data_dir, "last one")).toEqual([]);
    expect(filesWith(house.data_dir, '"content":"torn')).toEqual([]);
    await calls.add({ content: "new one" });
    await house.stop();
    house = await startHouse(composition, {}, house.data_dir);
    calls = pathwayAt(house.url);
    expect(contentsOf(await calls.search({ query: "one" })).sort()).toEqual(["kept one", "new one"]);
    expect(await calls.get(kept.uid)).toMatchObject({ content: "kept one" });
    await house.stop();
  });

inBothCompositions("pathwayd's index", (start) => {
  test("is made anew where it is deleted under a running pathwayd", async () => {
    const house = await start();
    const calls = pathwayAt(house.url);
    for (let at = 0; at < 20; at++) await calls.add({ content: `memory number ${at}` });
    const drop = () =>
      fetch(`${house.url}/v1/vectors/index/_pathway`, {
        method: "DELETE",
        headers: { authorization: `Bearer ${serviceToken(house.data_dir)}` },
      });
    expect((await drop()).status).toBe(204);
    const { status } = await calls.send("POST", "search", { query: "memory number 7" });
    expect([200, 503]).toContain(status);
    expect(contentsOf(await calls.search({ query: "memory number 7", k: 1 }))).toEqual(["memory number 7"]);
    expect((await drop()).status).toBe(204);
    expect((await calls.add({ content: "memory number 20" })).indexed).toBe(true);
    const all = await calls.search({ query: "memory number", k: 50, exact: true });
    expect(all.results).toHaveLength(21);
    expect(await calls.health()).toMatchObject({ status: "ok", index: { items: 21, waiting: 0 } });
  });

  test("is made anew where it is gone, is another, or holds what it should not", async () => {
    const house = await start();
    const calls = pathwayAt(house.url);
    for (let at = 0; at < 20; at++) await calls.add({ content: `memory number ${at}` });
    await house.stop();
    const spoil = [
      () => rmSync(join(house.data_dir, "vector/_pathway"), { recursive: true }),
      () => rmSync(join(house.data_dir, "pathway/indexed.json")),
      () => writeFileSync(join(house.data_dir, "pathway/indexed.json"), '{"generation":"x","seq":20}'),
    ];
    for (const change of spoil) {
      change();
      const again = await start({}, house.data_dir);
      const after = pathwayAt(again.url);
      expect(contentsOf(await after.search({ query: "memory number 7", k: 1 }))).toEqual(["memory number 7"]);
      expect(await after.health()).toMatchObject({ status: "ok", index: { items: 20, waiting: 0 } });
      await again.stop();
    }
  });
});

test("without vectord pathwayd goes on writing, says so, and catches up", async () => {
  const lake = await startProcesses("forwarded");
  try {
    const calls = pathwayAt(lake.url);
    await calls.add({ content: "before the outage" });
    await lake.kill("vectord", "SIGKILL");
    const { uid, indexed } = await calls.add({ content: "during the outage" });
    expect(indexed).toBe(false);
    expect((await calls.get(uid)).content).toBe("during the outage");
    expect(contentsOf(await calls.search({}))).toEqual(["during the outage", "before the outage"]);
    const refused = await calls.send("POST", "search", { query: "outage" });
    expect([refused.status, refused.body.code]).toEqual([503, "unavailable"]);
    expect(await calls.health()).toMatchObject({ status: "degraded", index: { state: "unreachable" } });
    const gone = await calls.add({ content: "zanzibarine outage" });
    expect((await calls.forget({ uid: gone.uid })).pending).toEqual(["index"]);
    await lake.restart("vectord");
    for (let tries = 0; (await calls.health()).status !== "ok" && tries < 200; tries++) await Bun.sleep(50);
    expect(await calls.health()).toMatchObject({ status: "ok", erasing: 0 });
    expect(contentsOf(await calls.search({ query: "outage" })).sort()).toEqual([
      "before the outage",
      "during the outage",
    ]);
    expect(filesWith(lake.data_dir, "zanzibarine")).toEqual([]);
  } finally {
    await lake.stop();
    rmSync(lake.data_dir, { recursive: true, force: true });
  }
}, 60_000);

test("killed while it forgets, a trace is there whole or is in no file", async () => {
  const lake = await startProcesses("mounted", { LAKEHOUSE_PATHWAYD_SEGMENT_BYTES: "8192" });
  const calls = pathwayAt(lake.url);
  const random = seeded(21);
  try {
    for (let round = 0; round < 3; round++) {
      const made = await Promise.all(
        Array.from({ length: 24 }, (_, at) =>
          calls.add({ content: `secret${round}x${at}x said ${"x".repeat(300)}` }),
        ),
      );
      const going = made.map(({ uid }) => calls.send("POST", "forget", { uid }).catch(() => undefined));
      await Bun.sleep(random() * 60);
      await lake.kill("all", "SIGKILL");
      const answers = await Promise.all(going);
      await lake.restart("all");
      for (let tries = 0; (await calls.health()).erasing > 0 && tries < 200; tries++) await Bun.sleep(50);
      expect(await calls.health()).toMatchObject({ status: "ok", erasing: 0 });
      for (const [at, { uid }] of made.entries()) {
        const { status } = await calls.send("GET", `get/${uid}`);
        if (answers[at]?.status === 200) expect(status).toBe(404);
        const left = filesWith(lake.data_dir, `secret${round}x${at}x`);
        expect([status, left.length > 0]).toEqual(status === 404 ? [404, false] : [200, true]);
      }
    }
  } finally {
    await lake.stop();
    rmSync(lake.data_dir, { recursive: true, force: true });
  }
}, 60_000);

inBothCompositions("pathwayd's audit and stats", (start) => {
  test("find what says the same, was never used, is stale, or contradicts", async () => {
    const calls = pathwayAt((await start()).url);
    const scope = { user_id: "audit" };
    const add = (content: string | object, more: object = {}) => calls.add({ content, scope, ...more });
    const subject = "server";
    const a = await add("the server listens on port 80", { subject, kind: "fact" });
    const b = await add("the server listens on port 8080", { subject, kind: "fact" });
    const c = await add("the server doesn't listen on ports", { subject });
    const d = await add("the server does listen on ports", { subject });
    const e = await add({ region: "north", size: 3 }, { subject: "cluster" });
    const f = await add({ region: "south" }, { subject: "cluster" });
    await add("the server listens on port 443", {
      subject,
      valid_to: "2020-01-01T00:00:00Z",
      valid_from: "2019-01-01T00:00:00Z",
    });
    const twins = [await add("twins"), await add("twins")];
    await calls.outcome({ uid: a.uid, result: "success" });
    const gone = await add("retired");
    await calls.retire({ uid: gone.uid });

    const { duplicates, never_recalled, stale, contradictions } = await calls.audit("?stale_days=0");
    expect(duplicates).toEqual({ total: 1, groups: [twins.map((it) => it.uid)] });
    expect(never_recalled.total).toBe(8);
    expect(never_recalled.uids).not.toContain(a.uid);
    expect(stale.total).toBe(9);
    const found = contradictions.pairs.map(({ uids, reason }) => [reason, ...uids]);
    expect(found).toContainEqual(["number", a.uid, b.uid]);
    expect(found).toContainEqual(["negation", c.uid, d.uid]);
    expect(found).toContainEqual(["member", e.uid, f.uid]);
    expect((await calls.audit()).stale).toEqual({ total: 0, uids: [] });
    expect((await calls.audit("?limit=1")).never_recalled.uids).toHaveLength(1);

    expect(await calls.stats()).toMatchObject({
      ...{ traces: 10, versions: 11, live: 9, retired: 1, superseded: 0, forgotten: 0, replays: 0 },
      by_kind: { fact: 2, "": 7 },
      outcomes: { successes: 1, failures: 0, unknowns: 0 },
      index: { state: "ready", items: 11, waiting: 0 },
    });
  });
});
