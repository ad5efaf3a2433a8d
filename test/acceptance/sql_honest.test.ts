/** Honest SQL: every query answered through the gateway as DuckDB in process answers it over the same files. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { rmSync } from "node:fs";
import { join } from "node:path";
import {
  DuckDBArrayValue,
  DuckDBBlobValue,
  type DuckDBConnection,
  DuckDBDateValue,
  DuckDBInstance,
  DuckDBListValue,
  DuckDBMapValue,
  DuckDBStructValue,
  DuckDBTimestampTZValue,
  DuckDBTimestampValue,
  type DuckDBType,
  DuckDBUnionValue,
  type DuckDBValue,
} from "@duckdb/node-api";
import { type RunningHouse, startHouse } from "../support/house.ts";
import { lakeAt } from "../support/lake.ts";
import { sendSql, sql } from "../support/sql.ts";
import { type Honest, queries } from "./honest/queries.ts";
import { makeTables } from "./honest/tables.ts";

setDefaultTimeout(60_000);

let house: RunningHouse;
let reference: DuckDBConnection;

beforeAll(async () => {
  house = await startHouse("mounted", { LAKEHOUSE_QUERYD_WORKERS: "1" });
  const lake = lakeAt(house);
  reference = await (await DuckDBInstance.create(":memory:", { threads: "2" })).connect();
  await reference.run("SET TimeZone = 'UTC'");
  for (const name of await makeTables(lake)) {
    const plan = await lake.catalog.plan({ name });
    const files = plan.files.map((file) => `'${join(house.data_dir, "storage", file.key)}'`);
    await reference.run(`CREATE VIEW ${name} AS FROM read_parquet([${files.join(", ")}])`);
  }
});

afterAll(async () => {
  await house.stop();
  rmSync(house.data_dir, { recursive: true, force: true });
});

/** A value as docs/sql.md says it is answered, made from DuckDB's own value by other code than the service's. */
function expected(value: DuckDBValue, type: DuckDBType | undefined): unknown {
  if (value === null) return null;
  if (typeof value === "bigint") return Number.isSafeInteger(Number(value)) ? Number(value) : String(value);
  if (typeof value === "number") {
    if (!Number.isFinite(value)) return String(value);
    return String(type) === "FLOAT" ? shortest(value) : near(value);
  }
  if (typeof value === "boolean") return value;
  if (typeof value === "string") return type?.alias === "JSON" ? sorted(JSON.parse(value)) : value;
  const inner = type as unknown as {
    valueType?: DuckDBType;
    entryTypes?: DuckDBType[];
    memberTypes?: DuckDBType[];
  };
  if (value instanceof DuckDBListValue || value instanceof DuckDBArrayValue)
    return value.items.map((item) => expected(item, inner.valueType));
  if (value instanceof DuckDBStructValue) {
    const entries = Object.entries(value.entries).map(([name, it], i): [string, unknown] => [
      name,
      expected(it, inner.entryTypes?.[i]),
    ]);
    return sorted(Object.fromEntries(entries));
  }
  if (value instanceof DuckDBMapValue)
    return sorted(
      Object.fromEntries(value.entries.map((it) => [String(it.key), expected(it.value, inner.valueType)])),
    );
  if (value instanceof DuckDBUnionValue) return { [value.tag]: expected(value.value, undefined) };
  if (value instanceof DuckDBBlobValue) return Buffer.from(value.bytes).toString("base64");
  if (value instanceof DuckDBDateValue && !value.isFinite) return value.days > 0 ? "infinity" : "-infinity";
  if (value instanceof DuckDBTimestampTZValue)
    return `${new DuckDBTimestampValue(value.micros).toString().replaceAll(" ", "T")}Z`;
  return String(type).startsWith("TIMESTAMP") ? String(value).replaceAll(" ", "T") : String(value);
}

/** The fewest digits that name this 32-bit float. */
function shortest(value: number): number {
  let digits = 1;
  while (Math.fround(Number(value.toPrecision(digits))) !== value) digits++;
  return Number(value.toPrecision(digits)) + 0;
}

/** The order in which threads add doubles is not fixed: the last digits are nobody's answer. */
function near(value: number): number {
  return Number(value.toPrecision(12)) + 0;
}

/** What was received, brought to the same form: doubles to 12 digits, members by name. */
function received(value: unknown): unknown {
  if (typeof value === "number") return Number.isSafeInteger(value) ? value + 0 : near(value);
  return sorted(value);
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(received);
  if (typeof value !== "object" || value === null) return typeof value === "number" ? received(value) : value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, it]) => [name, received(it)]),
  );
}

const isOrdered = (text: string) => /ORDER BY [^()]*(\([^()]*\)[^()]*)*$/i.test(text);

/** Rows to compare: in their order where the query gives one, else by their text. */
function comparable(text: string, rows: unknown[][]): unknown[][] {
  if (isOrdered(text)) return rows;
  return rows
    .map((row) => ({ row, key: JSON.stringify(row) }))
    .sort((a, b) => (a.key < b.key ? -1 : 1))
    .map((it) => it.row);
}

async function check(query: Honest): Promise<void> {
  const { sql: text, params } = typeof query === "string" ? { sql: query, params: undefined } : query;
  const values = params as DuckDBValue[] | Record<string, DuckDBValue> | undefined;
  const result = await reference.runAndReadAll(text, values);
  const types = result.columnTypes();
  const right = comparable(
    text,
    result.getRows().map((row) => row.map((value, i) => received(expected(value, types[i])))),
  );
  const ask = { sql: text, ...(params ? { params } : {}), max_rows: 100_000 };
  const answer = await sql(house, ask);
  expect(answer.columns.map((it) => it.name)).toEqual(result.columnNames());
  expect(
    comparable(
      text,
      answer.rows.map((row) => row.map(received)),
    ),
  ).toEqual(right);
  if (new Set(result.columnNames().map((it) => it.toLowerCase())).size < types.length) return;
  const stream = await (await sendSql(house, ask, "application/x-ndjson")).text();
  const lines =
    stream === ""
      ? []
      : stream
          .trimEnd()
          .split("\n")
          .map((line) => JSON.parse(line) as Record<string, unknown>);
  const rows = lines.map((line) => result.columnNames().map((name) => received(line[name])));
  expect(comparable(text, rows)).toEqual(right);
}

describe("honest SQL", () => {
  const all = Object.entries(queries).flatMap(([kind, list]) => list.map((query) => ({ kind, query })));

  test("there are at least 300 queries of every kind, none twice", () => {
    expect(all.length).toBeGreaterThanOrEqual(300);
    expect(new Set(all.map(({ query }) => JSON.stringify(query))).size).toBe(all.length);
  });

  for (const [kind, list] of Object.entries(queries))
    test(`${kind}: ${list.length} answers equal to DuckDB's, as JSON and as NDJSON`, async () => {
      const wrong: string[] = [];
      for (const query of list)
        await check(query).catch((error: Error) =>
          wrong.push(`${JSON.stringify(query)}\n${error.message.slice(0, 1500)}`),
        );
      expect(wrong.join("\n\n")).toBe("");
    });
});
