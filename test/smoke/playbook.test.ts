/** Playbooks through the gateway: what answered once is found for a near query, also after a kill. */
import { expect, test } from "bun:test";
import { matrixAt } from "../support/matrix.ts";
import { inBothCompositionsOfProcesses } from "../support/processes.ts";

inBothCompositionsOfProcesses("smoke playbook", (start) => {
  test("an answer is recorded, brought in for a near query, silenced by failures; a kill forgets nothing", async () => {
    const lake = await start();
    const calls = matrixAt(lake.url);
    const noise = Array.from({ length: 60 }, (_, at) => ({
      id: `noise-${at}`,
      text: `New keys for the payment service in region ${at} come from the desk of region ${at}.`,
    }));
    await calls.fill("notes", [...noise, { id: "answer", text: "Run pay-rotate, and sign the form." }]);
    const record = async (outcome: string) => {
      const answer = { corpus: "notes", id: "answer" };
      const body = { query: "a new key for the payment service", answer, outcome };
      expect((await calls.send("POST", "/playbooks/record", body)).status).toBe(200);
    };
    const answer = async () => {
      const { results } = await calls.search({
        query: "how do I get a new payment service key?",
        k: 100,
        per_corpus_k: 20,
      });
      return results.find(({ id }) => id === "answer")?.provenance;
    };
    const restart = async () => {
      const target = lake.targetOf("matrixd");
      await lake.kill(target, "SIGKILL");
      await lake.restart(target);
    };
    expect(await answer()).toBeUndefined();
    await record("success");
    const found = await answer();
    expect(found?.playbooks?.boost).toBeGreaterThan(0);
    await restart();
    expect(await answer()).toEqual(found);
    await record("failure");
    expect(await answer()).toBeUndefined();
    await restart();
    expect(await answer()).toBeUndefined();
  }, 60_000);
});
