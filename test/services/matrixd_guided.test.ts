/** What playbooks and relevance change of a search, at the wire, in both compositions. */
import { beforeAll, expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { inBothCompositions, type RunningHouse } from "../support/house.ts";
import { type MatrixCalls, matrixAt } from "../support/matrix.ts";
import { vectorsAt } from "../support/vectors.ts";

const QUERY = "how do I get a new key for the payment service?";
/** Enough that is nearer to the query than the answer, so that a corpus of it does not give the answer by itself. */
const NOISE = Array.from({ length: 60 }, (_, at) => ({
  id: `noise-${at}`,
  text: `How to get a new key for the payment service in region ${at}: ask the desk of region ${at}.`,
}));
const ANSWER = { id: "answer", text: "Run pay-rotate, and sign the form.", metadata: { kind: "runbook" } };

inBothCompositions("matrixd: a search with playbooks", (start) => {
  let house: RunningHouse;
  let calls: MatrixCalls;
  beforeAll(async () => {
    house = await start();
    calls = matrixAt(house.url);
    await calls.fill("notes", [...NOISE, ANSWER]);
    await calls.fill("others", [{ id: "answer", text: "The weather in Oslo is cold." }]);
  });
  const record = async (outcome: string, query = "get a new key for the payment service") => {
    const answer = { corpus: "notes", id: "answer" };
    const sent = await calls.send<{ id: string }>("POST", "/playbooks/record", { query, answer, outcome });
    expect(sent.status).toBe(200);
    return sent.body.id;
  };
  const placeOf = async (more: object = {}) => {
    const { results, warnings } = await calls.search({ query: QUERY, k: 100, ...more });
    expect(warnings).toEqual([]);
    const at = results.findIndex(({ corpus, id }) => corpus === "notes" && id === "answer");
    return { at, hit: results[at] };
  };

  test("the answer of a near query is brought in and raised, and says by what; turned off, it is not", async () => {
    expect((await placeOf({ corpora: ["notes"], per_corpus_k: 20 })).at).toBe(-1);
    const plain = await placeOf({ rerank: false });
    const id = await record("success");
    const { at, hit } = await placeOf({ corpora: ["notes"], per_corpus_k: 20, rerank: false });
    expect(at).toBeGreaterThanOrEqual(0);
    expect(hit).toMatchObject({
      text: ANSWER.text,
      metadata: ANSWER.metadata,
      provenance: { playbooks: { ids: [id] } },
    });
    expect(hit?.provenance.playbooks?.boost).toBeGreaterThan(0);
    expect(hit?.provenance.stages.map(({ stage }) => stage)).toEqual(["merged", "boosted"]);
    const once = await placeOf({ rerank: false });
    expect(once.hit?.provenance.stages[0]?.stage).toBe("retrieved");
    for (let more = 0; more < 20; more++) await record("success");
    const often = await placeOf({ rerank: false });
    expect(often.hit?.score).toBeGreaterThan(once.hit?.score as number);
    expect(often.hit?.score).toBeLessThan((plain.hit?.score as number) + 0.8);
    expect((await placeOf({ rerank: false, playbooks: false })).hit?.score).toBe(plain.hit?.score as number);
  });

  test("only in the corpus it speaks of, not past a filter, and not for a query that is far", async () => {
    const { results } = await calls.search({ query: QUERY, corpora: ["others"] });
    expect(results.every(({ provenance }) => provenance.playbooks === undefined)).toBe(true);
    const filter = { must: [{ key: "kind", match: "memo" }] };
    expect((await placeOf({ filter })).at).toBe(-1);
    const far = await calls.search({ query: "will it snow in the mountains tomorrow?", k: 100 });
    expect(far.results.some(({ provenance }) => provenance.playbooks !== undefined)).toBe(false);
  });

  test("failures silence it, and so does retiring; an answer that is gone is no error", async () => {
    for (let failure = 0; failure < 21; failure++) await record("failure");
    expect((await placeOf()).hit?.provenance.playbooks).toBeUndefined();
    const id = await record("success", "a new payment key");
    expect((await placeOf()).hit?.provenance.playbooks?.ids).toEqual([id]);
    expect((await calls.send("POST", "/playbooks/retire", { id })).status).toBe(200);
    expect((await placeOf()).hit?.provenance.playbooks).toBeUndefined();
    await record("success", "payment service key, new");
    await vectorsAt(house.url).remove("notes", { ids: ["answer"] });
    expect((await placeOf()).at).toBe(-1);
  });

  test("relevance drops what is merely near, by the query or by a focus", async () => {
    await calls.fill("services", [
      {
        id: "pay",
        text: "The payment service keeps keys of customers; payKeyRotate makes a new payment key.",
      },
      {
        id: "pay-2",
        text: "A payment key is valid for a year, unless payKeyRotate was called by the payment service.",
      },
      { id: "mail", text: "Mail is sent at night; a queue holds what could not be sent." },
    ]);
    const query = { query: "payKeyRotate of the payment service", corpora: ["services"], rerank: false };
    const all = await calls.search(query);
    expect(all.results.map(({ id }) => id).sort()).toEqual(["mail", "pay", "pay-2"]);
    const judged = await calls.search({ ...query, relevance: {}, explain: true });
    expect(judged.results.map(({ id }) => id).sort()).toEqual(["pay", "pay-2"]);
    expect(judged.results[0]?.provenance.relevance).toBeGreaterThan(0.24);
    expect(judged.results[0]?.provenance.stages.at(-1)?.stage).toBe("judged");
    expect(judged.explain?.stages.at(-1)).toMatchObject({ stage: "judged", hits: 2 });
    const focus = { text: "the queue of mail that could not be sent at night" };
    const mail = await calls.search({ ...query, relevance: { focus } });
    expect(mail.results.map(({ id }) => id)).toEqual(["mail"]);
    const none = await calls.search({ ...query, relevance: { threshold: 1 } });
    expect(none.results).toEqual([]);
  });

  test("a damaged line of the journal is kept aside and told, and costs no other playbook", async () => {
    const list = async () => {
      const { body } = await calls.send<{ playbooks: { query: string }[] }>("GET", "/playbooks");
      return body.playbooks.map((it) => it.query);
    };
    const before = await list();
    await house.stop();
    const path = join(house.data_dir, "matrix", "playbooks.jsonl");
    const lines = readFileSync(path, "utf8").split("\n");
    const damaged = lines.findIndex((line) => line.includes("a new payment key"));
    lines[damaged] = (lines[damaged] as string).replace("a new payment key", "a new payment kez");
    writeFileSync(path, lines.join("\n"));
    house = await start({}, house.data_dir);
    calls = matrixAt(house.url);
    expect(await list()).toEqual(before.filter((query) => query !== "a new payment key"));
    const health = (await (await fetch(`${house.url}/health`)).json()) as {
      services: { matrixd: object };
    };
    expect(health.services.matrixd).toMatchObject({ status: "degraded", playbooks: { corrupt: 1 } });
    expect(readFileSync(`${path}.corrupt`, "utf8")).toContain("kez");
  });
});
