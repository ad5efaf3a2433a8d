/** Who may record, list and retire playbooks, at the wire, in both compositions. */
import { expect, test } from "bun:test";
import type { Playbook, PlaybooksPage } from "../../src/services/matrixd/schema.ts";
import { createKey } from "../../src/shared/keys.ts";
import { inBothCompositions } from "../support/house.ts";
import { type MatrixCalls, matrixAt } from "../support/matrix.ts";
import type { Problem } from "../support/vectors.ts";

type Keys = [CreatedKey, CreatedKey, CreatedKey];
type CreatedKey = ReturnType<typeof createKey>;
type Calls = [MatrixCalls, MatrixCalls, MatrixCalls];

inBothCompositions("matrixd: playbooks tell of a corpus what a search of it would", (start) => {
  test("an unknown corpus is 404, one that the key may not read 403, and its queries are not listed", async () => {
    const [admin, reader, outsider] = ["admin", "reader", "outsider"].map((name) => createKey(name)) as Keys;
    const matrix = ["matrixd:read", "matrixd:write"];
    const { url } = await start({
      LAKEHOUSE_KEYS: JSON.stringify([
        { name: "admin", sha256: admin.sha256, scopes: ["*"] },
        { name: "reader", sha256: reader.sha256, scopes: [...matrix, "vectord:read"] },
        { name: "outsider", sha256: outsider.sha256, scopes: matrix },
      ]),
    });
    const [all, reads, outside] = [admin, reader, outsider].map(({ key }) => matrixAt(url, key)) as Calls;
    await all.fill("handbook", [{ id: "a", text: "leave" }]);
    await all.send("POST", "/corpora", { name: "memory", kind: "pathway" });
    const record = (calls: MatrixCalls, corpus: string) =>
      calls.send<Problem & Playbook>("POST", "/playbooks/record", {
        query: `of ${corpus}`,
        answer: { corpus, id: "a" },
      });
    const refused = (scope: string) => ({
      status: 403,
      body: { code: "forbidden", detail: expect.stringContaining(scope) },
    });
    const unknown = await record(all, "handbok");
    expect(unknown).toMatchObject({
      status: 404,
      body: { code: "not_found", detail: expect.stringContaining('did you mean "handbook"?') },
    });
    expect((await record(reads, "handbook")).status).toBe(200);
    expect(await record(outside, "handbook")).toMatchObject(refused("vectord:read"));
    expect(await record(reads, "memory")).toMatchObject(refused("pathwayd:read"));
    const { id } = (await record(all, "memory")).body;
    const both = ["handbook", "memory"].map((corpus) => ({ query: "both", answer: { corpus, id: "a" } }));
    const bulk = (calls: MatrixCalls) => calls.send("POST", "/playbooks/bulk", { playbooks: both });
    expect(await bulk(reads)).toMatchObject(refused("pathwayd:read"));

    const list = async (calls: MatrixCalls, query = "") => {
      const { body } = await calls.send<PlaybooksPage>("GET", `/playbooks${query}`);
      return body.playbooks.map((it) => it.query);
    };
    expect(await list(all)).toEqual(["of handbook", "of memory"]);
    expect(await list(reads)).toEqual(["of handbook"]);
    expect(await list(outside)).toEqual([]);
    expect(await list(reads, "?limit=1")).toEqual(["of handbook"]);
    expect(await reads.send("GET", "/playbooks?corpus=memory")).toMatchObject(refused("pathwayd:read"));
    expect(await reads.send("POST", "/playbooks/retire", { id })).toMatchObject(refused("pathwayd:read"));
    // Of a corpus that is no more nobody knows what it needed.
    expect((await all.send("DELETE", "/corpora/handbook")).status).toBe(204);
    expect(await list(reads)).toEqual([]);
    expect(await list(all)).toEqual(["of handbook", "of memory"]);
    expect((await all.send("POST", "/playbooks/retire", { id })).status).toBe(200);
  }, 30_000);
});
