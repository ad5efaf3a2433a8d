/** matrixd's judgement at the wire, in both compositions: relevance, the downgrade gate, playbooks. */
import { beforeAll, expect, test } from "bun:test";
import { createMatrixdClient } from "../../src/services/matrixd/client.ts";
import type {
  Downgrade,
  OutcomesPage,
  Playbook,
  PlaybookRecorded,
  PlaybooksPage,
  Relevance,
} from "../../src/services/matrixd/schema.ts";
import { createHttpClient } from "../../src/shared/client.ts";
import { inBothCompositions, type RunningHouse } from "../support/house.ts";
import { type MatrixCalls, matrixAt } from "../support/matrix.ts";
import { serviceKey } from "../support/observer.ts";
import type { Problem } from "../support/vectors.ts";

const FOCUS = {
  text: "How does the billing service rotate its signing keys? We call rotateSigningKey every night.",
};
const CHUNKS = [
  {
    id: "own",
    text: "The billing service rotates signing keys: rotateSigningKey makes a new one each night.",
  },
  {
    id: "own-2",
    text: "Billing keeps the last two signing keys, so that rotateSigningKey breaks no invoice.",
  },
  {
    id: "near",
    text: "The mail service has keys for its queue, which never rotate; ask sendQueueKey for one.",
  },
  { id: "far", text: "Bread is made of flour, water, salt and time." },
];

inBothCompositions("matrixd: relevance", (start) => {
  let calls: MatrixCalls;
  beforeAll(async () => {
    calls = matrixAt((await start({ LAKEHOUSE_MATRIXD_MAX_CHUNKS: "5" })).url);
  });
  const judge = async (body: object) => {
    const { status, body: answer } = await calls.send<Relevance>("POST", "/relevance", body);
    expect(status).toBe(200);
    return answer;
  };

  test("keeps what is about the focus, drops what is merely near, and says why", async () => {
    const { chunks, threshold } = await judge({ focus: FOCUS, chunks: CHUNKS, threshold: 0.5 });
    expect(chunks.map(({ id, keep }) => [id, keep])).toEqual([
      ["own", true],
      ["own-2", true],
      ["near", false],
      ["far", false],
    ]);
    expect(threshold).toBe(0.5);
    expect(Object.keys(chunks[0]?.components ?? {})).toEqual(
      expect.arrayContaining(["embedding", "words", "coverage", "names", "by_words", "by_vector", "of_all"]),
    );
    expect(await judge({ focus: FOCUS, chunks: CHUNKS, threshold: 0.5 })).toMatchObject({ chunks });
  });

  test("takes a threshold, and paths, symbols and tags where both sides give them", async () => {
    const all = await judge({ focus: FOCUS, chunks: CHUNKS, threshold: 0 });
    expect(all.chunks.every(({ keep }) => keep)).toBe(true);
    const none = await judge({ focus: FOCUS, chunks: CHUNKS, threshold: 1 });
    expect(none.chunks.some(({ keep }) => keep)).toBe(false);
    const [text] = CHUNKS.map((it) => it.text);
    const { chunks } = await judge({
      focus: { ...FOCUS, path: "billing/keys.ts", symbols: ["rotateSigningKey"], tags: ["billing"] },
      chunks: [
        { id: "here", text, path: "billing/keys.ts", symbols: ["rotateSigningKey"], tags: ["billing"] },
        { id: "there", text, path: "mail/queue.md", tags: ["mail"] },
        { id: "silent", text },
      ],
    });
    expect(chunks[0]?.components).toMatchObject({ path: 1, symbols: 1, tags: 1, kind: 1 });
    expect(chunks[1]?.components).toMatchObject({ path: -1, tags: -1, kind: -1 });
    expect(chunks[2]?.components).not.toHaveProperty("path");
    expect(chunks[0]?.score).toBeGreaterThan(chunks[2]?.score as number);
    expect(chunks[1]?.score).toBeLessThan(chunks[2]?.score as number);
  });

  test("copes with one chunk, empty texts, and texts of no words", async () => {
    for (const texts of [["rotateSigningKey of billing"], [""], ["—", "¿?"], ["", FOCUS.text]]) {
      const { chunks } = await judge({
        focus: FOCUS,
        chunks: texts.map((text, at) => ({ id: `${at}`, text })),
      });
      for (const { score, components } of chunks)
        for (const value of [score, ...Object.values(components)]) expect(Number.isFinite(value)).toBe(true);
    }
  });

  test("what it can't judge is refused", async () => {
    const again = CHUNKS.map((it) => ({ ...it, id: `${it.id} again` }));
    for (const body of [
      { focus: FOCUS, chunks: [] },
      { focus: { text: " " }, chunks: CHUNKS },
      { focus: FOCUS, chunks: [CHUNKS[0], CHUNKS[0]] },
      { focus: FOCUS, chunks: [...CHUNKS, ...again] },
      { focus: FOCUS, chunks: CHUNKS, threshold: 2 },
      { focus: FOCUS, chunks: CHUNKS, more: 1 },
    ]) {
      const { status, body: problem } = await calls.send<Problem>("POST", "/relevance", body);
      expect([status, problem.code]).toEqual([400, "invalid"]);
    }
  });
});

inBothCompositions("matrixd: the downgrade gate", (start) => {
  const rules = [
    { models: ["big-*"], mode: "rich", lean: "lean", by_default: "lean", min_tokens: 1000 },
    { models: ["*"], mode: "rich", lean: "lean", by_default: "keep" },
  ];
  const env = {
    LAKEHOUSE_MATRIXD_DOWNGRADE_RULES: JSON.stringify(rules),
    LAKEHOUSE_MATRIXD_MIN_OUTCOMES: "20",
    LAKEHOUSE_MATRIXD_MAX_OUTCOME_PAIRS: "6",
  };
  let house: RunningHouse;
  let calls: MatrixCalls;
  beforeAll(async () => {
    house = await start(env);
    calls = matrixAt(house.url);
  });
  const ask = async (body: object) => {
    const { status, body: answer } = await calls.send<Downgrade>("POST", "/downgrade", body);
    expect(status).toBe(200);
    return answer;
  };
  const record = async (model: string, mode: string, successes: number, failures: number) => {
    const outcomes = [...Array(successes).fill(true), ...Array(failures).fill(false)];
    const sent = outcomes.map((success) => calls.send("POST", "/outcomes", { model, mode, success }));
    expect((await Promise.all(sent)).every(({ status }) => status === 200)).toBe(true);
  };

  test("goes by the first rule that fits, until there is evidence", async () => {
    expect(await ask({ mode: "rich", model: "BIG-1" })).toMatchObject({
      mode: "lean",
      downgraded: true,
      evidence: { basis: "rule", rule: "big-*", with_context: { total: 0, rate: null, interval: null } },
    });
    expect(await ask({ mode: "rich", model: "big-1", context: { tokens: 999 } })).toMatchObject({
      mode: "rich",
      evidence: { basis: "rule", rule: "*" },
    });
    expect(await ask({ mode: "rich", model: "small" })).toMatchObject({ mode: "rich", downgraded: false });
    expect(await ask({ mode: "chat", model: "big-1" })).toMatchObject({
      mode: "chat",
      evidence: { basis: "no_rule", rule: null },
    });
  });

  test("clear evidence goes before the rule, both ways; unclear evidence does not", async () => {
    await record("big-helped", "rich", 28, 2);
    await record("big-helped", "lean", 12, 18);
    const helped = await ask({ mode: "rich", model: "big-helped" });
    expect(helped).toMatchObject({ mode: "rich", downgraded: false, evidence: { basis: "evidence" } });
    expect(helped.evidence.with_context).toMatchObject({ successes: 28, total: 30 });
    // Wilson's interval of 28 of 30, from the formula's original source, to three places.
    expect(helped.evidence.with_context?.interval?.low).toBeCloseTo(0.787, 3);
    expect(helped.evidence.with_context?.interval?.high).toBeCloseTo(0.982, 3);
    await record("hurt", "rich", 10, 20);
    await record("hurt", "lean", 27, 3);
    expect(await ask({ mode: "rich", model: "hurt" })).toMatchObject({
      mode: "lean",
      downgraded: true,
      evidence: { basis: "evidence", rule: "*" },
    });
    await record("alike", "rich", 15, 15);
    expect(await ask({ mode: "rich", model: "alike" })).toMatchObject({ evidence: { basis: "rule" } });
    await record("alike", "lean", 16, 14);
    expect(await ask({ mode: "rich", model: "alike" })).toMatchObject({
      mode: "rich",
      evidence: { basis: "rule", gain: { low: expect.any(Number) } },
    });
    const full = await calls.send<Problem>("POST", "/outcomes", {
      model: "one",
      mode: "more",
      success: true,
    });
    expect([full.status, full.body.code]).toEqual([400, "resource_limit"]);
  });

  test("force wins, and is recorded; a restart knows what was recorded", async () => {
    const forced = await ask({ mode: "rich", model: "hurt", force: true });
    expect(forced).toMatchObject({
      mode: "rich",
      downgraded: false,
      evidence: { basis: "forced", forced: 1 },
    });
    const id = { id: "run-1", model: "hurt", mode: "lean", success: true };
    expect((await calls.send("POST", "/outcomes", id)).body).toMatchObject({ total: 31 });
    expect((await calls.send("POST", "/outcomes", id)).body).toMatchObject({ total: 31, duplicate: true });
    const before = await ask({ mode: "rich", model: "hurt" });
    const page = async (query: string) => (await calls.send<OutcomesPage>("GET", `/outcomes${query}`)).body;
    const all = await page("");
    expect(all.outcomes.map(({ model, mode }) => `${model} ${mode}`)).toEqual([
      "alike lean",
      "alike rich",
      "big-helped lean",
      "big-helped rich",
      "hurt lean",
      "hurt rich",
    ]);
    const first = await page("?limit=4");
    const rest = await page(`?cursor=${encodeURIComponent(first.next_cursor ?? "")}`);
    expect([...first.outcomes, ...rest.outcomes]).toEqual(all.outcomes);
    expect(rest.next_cursor).toBeNull();
    await house.stop();
    house = await start(env, house.data_dir);
    calls = matrixAt(house.url);
    expect(await ask({ mode: "rich", model: "hurt" })).toEqual(before);
    expect(await page("")).toEqual(all);
  });
});

inBothCompositions("matrixd: playbooks", (start) => {
  let house: RunningHouse;
  let calls: MatrixCalls;
  beforeAll(async () => {
    house = await start({ LAKEHOUSE_MATRIXD_MAX_PLAYBOOKS: "4" });
    calls = matrixAt(house.url);
    for (const name of ["handbook", "wiki"]) await calls.fill(name, [{ id: "leave-1", text: "leave" }]);
  });
  const answer = { corpus: "handbook", id: "keys-3" };
  const record = async (body: object) => {
    const { status, body: it } = await calls.send<PlaybookRecorded>("POST", "/playbooks/record", body);
    expect(status).toBe(200);
    return it;
  };
  const list = async (query = "") => (await calls.send<PlaybooksPage>("GET", `/playbooks${query}`)).body;

  test("the same query and answer add up; failures silence; a repeat with an id is told", async () => {
    const first = await record({ query: "Rotate  a key", answer, tags: ["keys"], id: "r1" });
    expect(first).toMatchObject({
      query: "Rotate  a key",
      answer,
      successes: 1,
      failures: 0,
      tags: ["keys"],
    });
    expect(first.strength).toBeCloseTo(1 / 3, 5);
    expect(await record({ query: "Rotate  a key", answer, id: "r1" })).toMatchObject({
      duplicate: true,
      successes: 1,
    });
    const second = await record({ query: "rotate a key ", answer, score: 0.5, tags: ["ops"] });
    expect(second).toMatchObject({ id: first.id, successes: 1.5, tags: ["keys", "ops"] });
    await record({ query: "rotate a key", answer, outcome: "failure" });
    expect(await record({ query: "rotate a key", answer, outcome: "failure" })).toMatchObject({
      failures: 2,
      strength: 0,
    });
    const other = await calls.send<Problem>("POST", "/playbooks/record", { query: "x", answer, id: "r1" });
    expect([other.status, other.body.code]).toEqual([409, "conflict"]);
  });

  test("many at once, up to the limit; listed by pages, by corpus, by tag; retired, once", async () => {
    const many = [
      { query: "holidays", answer: { corpus: "handbook", id: "leave-1" }, tags: ["leave"] },
      { query: "sick leave", answer: { corpus: "wiki", id: "sick" }, tags: ["leave"] },
      { query: "Holidays", answer: { corpus: "handbook", id: "leave-1" } },
    ];
    const bulk = await calls.send("POST", "/playbooks/bulk", { playbooks: many });
    expect(bulk).toMatchObject({ status: 200, body: { accepted: 3, duplicates: 0 } });
    const over = [1, 2].map((at) => ({ query: `q${at}`, answer }));
    const refused = await calls.send<Problem>("POST", "/playbooks/bulk", { playbooks: over });
    expect([refused.status, refused.body.code]).toEqual([400, "resource_limit"]);
    const all = await list();
    expect(all.playbooks.map(({ query, successes }) => [query, successes])).toEqual([
      ["Rotate  a key", 1.5],
      ["holidays", 2],
      ["sick leave", 1],
    ]);
    const first = await list("?limit=1");
    const rest = await list(`?cursor=${first.next_cursor}`);
    expect([...first.playbooks, ...rest.playbooks]).toEqual(all.playbooks);
    expect((await list("?corpus=wiki")).playbooks.map(({ query }) => query)).toEqual(["sick leave"]);
    expect((await list("?tag=leave")).playbooks).toHaveLength(2);

    const id = all.playbooks[1]?.id;
    const retired = await calls.send<Playbook>("POST", "/playbooks/retire", { id, reason: "gone" });
    expect(retired.body).toMatchObject({
      strength: 0,
      retired_reason: "gone",
      retired_at: expect.any(String),
    });
    expect((await calls.send("POST", "/playbooks/retire", { id })).status).toBe(409);
    expect((await calls.send("POST", "/playbooks/retire", { id: "none" })).status).toBe(404);
    expect((await list("?retired=true")).playbooks.map((it) => it.id)).toEqual([id as string]);
    expect((await list("?retired=false")).playbooks).toHaveLength(2);
    expect((await calls.send("GET", "/playbooks?cursor=x")).status).toBe(400);

    const before = await list();
    await house.stop();
    house = await start({}, house.data_dir);
    calls = matrixAt(house.url);
    expect(await list()).toEqual(before);
  });
});

inBothCompositions("matrixd: its client speaks of judgement by the same interface", (start) => {
  test("judges, decides, records, lists, retires, and passes errors on", async () => {
    const house = await start();
    const client = createMatrixdClient(
      createHttpClient({
        service: "matrixd",
        base_url: house.service_urls.matrixd ?? `${house.url}/v1`,
        service_token: serviceKey(house).authorization.slice("Bearer ".length),
        timeout_ms: 20_000,
      }),
    );
    expect((await client.relevance({ focus: FOCUS, chunks: CHUNKS })).chunks).toHaveLength(CHUNKS.length);
    const big = { model: "claude-opus-4", mode: "rich" };
    expect(await client.downgrade(big)).toMatchObject({ mode: "lean" });
    expect(await client.recordOutcome({ ...big, success: true })).toMatchObject({ total: 1 });
    expect((await client.outcomes({ limit: 1 })).outcomes).toMatchObject([big]);
    await matrixAt(house.url).fill("notes", [{ id: "1", text: "notes" }]);
    const answer = { corpus: "notes", id: "1" };
    const { id } = await client.recordPlaybook({ query: "one", answer });
    expect(await client.recordPlaybooks([{ query: "two", answer }])).toEqual({ accepted: 1, duplicates: 0 });
    expect((await client.playbooks({ corpus: "notes", retired: false })).playbooks).toHaveLength(2);
    expect(await client.retirePlaybook({ id })).toMatchObject({ id, strength: 0 });
    await expect(client.retirePlaybook({ id })).rejects.toMatchObject({ code: "conflict" });
    await expect(client.relevance({ focus: FOCUS, chunks: [] })).rejects.toMatchObject({ code: "invalid" });
  });
});
