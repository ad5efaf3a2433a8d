/** Tables as views over files that no catalog of ours wrote: without field ids, with position deletes, with odd names. */
import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DuckDBInstance } from "@duckdb/node-api";
import type { TableContent } from "../../src/shared/duckdb/content.ts";
import { Footers } from "../../src/shared/duckdb/footers.ts";
import { bindTable, duckdbType } from "../../src/shared/duckdb/view.ts";
import { columns } from "../support/lake.ts";

const folder = mkdtempSync(join(tmpdir(), "lakehouse-bind-"));
const connection = await (await DuckDBInstance.create(":memory:")).connect();
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const file = (name: string, position_deletes: string[] = []) => ({
  path: join(folder, name),
  location: `s3://lakehouse/warehouse/${name}`,
  position_deletes: position_deletes.map((it) => join(folder, it)),
});

async function write(name: string, sql: string, options = ""): Promise<void> {
  await connection.run(`COPY (${sql}) TO '${join(folder, name)}' (FORMAT parquet${options})`);
}

async function rows(content: TableContent, select: string): Promise<unknown[][]> {
  await bindTable(connection, new Footers(), { schema: "main", view: "t" }, content);
  return (await connection.runAndReadAll(select)).getRowsJson() as unknown[][];
}

test("rows that position deletes name are left out, of the file they name alone", async () => {
  await write("a.parquet", "SELECT range::INTEGER AS id FROM range(5)", ", FIELD_IDS {id: 1}");
  await write("b.parquet", "SELECT (10 + range)::INTEGER AS id FROM range(5)", ", FIELD_IDS {id: 1}");
  await write("c.parquet", "SELECT (20 + range)::INTEGER AS id FROM range(5)", ", FIELD_IDS {id: 1}");
  await write(
    "deletes.parquet",
    "SELECT * FROM (VALUES ('s3://lakehouse/warehouse/a.parquet', 1::BIGINT), ('s3://lakehouse/warehouse/a.parquet', 4), ('s3://lakehouse/warehouse/b.parquet', 0)) AS d(file_path, pos)",
  );
  const fields = columns({ id: "int" });
  const files = [
    file("a.parquet", ["deletes.parquet"]),
    file("b.parquet", ["deletes.parquet"]),
    file("c.parquet"),
  ];
  const content = { fields, name_mapping: null, files };
  expect(await rows(content, "SELECT list(id ORDER BY id) FROM t")).toEqual([
    [[0, 2, 3, 11, 12, 13, 14, 20, 21, 22, 23, 24]],
  ]);
  expect(await rows(content, "SELECT * FROM t WHERE id = 1")).toEqual([]);
  const widened = { ...content, fields: columns({ id: "long" }) };
  expect(await rows(widened, "SELECT count(*), typeof(any_value(id)) FROM t")).toEqual([["12", "BIGINT"]]);
});

test("files without field ids are read by the name mapping, nested names too, else by name", async () => {
  await write(
    "plain.parquet",
    "SELECT 1 AS ident, {'x': 2, 'y': 'z'} AS point, [{'n': 3}] AS items, MAP {'k': {'v': 4}} AS m",
  );
  const fields = columns({
    id: "long",
    point: {
      type: "struct",
      fields: [
        { id: 11, name: "easting", required: false, type: "int" },
        { id: 12, name: "later", required: false, type: "string" },
      ],
    },
    items: {
      type: "list",
      "element-id": 13,
      "element-required": false,
      element: { type: "struct", fields: [{ id: 14, name: "count", required: false, type: "long" }] },
    },
    m: {
      type: "map",
      "key-id": 15,
      key: "string",
      "value-id": 16,
      "value-required": false,
      value: { type: "struct", fields: [{ id: 17, name: "w", required: false, type: "int" }] },
    },
    gone: "string",
  });
  const name_mapping = [
    { "field-id": 1, names: ["id", "ident"] },
    { "field-id": 2, names: ["point"], fields: [{ "field-id": 11, names: ["x"] }] },
    {
      "field-id": 3,
      names: ["items"],
      fields: [{ "field-id": 13, names: ["element"], fields: [{ "field-id": 14, names: ["n"] }] }],
    },
    {
      "field-id": 4,
      names: ["m"],
      fields: [
        { "field-id": 15, names: ["key"] },
        { "field-id": 16, names: ["value"], fields: [{ "field-id": 17, names: ["v"] }] },
      ],
    },
  ];
  expect(await rows({ fields, name_mapping, files: [file("plain.parquet")] }, "SELECT * FROM t")).toEqual([
    ["1", { easting: 2, later: null }, [{ count: "3" }], [{ key: "k", value: { w: 4 } }], null],
  ]);
  const by_name = { fields: columns({ ident: "int" }), name_mapping: null, files: [file("plain.parquet")] };
  expect(await rows(by_name, "SELECT * FROM t")).toEqual([[1]]);
});

test("files with and without field ids stand in one table", async () => {
  await write("with_ids.parquet", "SELECT 1 AS id, 'a' AS label", ", FIELD_IDS {id: 1, label: 2}");
  await write("without_ids.parquet", "SELECT 2 AS id, 'b' AS old_label");
  const content = {
    fields: columns({ id: "int", name: "string" }),
    name_mapping: [
      { "field-id": 1, names: ["id"] },
      { "field-id": 2, names: ["name", "old_label"] },
    ],
    files: [file("with_ids.parquet"), file("without_ids.parquet")],
  };
  expect(await rows(content, "SELECT * FROM t ORDER BY id")).toEqual([
    [1, "a"],
    [2, "b"],
  ]);
});

test("names that are patterns, or full of quotes, are names", async () => {
  await write("x[1]*?.parquet", 'SELECT 7 AS "it\'s ""odd"""', `, FIELD_IDS {"it's ""odd""": 1}`);
  await write("x1.parquet", "SELECT 8 AS other", ", FIELD_IDS {other: 1}");
  const content = {
    fields: columns({ 'it\'s "odd"': "int" }),
    name_mapping: null,
    files: [file("x[1]*?.parquet")],
  };
  expect(await rows(content, "SELECT * FROM t")).toEqual([[7]]);
  const renamed = { ...content, fields: columns({ "re'named \"": "long" }) };
  expect(await rows(renamed, "SELECT * FROM t")).toEqual([["7"]]);
});

test("many files are read without a look at each footer", async () => {
  for (let i = 0; i < 70; i++) await write(`m${i}.parquet`, `SELECT ${i} AS id`, ", FIELD_IDS {id: 1}");
  const files = Array.from({ length: 70 }, (_, i) => file(`m${i}.parquet`));
  expect(
    await rows({ fields: columns({ n: "long" }), name_mapping: null, files }, "SELECT sum(n) FROM t"),
  ).toEqual([["2415"]]);
});

test("types of Iceberg v3 are refused by name", () => {
  expect(() => duckdbType("variant")).toThrow("variant");
});
