/** The words of a refusal, whichever rule of a schema refused: what it must be, what came, and which names are known. */
import { expect, test } from "bun:test";
import { inBothCompositions } from "../support/house.ts";

interface Problem {
  detail: string;
  errors: { path: string; message: string }[];
}

const REFUSED = "The request is not valid: ";
const long = "x".repeat(100_000);
const SHOWN_LONG = `"${"x".repeat(100)}"… (100000 characters)`;
const UID = "01a20849-1802-7327-ad81-ef852a4a0d84";
const LABEL = "a text that is not blank, of at most 256 characters";
const CONTENT = "a text that is not blank, or a JSON object or list";
const corpus = (more: object) => ({ name: "c", kind: "index", index: "i", ...more });

inBothCompositions("a refusal tells", (start) => {
  let house: ReturnType<typeof start> | undefined;
  const running = () => {
    house ??= start();
    return house;
  };
  const refuse = async (path: string, body: unknown, type = "application/json"): Promise<Problem> => {
    const { url } = await running();
    const response = await fetch(`${url}/v1${path}`, {
      method: "POST",
      headers: { "content-type": type },
      body: typeof body === "string" ? body : JSON.stringify(body),
    });
    const problem = (await response.json()) as Problem;
    expect([path, response.status, problem.detail]).toEqual([path, 400, expect.any(String)]);
    return problem;
  };

  test.each<[string, unknown, string]>([
    [
      "/vectors/index/i/delete",
      {},
      "the body must have at least one of ids, filter, erase; got none of them",
    ],
    ["/vectors/index/i/fields", {}, "the body must have at least one of add, remove; got none of them"],
    [
      "/pathway/update",
      { uid: UID },
      "the body must have, beside uid, at least one of version, content, tags, kind, subject, valid_from, valid_to, expires_at; got none of them",
    ],
    ["/matrix/corpora", corpus({ weight: 0 }), "weight must be a number above 0 and at most 100; got 0"],
    ["/matrix/corpora", corpus({ weight: 101 }), "weight must be a number above 0 and at most 100; got 101"],
    [
      "/matrix/search",
      { query: "q", corpora: ["h2", "h1", "h1"] },
      'corpora must be a list in which nothing stands twice; got "h1" twice',
    ],
    [
      "/matrix/search",
      { query: long },
      `query must be a text of at most 10000 characters; got ${SHOWN_LONG}`,
    ],
    [
      "/matrix/search",
      { query: " " },
      'query must be a text that is not blank, of at most 10000 characters; got " "',
    ],
    [
      "/pathway/search",
      { query: long },
      `query must be a text of at most 10000 characters; got ${SHOWN_LONG}`,
    ],
    [
      "/pathway/search",
      { query: "" },
      'query must be a text that is not blank, of at most 10000 characters; got ""',
    ],
    ["/pathway/add", { content: "" }, `content must be ${CONTENT}; got ""`],
    ["/pathway/add", { content: 7 }, `content must be ${CONTENT}; got 7`],
    ["/pathway/add", { content: "x", tags: [1] }, `tags/0 must be ${LABEL}; got 1`],
    [
      "/pathway/add",
      { content: "x", scope: { User: "ada" } },
      "scope/User is no name that may stand here: it must fit ^[a-z][a-z0-9_]{0,63}$",
    ],
    [
      "/matrix/corpora",
      corpus({ index: "_pathway" }),
      'index must be an index\'s name: a-z, 0-9, _ and -, at most 128 characters, a letter or digit first; got "_pathway"',
    ],
    [
      "/vectors/index",
      { name: "i", dimension: "3" },
      'dimension must be a whole number from 1 to 65536; got "3"',
    ],
    ["/sql", { sql: "SELECT 1", max_rows: "5" }, 'max_rows must be a whole number of at least 1; got "5"'],
    ["/vectors/index", [], "the body must be an object; got a list of 0"],
    ["/matrix/search", [], "the body must be an object; got a list of 0"],
    [
      "/pathway/outcome",
      { uid: UID, outcome: "success" },
      "outcome is not known (known: uid, version, result, score); result is required",
    ],
    ["/pathway/search", { tag: ["a"] }, 'tag is not known (did you mean "tags"?)'],
  ])("what %s wants instead of %j", async (path, body, sentence) => {
    expect((await refuse(path, body)).detail).toBe(REFUSED + sentence);
  });

  const CONDITION = "must have, beside key, exactly one of match, any, range, exists, is_null";
  test.each<[unknown, string]>([
    [{ must: [{ match: 1 }] }, "filter/must/0/key is required"],
    [{ must: [{ key: "a", matches: 1 }] }, 'filter/must/0/matches is not known (did you mean "match"?)'],
    [{ must: [{ key: "a" }] }, `filter/must/0 ${CONDITION}; got none of them`],
    [{ must: [{ key: "a", match: 1, any: [1] }] }, `filter/must/0 ${CONDITION}; got match, any`],
    [
      { should: [{ key: "a", range: {} }] },
      "filter/should/0/range must have at least one of gt, gte, lt, lte; got none of them",
    ],
    [
      { must: [{ key: "a", range: { above: 1 } }] },
      "filter/must/0/range/above is not known (known: gt, gte, lt, lte)",
    ],
    [
      { must: [{ key: "a", match: [1] }] },
      "filter/must/0/match must be a text or a number or true or false; got a list of 1",
    ],
    [
      { must: [{ must: [{ key: "a", match: 1 }], not: [] }] },
      "filter/must/0/not is not known (known: must, should, must_not)",
    ],
    [{ must: ["a"] }, 'filter/must/0 must be an object; got "a"'],
  ])("what a filter wants instead of %j", async (filter, sentence) => {
    const { url } = await running();
    await fetch(`${url}/v1/vectors/index`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ name: "i", dimension: 2 }),
    });
    const { detail, errors } = await refuse("/vectors/index/i/search", { vector: [1, 0], filter });
    expect(detail).toBe(`The filter is not valid: ${sentence}`);
    expect(errors.map(({ path }) => path)).toContain(sentence.split(" ")[0] as string);
  });
});
