/** Corpora of every kind at the wire, in both compositions: memory and a lake table beside an index; freshness. */
import { beforeAll, expect, test } from "bun:test";
import type { CorpusInfo } from "../../src/services/matrixd/schema.ts";
import { createKey } from "../../src/shared/keys.ts";
import { inBothCompositions, type RunningHouse } from "../support/house.ts";
import { send } from "../support/ingest.ts";
import { type MatrixCalls, matrixAt } from "../support/matrix.ts";
import type { Problem } from "../support/vectors.ts";

const CSV = { "content-type": "text/csv" };
const TICKETS = "id,body,team\n1,the printer on floor two is jammed,it\n2,my badge opens no door,security\n";
const TABLE = { name: "tickets", id: "id", text: "body", metadata: ["team"] };

inBothCompositions("matrixd's kinds of corpora", (start) => {
  let house: RunningHouse;
  let calls: MatrixCalls;
  beforeAll(async () => {
    house = await start();
    calls = matrixAt(house.url);
  });

  const settled = async (name: string): Promise<CorpusInfo> => {
    for (;;) {
      const { body } = await calls.send<CorpusInfo>("GET", `/corpora/${name}`);
      if (body.state !== "building") return body;
      await Bun.sleep(20);
    }
  };
  const remember = async (trace: object) => {
    const response = await fetch(`${house.url}/v1/pathway/add`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(trace),
    });
    expect(response.status).toBeLessThan(300);
    return (await response.json()) as { uid: string };
  };

  test("a table's texts are read into an index of its own, found, and read anew when asked", async () => {
    expect((await send(house.url, "name=tickets", TICKETS, CSV)).status).toBe(201);
    const made = await calls.send<CorpusInfo>("POST", "/corpora", {
      name: "desk",
      kind: "table",
      table: TABLE,
    });
    expect(made.status).toBe(201);
    const first = await settled("desk");
    expect(first).toMatchObject({ state: "ready", items: 2, freshness: { is_behind: false } });
    expect(first.freshness?.snapshot_id).toBe(first.freshness?.current_snapshot_id as string);
    const { results } = await calls.search({ query: "printer jammed", corpora: ["desk"], k: 1 });
    expect(results).toMatchObject([{ corpus: "desk", id: "1", metadata: { team: "it" } }]);

    const more = "id,body,team\n3,coffee machine leaks,kitchen\n";
    expect((await send(house.url, "name=tickets&mode=append", more, CSV)).status).toBe(200);
    const behind = (await calls.send<CorpusInfo>("GET", "/corpora/desk")).body;
    expect(behind).toMatchObject({ state: "ready", items: 2, freshness: { is_behind: true } });
    expect((await calls.send("POST", "/corpora/desk/refresh")).status).toBe(202);
    expect(await settled("desk")).toMatchObject({ items: 3, freshness: { is_behind: false } });
    const coffee = await calls.search({ query: "coffee", corpora: ["desk"], k: 1 });
    expect(coffee.results[0]?.id).toBe("3");

    expect(await settled("desk")).not.toHaveProperty("reason");
    expect((await fetch(`${house.url}/v1/catalog/dataset/tickets`, { method: "DELETE" })).status).toBe(204);
    const left = (await calls.send<CorpusInfo>("GET", "/corpora/desk")).body;
    const reason = expect.stringContaining("table is not there any more");
    expect(left).toMatchObject({ state: "ready", items: 3, reason, freshness: { is_behind: true } });
    expect((await calls.send("DELETE", "/corpora/desk")).status).toBe(204);
    expect((await calls.send("POST", "/search", { query: "coffee", corpora: ["desk"] })).status).toBe(404);
  }, 60_000);

  test("of a table only the rows that `where` lets through are read", async () => {
    await send(house.url, "name=tickets_of_it", TICKETS, CSV);
    const table = (where: object) => ({ ...TABLE, name: "tickets_of_it", where });
    const register = (where: object) =>
      calls.send<CorpusInfo & Problem>("POST", "/corpora", {
        name: "it",
        kind: "table",
        table: table(where),
      });
    const wrong = await register({ must: [{ key: "team' OR true --", match: "it" }] });
    expect([wrong.status, wrong.body.detail]).toEqual([400, expect.stringContaining("There is no column")]);
    expect((await register({ must: [{ key: "team", match: "it" }] })).status).toBe(201);
    expect(await settled("it")).toMatchObject({ state: "ready", items: 1 });
    const { results } = await calls.search({ query: "badge door printer", corpora: ["it"] });
    expect(results.map(({ id }) => id)).toEqual(["1"]);
    await calls.send("DELETE", "/corpora/it");
  }, 60_000);

  test("what a table corpus can't be is refused, or told", async () => {
    await send(house.url, "name=tickets", TICKETS, CSV);
    const register = (body: object) => calls.send<Problem & CorpusInfo>("POST", "/corpora", body);
    expect((await register({ name: "a", kind: "table" })).status).toBe(400);
    expect((await register({ name: "a", kind: "table", table: TABLE, index: "b" })).status).toBe(400);
    const nowhere = await register({ name: "a", kind: "table", table: { ...TABLE, name: "nowhere" } });
    const told = nowhere.status === 201 ? await settled("a") : nowhere.body;
    expect(JSON.stringify(told)).toContain("nowhere");
    await calls.send("DELETE", "/corpora/a");
    const wrong = await register({ name: "b", kind: "table", table: { ...TABLE, text: "words" } });
    const state = wrong.status === 201 ? await settled("b") : wrong.body;
    expect(JSON.stringify(state)).toContain("words");
    await calls.send("DELETE", "/corpora/b");
    await calls.fill("plain", [{ id: "x", text: "words" }]);
    expect((await calls.send("POST", "/corpora/plain/refresh")).status).toBe(400);
    await calls.send("DELETE", "/corpora/plain");
  }, 60_000);

  test("a table that could not be read, or is gone, is told by its corpus, and by searches of it", async () => {
    const two = "id,body,team\n1,the lift is stuck,it\n1,the lift still is,it\n";
    await send(house.url, "name=doubled", two, CSV);
    const table = { ...TABLE, name: "doubled" };
    await calls.send("POST", "/corpora", { name: "doubled", kind: "table", table });
    const why = expect.stringContaining('"1" is the id of 2 rows');
    expect(await settled("doubled")).toMatchObject({ state: "unavailable", reason: why });
    const alone = await calls.send<Problem>("POST", "/search", { query: "lift", corpora: ["doubled"] });
    expect(alone).toMatchObject({ status: 503, body: { code: "unavailable", detail: why } });
    await calls.send("DELETE", "/corpora/doubled");

    await send(house.url, "name=brief", TICKETS, CSV);
    await calls.send("POST", "/corpora", {
      name: "brief",
      kind: "table",
      table: { ...TABLE, name: "brief" },
    });
    expect((await settled("brief")).reason).toBeUndefined();
    const dropped = await fetch(`${house.url}/v1/catalog/dataset/brief`, { method: "DELETE" });
    expect(dropped.ok).toBe(true);
    expect(await settled("brief")).toMatchObject({
      state: "ready",
      items: 2,
      reason: expect.stringContaining("not there any more"),
      freshness: { is_behind: true },
    });
    await calls.send("DELETE", "/corpora/brief");
  }, 60_000);

  test("memory is a corpus: its live traces, those of its scope, beside other corpora", async () => {
    const mine = await remember({ content: "Ada prefers tea to coffee", scope: { user_id: "ada" } });
    await remember({ content: "Bob drinks coffee at noon", scope: { user_id: "bob" } });
    const old = await remember({ content: "Ada prefers coffee to tea", scope: { user_id: "ada" } });
    await fetch(`${house.url}/v1/pathway/retire`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ uid: old.uid, reason: "wrong" }),
    });
    const made = await calls.send<CorpusInfo>("POST", "/corpora", {
      name: "ada",
      kind: "pathway",
      pathway: { scope: { user_id: "ada" } },
    });
    expect(made).toMatchObject({ status: 201, body: { items: 1 } });
    expect(await settled("ada")).toMatchObject({ state: "ready", items: 1 });
    await calls.send("POST", "/corpora", { name: "all-memory", kind: "pathway" });
    expect((await settled("all-memory")).items).toBe(2);
    await calls.send("DELETE", "/corpora/all-memory");
    await calls.fill("menu", [{ id: "tea", text: "green tea, black tea and coffee" }]);
    const { results, warnings } = await calls.search({
      query: "does Ada prefer coffee?",
      corpora: ["ada", "menu"],
    });
    expect(warnings).toEqual([]);
    expect(results.map(({ corpus, id }) => [corpus, id])).toEqual([
      ["ada", mine.uid],
      ["menu", "tea"],
    ]);
    expect(results[0]).toMatchObject({
      text: "Ada prefers tea to coffee",
      metadata: { scope: { user_id: "ada" } },
    });
  });

  test("each kind needs the scope of the service that holds it", async () => {
    const keys = ["vectord:read", "queryd:read", "pathwayd:read"].map((scope) => ({
      scope,
      made: createKey(scope.replace(":", "-")),
    }));
    const admin = createKey("admin");
    const { url } = await start({
      LAKEHOUSE_KEYS: JSON.stringify([
        { name: "admin", sha256: admin.sha256, scopes: ["*"] },
        ...keys.map(({ scope, made }) => ({
          name: scope.replace(":", "-"),
          sha256: made.sha256,
          scopes: ["matrixd:read", "matrixd:write", scope],
        })),
      ]),
    });
    const all = matrixAt(url, admin.key);
    await all.fill("words", [{ id: "a", text: "words" }]);
    await all.send("POST", "/corpora", { name: "memory", kind: "pathway" });
    for (const { scope, made } of keys) {
      const calls = matrixAt(url, made.key);
      const named = async (corpora: string[]) =>
        (await calls.send("POST", "/search", { query: "a", corpora })).status;
      expect([scope, await named(["words"]), await named(["memory"])]).toEqual([
        scope,
        scope === "vectord:read" ? 200 : 403,
        scope === "pathwayd:read" ? 200 : 403,
      ]);
      const table = await calls.send("POST", "/corpora", { name: "t", kind: "table", table: TABLE });
      expect(table.status === 403).toBe(scope !== "queryd:read");
    }
  }, 60_000);
});
