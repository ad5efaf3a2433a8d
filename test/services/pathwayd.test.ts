/** pathwayd at the wire, in both compositions: every write, what is refused, search, as of any moment. */
import { beforeAll, describe, expect, test } from "bun:test";
import type { AddedOrKnown, Written } from "../../src/services/pathwayd/schema.ts";
import { inBothCompositions, type RunningHouse } from "../support/house.ts";
import { contentsOf, type PathwayCalls, pathwayAt } from "../support/pathway.ts";

const NOBODY = "01900000-0000-7000-8000-000000000000";
/** Later than what was done before, by the clock that versions are told apart by. */
const moment = async () => {
  await Bun.sleep(3);
  const at = new Date().toISOString();
  await Bun.sleep(3);
  return at;
};

inBothCompositions("pathwayd", (start) => {
  let house: RunningHouse;
  let calls: PathwayCalls;
  beforeAll(async () => {
    house = await start({
      LAKEHOUSE_PATHWAYD_MAX_VERSIONS: "4",
      LAKEHOUSE_PATHWAYD_MAX_CONTENT_BYTES: "2000",
      LAKEHOUSE_PATHWAYD_MAX_TAGS: "3",
    });
    calls = pathwayAt(house.url);
  });

  test("what is added is told whole, read, and found by the next search", async () => {
    const scope = { user_id: "ada" };
    const given = {
      content: "Ada prefers trains to planes",
      kind: "preference",
      tags: ["travel"],
      subject: "ada",
      scope,
    };
    const made = await calls.send<Written>("POST", "add", given);
    expect(made.status).toBe(201);
    expect(made.body).toMatchObject({ ...given, version: 1, state: "live", replay_count: 0, indexed: true });
    const { indexed: _indexed, ...trace } = made.body;
    expect(await calls.get(trace.uid)).toEqual(trace);
    await calls.add({ content: "The cat sleeps on the sofa", scope });
    await calls.add({ content: "Ada prefers planes to trains", scope: { user_id: "bob" } });
    const found = await calls.search({ query: "how does ada like to travel", scope, k: 1, explain: true });
    expect(contentsOf(found)).toEqual([given.content]);
    const { explain, score } = found.results[0] as (typeof found.results)[number];
    if (!explain) throw new Error("nothing was explained");
    const { relevance, hybrid, neighbours, asks, subject, recency, outcome, replay } = explain;
    expect(relevance.score).toBeCloseTo(hybrid.score + neighbours + asks + subject, 9);
    expect(score).toBeCloseTo(relevance.score * recency.factor * outcome.factor * replay.factor, 9);
    expect({ subject, asks, rank: relevance.rank, words: explain.bm25.rank }).toEqual({
      subject: 0.1,
      asks: 0,
      rank: 1,
      words: 1,
    });
    expect(recency.factor).toBeCloseTo(1.05, 5);
  });

  test("an update changes what it names and keeps what was; null takes away", async () => {
    const { uid } = await calls.add({
      content: "the door is red",
      tags: ["house"],
      kind: "fact",
      subject: "door",
    });
    const second = await calls.update({ uid, version: 1, content: "the door is blue", kind: null });
    expect(second).toMatchObject({
      version: 2,
      content: "the door is blue",
      tags: ["house"],
      subject: "door",
    });
    expect(second).not.toHaveProperty("kind");
    await calls.update({ uid, tags: [] });
    const { versions } = await calls.history(uid);
    expect(versions.map(({ version, change }) => [version, change])).toEqual([
      [1, "added"],
      [2, "updated"],
      [3, "updated"],
    ]);
    expect(versions[1]?.differences).toEqual([
      { member: "content", before: "the door is red", after: "the door is blue" },
      { member: "kind", before: "fact" },
    ]);
    expect(versions[2]?.differences).toEqual([{ member: "tags", before: ["house"], after: [] }]);
  });

  test("a stale version is refused with the present trace; of writers at once one wins", async () => {
    const { uid } = await calls.add({ content: "counter 0" });
    await calls.update({ uid, version: 1, content: "counter 1" });
    for (const verb of ["update", "revise", "retire", "outcome", "forget"]) {
      const more =
        { update: { content: "x" }, revise: { content: "x" }, outcome: { result: "success" } }[verb] ?? {};
      const refused = await calls.send("POST", verb, { uid, version: 1, ...more });
      expect(refused.status).toBe(409);
      expect(refused.body).toMatchObject({ uid, operation: verb, version: 2, state: "live" });
      expect(refused.body.current?.content).toBe("counter 1");
    }
    const writes = Array.from({ length: 8 }, (_, at) =>
      calls.send("POST", "update", { uid, version: 2, content: `writer ${at}` }),
    );
    const statuses = (await Promise.all(writes)).map((it) => it.status);
    expect(statuses.filter((it) => it === 200)).toHaveLength(1);
    expect(statuses.filter((it) => it === 409)).toHaveLength(7);
    expect((await calls.get(uid)).version).toBe(3);
  });

  test("a revision takes its predecessor's place, once", async () => {
    const first = await calls.add({
      content: "Ada lives in Oslo",
      tags: ["home"],
      scope: { user_id: "chain" },
    });
    const rivals = ["Bergen", "Tromsø", "Bodø"].map((city) =>
      calls.send<Written>("POST", "revise", { uid: first.uid, content: `Ada lives in ${city}` }),
    );
    const answers = await Promise.all(rivals);
    const [second] = answers.filter((it) => it.status === 201).map((it) => it.body);
    expect(answers.map((it) => it.status).sort()).toEqual([201, 409, 409]);
    if (!second) throw new Error("none won");
    expect(second).toMatchObject({
      predecessor: first.uid,
      tags: ["home"],
      scope: { user_id: "chain" },
      version: 1,
    });
    const again = await calls.send("POST", "revise", { uid: first.uid, content: "Ada lives in Hamar" });
    expect(again.body).toMatchObject({ state: "superseded", successor: second.uid });
    expect(again.body.detail).toContain(second.uid);
    for (const verb of ["update", "retire"])
      expect(
        (await calls.send("POST", verb, { uid: first.uid, ...(verb === "update" ? { tags: [] } : {}) }))
          .status,
      ).toBe(409);
    const third = await calls.revise({ uid: second.uid, content: "Ada lives on a boat" });
    for (const uid of [first.uid, second.uid, third.uid]) {
      const { chain, versions } = await calls.history(uid);
      expect(chain.map((it) => it.uid)).toEqual([first.uid, second.uid, third.uid]);
      expect(versions.map((it) => it.change)).toEqual([
        "added",
        "superseded",
        "revised",
        "superseded",
        "revised",
      ]);
    }
    const scope = { user_id: "chain" };
    const where = { query: "where does Ada live", scope };
    expect(contentsOf(await calls.search(where))).toEqual(["Ada lives on a boat"]);
    expect((await calls.search({ ...where, include_superseded: true })).results).toHaveLength(3);
  });

  test("retiring takes out of search, with a reason, and is undone; twice is refused", async () => {
    const scope = { user_id: "retiring" };
    const { uid } = await calls.add({ content: "the shop closes at noon", scope });
    const retired = await calls.retire({ uid, reason: "new owner" });
    expect(retired).toMatchObject({ version: 2, state: "retired", retired_reason: "new owner" });
    const query = { query: "when does the shop close", scope };
    expect((await calls.search(query)).results).toEqual([]);
    expect((await calls.search({ scope })).results).toEqual([]);
    expect((await calls.search({ ...query, include_retired: true })).results).toHaveLength(1);
    const again = await calls.send("POST", "retire", { uid });
    expect(again.status).toBe(409);
    expect(again.body).toMatchObject({ uid, operation: "retire", state: "retired" });
    expect((await calls.send("POST", "update", { uid, tags: [] })).status).toBe(409);
    const back = await calls.unretire({ uid });
    expect(back).toMatchObject({ version: 3, state: "live" });
    expect(back).not.toHaveProperty("retired_at");
    expect((await calls.search(query)).results).toHaveLength(1);
    expect((await calls.send("POST", "unretire", { uid })).status).toBe(409);
  });

  test("outcomes and replays are counted, make no version, and lift within bounds", async () => {
    const scope = { user_id: "outcomes" };
    const bad = await calls.add({
      content: "restart the router to mend the net",
      scope,
      outcome: { result: "failure" },
    });
    const good = await calls.add({ content: "restart the modem to mend the net", scope });
    for (const score of [0.5, 1]) await calls.outcome({ uid: good.uid, result: "success", score });
    expect(await calls.get(good.uid)).toMatchObject({
      version: 1,
      outcome: { result: "success", score: 1, successes: 2, failures: 0, unknowns: 0 },
    });
    await calls.outcome({ uid: bad.uid, result: "failure" });
    const { results } = await calls.search({ query: "mend the net", scope, explain: true });
    expect(results.map((it) => it.uid)).toEqual([good.uid, bad.uid]);
    expect(results.map((it) => it.explain?.outcome.factor)).toEqual([1.05, 0.95]);
  });

  test("the same again is told, by key or content, within its scope, however many come at once", async () => {
    const scope = { user_id: "again" };
    const given = { content: "buy   milk", scope };
    const at_once = await Promise.all(Array.from({ length: 6 }, () => calls.addIdempotent(given)));
    expect(at_once.filter((it) => it.created)).toHaveLength(1);
    expect(new Set(at_once.map((it) => it.uid)).size).toBe(1);
    const { uid } = at_once[0] as AddedOrKnown;
    expect(await calls.addIdempotent({ content: "buy milk ", scope })).toMatchObject({
      uid,
      created: false,
      replay_count: 6,
    });
    expect((await calls.addIdempotent({ content: "buy milk", scope: { user_id: "other" } })).created).toBe(
      true,
    );

    const keyed = await calls.addIdempotent({ content: "the address is A", key: "address", scope });
    const moved = await calls.revise({ uid: keyed.uid, content: "the address is B" });
    expect(await calls.addIdempotent({ content: "anything", key: "address", scope })).toMatchObject({
      uid: moved.uid,
      created: false,
    });
    await calls.retire({ uid });
    expect((await calls.addIdempotent(given)).created).toBe(true);
  });

  test("a paraphrase is told instead of stored", async () => {
    const scope = { user_id: "similar" };
    const first = await calls.add({ content: "Ada is allergic to peanuts", scope });
    await calls.add({ content: "Ada is allergic to peanuts", scope: { user_id: "similar", run_id: "1" } });
    const near = await calls.addIdempotent({
      content: "Ada has an allergy to peanuts",
      scope,
      similar_above: 0.7,
    });
    expect(near).toMatchObject({ uid: first.uid, created: false });
    expect(near.similar?.map((it) => it.uid)).toEqual([first.uid]);
    const far = await calls.addIdempotent({ content: "the meeting is on Monday", scope, similar_above: 0.7 });
    expect(far.created).toBe(true);
    expect((await calls.search({ scope, k: 50 })).results).toHaveLength(3);
  });

  test("as of a moment, memory says what it said then of what held then", async () => {
    const scope = { user_id: "as of" };
    const before = await moment();
    const { uid } = await calls.add({
      content: "the boss is Ann",
      scope,
      valid_to: "2026-12-01T00:00:00+01:00",
    });
    const first = await moment();
    await calls.update({ uid, content: "the boss is Bea" });
    await calls.outcome({ uid, result: "success" });
    const second = await moment();
    const { uid: heir } = await calls.revise({ uid, content: "the boss is Cas" });
    const third = await moment();
    await calls.retire({ uid: heir });
    const last = await moment();
    for (const query of [{ query: "who is the boss", exact: true }, { query: "who is the boss" }, {}]) {
      const at = async (as_of: string) => contentsOf(await calls.search({ ...query, scope, as_of }));
      expect(await at(before)).toEqual([]);
      expect(await at(first)).toEqual(["the boss is Ann"]);
      expect(await at(second)).toEqual(["the boss is Bea"]);
      expect(await at(third)).toEqual(["the boss is Cas"]);
      expect(await at(last)).toEqual([]);
      expect(await at("2026-12-01T00:00:00.000Z")).toEqual([]);
    }
    const then = (await calls.search({ scope, as_of: first })).results[0]?.trace;
    expect(then).toMatchObject({ version: 1, outcome: { successes: 0 } });
    expect((await calls.search({ scope, as_of: second })).results[0]?.trace.outcome.successes).toBe(1);
  });

  test("what does not hold yet, or any more, or is expired, is not found", async () => {
    const scope = { user_id: "validity" };
    const [past, future] = ["2020-01-01T00:00:00Z", "2090-01-01T00:00:00Z"];
    await calls.add({ content: "rule one", scope, valid_to: past });
    await calls.add({ content: "rule two", scope, valid_from: future });
    await calls.add({ content: "rule three", scope, expires_at: past });
    await calls.add({ content: "rule four", scope, valid_from: past, valid_to: future, expires_at: future });
    expect(contentsOf(await calls.search({ query: "rule", scope }))).toEqual(["rule four"]);
    expect(contentsOf(await calls.search({ scope }))).toEqual(["rule four"]);
    expect(contentsOf(await calls.search({ query: "rule", scope, as_of: "2091-01-01T00:00:00Z" }))).toEqual([
      "rule two",
    ]);
  });

  test("search asks for all of tags, kind, subject, scope and filter", async () => {
    const scope = { user_id: "filters", team: "blue" };
    await calls.add({
      content: "plan one",
      kind: "plan",
      tags: ["a", "b"],
      subject: "p",
      scope,
      source: "mail",
    });
    await calls.add({ content: "plan two", kind: "plan", tags: ["a"], subject: "q", scope });
    await calls.add({ content: "fact three", kind: "fact", tags: ["b"], scope: { user_id: "filters" } });
    for (const query of [{ query: "plan fact" }, {}]) {
      const found = async (more: object) =>
        contentsOf(await calls.search({ ...query, scope: { user_id: "filters" }, ...more })).sort();
      expect(await found({})).toEqual(["fact three", "plan one", "plan two"]);
      expect(await found({ tags: ["a", "b"] })).toEqual(["plan one"]);
      expect(await found({ kind: "fact" })).toEqual(["fact three"]);
      expect(await found({ subject: "q" })).toEqual(["plan two"]);
      expect(await found({ scope })).toEqual(["plan one", "plan two"]);
      expect(await found({ filter: { must: [{ key: "source", exists: true }] } })).toEqual(["plan one"]);
      expect(await found({ filter: { must_not: [{ key: "scope.team", match: "blue" }] } })).toEqual([
        "fact three",
      ]);
    }
    const newest = await calls.search({ scope: { user_id: "filters" }, k: 2 });
    expect(contentsOf(newest)).toEqual(["fact three", "plan two"]);
  });

  test("JSON is kept as it came and searched by its text", async () => {
    const content = { device: { name: "boiler", fault: "E42" }, steps: ["drain", "restart"] };
    const made = await calls.add({ content, scope: { user_id: "json" } });
    expect(made.content).toEqual(content);
    expect(made.text).toBe("device.name: boiler\ndevice.fault: E42\nsteps: drain\nsteps: restart");
    const { results } = await calls.search({ query: "what to do about E42", scope: { user_id: "json" } });
    expect(results[0]?.trace.content).toEqual(content);
    const order = { steps: content.steps, device: { fault: "E42", name: "boiler" } };
    expect(await calls.addIdempotent({ content: order, scope: { user_id: "json" } })).toMatchObject({
      created: false,
    });
  });

  describe("refuses", () => {
    test.each([
      ["add", {}],
      ["add", { content: "  " }],
      ["add", { content: {}, more: 1 }],
      ["add", { content: "x", more: 1 }],
      ["add", { content: "x", scope: { "User-Id": "a" } }],
      ["add", { content: "x", tags: ["a", "a"] }],
      ["add", { content: "x", tags: ["a", "b", "c", "d"] }],
      ["add", { content: "x", valid_from: "2026-02-30T25:00:00Z" }],
      ["add", { content: "x", valid_from: "2026-01-02T00:00:00Z", valid_to: "2026-01-01T00:00:00Z" }],
      ["add", { content: "x", outcome: { result: "good" } }],
      ["update", { uid: NOBODY }],
      ["update", { uid: "x", content: "y" }],
      ["search", { query: " " }],
      ["search", { query: "x", k: 0 }],
      ["search", { query: "x", filter: { must: [{ key: "kind" }] } }],
      ["search", { filter: { must: [{ key: "kind" }] } }],
      ["search", { query: "x", as_of: "yesterday" }],
      ["outcome", { uid: NOBODY, result: "success", score: 2 }],
    ])("%s of %j", async (verb, body) => {
      expect((await calls.send("POST", verb, body)).status).toBe(400);
    });

    test("what there is no trace for, naming it and the operation", async () => {
      for (const [verb, more] of Object.entries({
        update: { tags: [] },
        revise: { content: "x" },
        retire: {},
        unretire: {},
        outcome: { result: "unknown" },
        forget: {},
      })) {
        const { status, body } = await calls.send("POST", verb, { uid: NOBODY, ...more });
        expect(status).toBe(404);
        expect(body).toMatchObject({ uid: NOBODY, operation: verb });
        expect(body.detail).toBe(`${verb}: there is no trace ${NOBODY}.`);
      }
      for (const path of ["get", "history"])
        expect((await calls.send("GET", `${path}/${NOBODY}`)).status).toBe(404);
    });

    test("more than the settings allow", async () => {
      expect((await calls.send("POST", "add", { content: "x".repeat(2001) })).status).toBe(413);
      const { uid } = await calls.add({ content: "version 1" });
      for (const version of [2, 3, 4]) await calls.update({ uid, content: `version ${version}` });
      const { status, body } = await calls.send("POST", "update", { uid, content: "version 5" });
      expect([status, body.code]).toEqual([400, "resource_limit"]);
    });
  });
});
