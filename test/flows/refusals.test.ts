/** What a request is refused with says what to send instead, in words and not in the validator's. */
import { expect, test } from "bun:test";
import { inBothCompositions } from "../support/house.ts";

interface Problem {
  status: number;
  detail: string;
  errors: { path: string; message: string }[];
}

const JSON_TYPE = { "content-type": "application/json" };
const post = (body: unknown) => ({ method: "POST", headers: JSON_TYPE, body: JSON.stringify(body) });
const csv = { method: "POST", headers: { "content-type": "text/csv" }, body: "a\n1\n" };
const REFUSED = "The request is not valid: ";
const MODES = '"create", "append", "overwrite", "upsert"';

inBothCompositions("a refusal", (start) => {
  const refusal = async (path: string, init?: RequestInit): Promise<Problem> => {
    const house = await start();
    const response = await fetch(house.url + path, init);
    const problem = (await response.json()) as Problem;
    expect([path, response.status, problem.status]).toEqual([path, 400, 400]);
    return problem;
  };

  test("names the parameter, what it must be and what came", async () => {
    const limit = await refusal("/v1/storage/list?prefix=5&limit=999999999");
    expect(limit.errors).toEqual([
      { path: "query/limit", message: "must be a whole number from 1 to 1000; got 999999999" },
    ]);
    expect(limit.detail).toBe(`${REFUSED}query/limit must be a whole number from 1 to 1000; got 999999999`);
    const two = await refusal("/v1/storage/list?prefix=5000&limit=5000");
    expect(two.errors.map(({ path }) => path)).toEqual(["query"]);
  });

  test.each<[string, RequestInit | undefined, string]>([
    ["/v1/observer/ops?limit=abc", undefined, 'query/limit must be a whole number from 1 to 1000; got "abc"'],
    ["/v1/observer/ops?success=yes", undefined, 'query/success must be true or false; got "yes"'],
    ["/v1/ingest?name=a&mode=replace", csv, `query/mode must be one of ${MODES}; got "replace"`],
    ["/v1/ingest?name=a&evolve=yes", csv, 'query/evolve must be true or false; got "yes"'],
    ["/v1/sql", post({ sql: "x", max_rows: -1 }), "max_rows must be a whole number of at least 1; got -1"],
    ["/v1/sql", post({ sql: ["x"] }), "sql must be a text, not empty; got a list of 1"],
    ["/v1/observer/event", post({ endpoint: "x", success: 1 }), "success must be true or false; got 1"],
    [
      "/v1/catalog/plan",
      post({ name: "a", filters: [{ column: "c", op: "~", values: [] }] }),
      'filters/0/op must be one of "=", "<", "<=", ">", ">=", "in", "is_null", "not_null"; got "~"',
    ],
    [
      "/v1/catalog/evolve/a",
      post({ changes: [{ change: "drop", path: "a" }, { change: "drop" }] }),
      "changes/1/path is required",
    ],
  ])("says what is taken: %s", async (path, init, sentence) => {
    expect((await refusal(path, init)).detail).toBe(REFUSED + sentence);
  });

  test.each<[string, RequestInit]>([
    ["/v1/ingest?name=my-table", csv],
    ["/v1/catalog/manifest/my-table", {}],
  ])("says how a table may be called: %s", async (path, init) => {
    const { detail } = await refusal(path, init);
    expect(detail).toEndWith(
      '/name must be [namespace.]table, each of letters, digits and _, not starting with a digit, at most 128 long; got "my-table"',
    );
    const { service_urls, url } = await start();
    const documents = await Promise.all(
      [url, ...Object.values(service_urls)].map(async (it) => (await fetch(`${it}/swagger/json`)).text()),
    );
    for (const text of documents) expect(text).not.toContain("not starting with a digit");
  });

  test("of a list that is too long does not read it through", async () => {
    const ids = Array.from({ length: 50_000 }, (_, at) => at);
    const { errors } = await refusal("/v1/vectors/index/any/get", post({ ids }));
    expect(errors).toHaveLength(1);
    expect(errors[0]?.message).toBe("must be a list of 1 to 10000 items; got a list of 50000");
  });

  test("shows no more of a value or a name than tells it apart", async () => {
    const long = "x".repeat(5000);
    const { detail } = await refusal("/v1/observer/event", post({ endpoint: "x", success: long }));
    expect(detail).toEndWith(`got "${"x".repeat(100)}"… (5000 characters)`);
    expect(JSON.stringify(await refusal("/v1/sql", post({ sql: "x", [long]: 1 }))).length).toBeLessThan(1000);
  });

  test("knows members that are unknown or missing, each once", async () => {
    expect((await refusal("/v1/storage/list?limt=5")).errors).toEqual([
      { path: "query/limt", message: 'is not known (did you mean "limit"?)' },
    ]);
    const sql = await refusal("/v1/sql", post({ limit: 5 }));
    expect(sql.detail).toBe(
      `${REFUSED}limit is not known (known: sql, params, as_of, max_rows, timeout_ms); sql is required`,
    );
    expect(sql.errors).toEqual([
      { path: "/sql", message: "is required" },
      { path: "/limit", message: "is not known (known: sql, params, as_of, max_rows, timeout_ms)" },
    ]);
  });
});

inBothCompositions("a stranger", (start) => {
  test("is led from / and from a path without /v1 to the API's page", async () => {
    const house = await start();
    const root = await fetch(house.url, { redirect: "manual" });
    expect([root.status, root.headers.get("location")]).toEqual([302, "/swagger"]);
    const sql = await fetch(`${house.url}/sql`, post({ sql: "SELECT 1" }));
    expect([sql.status, ((await sql.json()) as Problem).detail]).toEqual([
      404,
      "There is no route POST /sql. Did you mean /v1/sql? All routes are listed at /swagger.",
    ]);
  });
});
