/** `where` in SQL against the same filter asked of each row in TypeScript, for any rows, filters and hostile texts. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { type DuckDBConnection, DuckDBInstance } from "@duckdb/node-api";
import fc from "fast-check";
import { whereOf } from "../../src/services/vectord/where.ts";
import { quoteName, quoteText } from "../../src/shared/duckdb/quote.ts";
import { holds, readFilter } from "../../src/shared/filter.ts";
import type { Clause, Filter } from "../../src/shared/filter_schema.ts";
import type { IcebergField, IcebergType } from "../../src/shared/iceberg.ts";

/** Names that would be SQL, were they not quoted. */
const ODD = 'a"; DROP TABLE rows; --';
const LIST: IcebergType = { type: "list", "element-id": 9, element: "string", "element-required": false };
const TYPES: Record<string, IcebergType> = {
  [ODD]: "string",
  "it's": "long",
  f: "double",
  yes: "boolean",
  tags: LIST,
};
const SQL_TYPES = ["VARCHAR", "BIGINT", "DOUBLE", "BOOLEAN", "VARCHAR[]"];
const FIELDS: IcebergField[] = Object.entries(TYPES).map(([name, type], id) => ({
  id,
  name,
  required: false,
  type,
}));

const text = fc.oneof(
  fc.constantFrom("a", "b", "' OR 1=1 --", "'", "''", "\\'", '"', ");", "$1", "?", "%", "\n", "é", "E'\\x27"),
  fc.string({ maxLength: 4 }).filter((it) => !it.includes("\0")),
);
const whole = fc.constantFrom(-1, 0, 1, 2, 2 ** 53 - 1);
const number = fc.constantFrom(-1.5, 0, 0.1, 1, 2, 1e300);
const VALUES: Record<string, fc.Arbitrary<string | number | boolean>> = {
  [ODD]: text,
  "it's": whole,
  f: number,
  yes: fc.boolean(),
  tags: text,
};
const rowArb = fc.record({
  [ODD]: fc.option(text),
  "it's": fc.option(whole),
  f: fc.option(number),
  yes: fc.option(fc.boolean()),
  tags: fc.option(fc.array(fc.option(text), { maxLength: 3 })),
});
const conditionArb: fc.Arbitrary<Clause> = fc.constantFrom(...Object.keys(VALUES)).chain((key) => {
  const value = VALUES[key] as fc.Arbitrary<string | number | boolean>;
  const bound = key === "yes" ? fc.constantFrom(0) : (value as fc.Arbitrary<string | number>);
  const range = fc.record(
    { gt: bound, gte: bound, lt: bound, lte: bound },
    { requiredKeys: [], noNullPrototype: true },
  );
  return fc.oneof(
    value.map((match) => ({ key, match })),
    fc.array(value, { maxLength: 3 }).map((any) => ({ key, any })),
    fc.boolean().map((exists) => ({ key, exists })),
    fc.boolean().map((is_null) => ({ key, is_null })),
    ...(key === "yes"
      ? []
      : [range.filter((it) => Object.keys(it).length > 0).map((it) => ({ key, range: it }))]),
  );
});
const { filterArb } = fc.letrec<{ filterArb: Filter; clause: Clause }>((tie) => ({
  clause: fc.oneof({ depthSize: "small" }, conditionArb, tie("filterArb")),
  filterArb: fc.record(
    Object.fromEntries(
      ["must", "should", "must_not"].map((it) => [it, fc.array(tie("clause"), { maxLength: 3 })]),
    ) as Record<"must" | "should" | "must_not", fc.Arbitrary<Clause[]>>,
    { requiredKeys: [], noNullPrototype: true },
  ),
}));

let connection: DuckDBConnection;
beforeAll(async () => {
  connection = await (await DuckDBInstance.create(":memory:")).connect();
});
afterAll(() => connection.closeSync());

const literal = (value: unknown): string => {
  if (value === null) return "NULL";
  if (Array.isArray(value)) return `[${value.map(literal).join(", ")}]::VARCHAR[]`;
  return typeof value === "string" ? quoteText(value) : String(value);
};

test("the same rows are taken as the filter takes", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(rowArb, { maxLength: 8 }), filterArb, async (rows, filter) => {
      const columns = FIELDS.map(({ name }, at) => `${quoteName(name)} ${SQL_TYPES[at]}`);
      await connection.run(`CREATE OR REPLACE TABLE rows (place INTEGER, ${columns.join(", ")})`);
      for (const [at, row] of rows.entries()) {
        const values = FIELDS.map(({ name }) => literal((row as Record<string, unknown>)[name]));
        await connection.run(`INSERT INTO rows VALUES (${[at, ...values].join(", ")})`);
      }
      const where = whereOf(filter, FIELDS);
      const taken = await connection.runAndReadAll(`SELECT place FROM rows WHERE ${where} ORDER BY place`);
      const tree = readFilter(filter);
      const wanted = rows.flatMap((row, at) => (holds(tree, row) ? [at] : []));
      expect(taken.getRows().map(([at]) => at as number)).toEqual(wanted);
      const counted = await connection.runAndReadAll(`SELECT count(*) FROM rows WHERE (${where}) IS NULL`);
      expect(Number(counted.getRows()[0]?.[0])).toBe(0);
    }),
    { numRuns: 300 },
  );
}, 60_000);

test("times, wide numbers, UUIDs and members of structs are compared as what they are", async () => {
  const struct: IcebergType = {
    type: "struct",
    fields: [{ id: 5, name: "City", required: false, type: "string" }],
  };
  const types: Record<string, IcebergType> = {
    d: "date",
    t: "timestamptz",
    l: "long",
    f: "float",
    u: "uuid",
    at: struct,
    b: "binary",
    n: "decimal(9, 2)",
  };
  const fields = Object.entries(types).map(([name, type], id) => ({ id, name, required: false, type }));
  await connection.run(
    `CREATE OR REPLACE TABLE kinds AS SELECT DATE '2026-01-31' AS d, TIMESTAMPTZ '2026-01-31 09:30:00.5+00' AS t,
     9007199254740993::BIGINT AS l, 0.1::FLOAT AS f, '0196b9c2-0d11-7a52-b1c7-1a4f6c7e2b90'::UUID AS u,
     {'City': 'Oslo'} AS at, 'x'::BLOB AS b, 12.34::DECIMAL(9, 2) AS n`,
  );
  const holdsFor = async (clause: Clause) => {
    const where = whereOf({ must: [clause] }, fields);
    return (await connection.runAndReadAll(`SELECT 1 FROM kinds WHERE ${where}`)).getRows().length === 1;
  };
  expect(await holdsFor({ key: "d", match: "2026-01-31" })).toBe(true);
  expect(await holdsFor({ key: "d", range: { lt: "2026-01-31T00:00:00Z" } })).toBe(false);
  expect(await holdsFor({ key: "t", range: { gt: "2026-01-31T10:30:00+01:00" } })).toBe(true);
  expect(await holdsFor({ key: "t", match: "2026-01-31T09:30:00.5Z" })).toBe(true);
  expect(await holdsFor({ key: "l", match: "9007199254740993" })).toBe(true);
  expect(await holdsFor({ key: "l", match: "9007199254740992" })).toBe(false);
  expect(await holdsFor({ key: "f", match: 0.1 })).toBe(true);
  expect(await holdsFor({ key: "n", any: [12.34] })).toBe(true);
  expect(await holdsFor({ key: "u", match: "0196B9C2-0d11-7a52-b1c7-1a4f6c7e2b90" })).toBe(true);
  expect(await holdsFor({ key: "at.city", match: "Oslo" })).toBe(true);
  expect(await holdsFor({ key: "b", is_null: true })).toBe(false);
  for (const clause of [
    { key: "b", match: "x" },
    { key: "at", match: "Oslo" },
    { key: "d", match: "2026-02-30" },
    { key: "u", match: "a\0b" },
    { key: "n", match: "12.34" },
  ])
    expect(() => whereOf({ must: [clause] }, fields)).toThrow("where can't ask");
});
