/** Pruning never leaves out a file that holds a match: DuckDB is asked which rows match. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { toDataFile } from "../../src/services/catalogd/datafile.ts";
import { footerLength, readFooter } from "../../src/services/catalogd/footer.ts";
import type { DataFile } from "../../src/services/catalogd/manifest.ts";
import type { PlannedFile } from "../../src/services/catalogd/plan.ts";
import { pruner } from "../../src/services/catalogd/prune.ts";
import type { ScanFilter } from "../../src/services/catalogd/schema.ts";
import { columns, parquetOf, rowsOf } from "../support/lake.ts";

const RUNS = 200;
const TIMEOUT_MS = 60_000;

const date = fc.date({ min: new Date("1900-01-01"), max: new Date("2100-01-01"), noInvalidDate: true });
const text = fc.oneof(
  fc.string({ maxLength: 6 }),
  fc.string({ unit: "binary", maxLength: 24 }),
  fc.constantFrom("\u{10FFFF}".repeat(17), "\uD7FF".repeat(17), "a".repeat(16), "a".repeat(17), "", "'"),
);
/** For each Iceberg type: DuckDB's name of it, and values as text. */
const kinds: Record<string, { sql: string; values: fc.Arbitrary<string> }> = {
  int: { sql: "INTEGER", values: fc.integer().map(String) },
  long: { sql: "BIGINT", values: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(String) },
  float: {
    sql: "FLOAT",
    values: fc.oneof(
      fc.float({ noDefaultInfinity: true }).map(plain),
      fc.constantFrom("0.1", "-0.0", "0.0", "nan"),
    ),
  },
  double: {
    sql: "DOUBLE",
    values: fc.oneof(
      fc.double({ noDefaultInfinity: true }).map(plain),
      fc.constantFrom("0.1", "-0.0", "nan"),
    ),
  },
  "decimal(9,2)": {
    sql: "DECIMAL(9,2)",
    values: fc.integer({ min: -999_999_999, max: 999_999_999 }).map((it) => (it / 100).toFixed(2)),
  },
  "decimal(38,3)": {
    sql: "DECIMAL(38,3)",
    values: fc.bigInt({ min: -(10n ** 34n), max: 10n ** 34n }).map((it) => `${it}.125`),
  },
  date: { sql: "DATE", values: date.map((it) => it.toISOString().slice(0, 10)) },
  timestamp: { sql: "TIMESTAMP", values: date.map((it) => it.toISOString().slice(0, 23)) },
  timestamptz: { sql: "TIMESTAMPTZ", values: date.map((it) => it.toISOString().replace("Z", "+00:00")) },
  string: { sql: "VARCHAR", values: text.filter((it) => it.isWellFormed() && !it.includes("\0")) },
  uuid: { sql: "UUID", values: fc.uuid() },
  boolean: { sql: "BOOLEAN", values: fc.constantFrom("true", "false") },
};

function plain(value: number): string {
  return Number.isNaN(value) ? "nan" : String(value);
}

const cases = fc.constantFrom(...Object.keys(kinds)).chain((type) => {
  const { values } = kinds[type] as (typeof kinds)[string];
  return fc.record({
    type: fc.constant(type),
    rows: fc.array(fc.option(values, { freq: 6 }), { minLength: 1, maxLength: 8 }),
    filters: fc.array(
      fc.record({
        op: fc.constantFrom(
          "=" as const,
          "<" as const,
          "<=" as const,
          ">" as const,
          ">=" as const,
          "in" as const,
        ),
        value: values,
      }),
      { minLength: 1, maxLength: 6 },
    ),
  });
});

const literal = (value: string | null, sql: string) =>
  value === null ? `NULL::${sql}` : `'${value.replaceAll("'", "''")}'::${sql}`;

function planned(file: DataFile): PlannedFile {
  const map = <V>(pairs: { key: number; value: V }[] | null) =>
    new Map(pairs?.map(({ key, value }) => [key, value]));
  return {
    scan: { location: "", key: "", size: 0, rows: 0, position_deletes: [] },
    rows: file.record_count,
    snapshot_id: 1n,
    lower: map(file.lower_bounds),
    upper: map(file.upper_bounds),
    values: map(file.value_counts),
    nulls: map(file.null_value_counts),
    nans: map(file.nan_value_counts),
  };
}

async function dataFileOf(type: string, sql: string, rows: (string | null)[]): Promise<DataFile> {
  const fields = columns({ v: type });
  const select = rows.map((it) => `SELECT ${literal(it, sql)} AS v`).join(" UNION ALL ");
  const bytes = await parquetOf(select, fields);
  const length = footerLength(bytes.subarray(-8), bytes.length, "it");
  const footer = readFooter(bytes.subarray(bytes.length - 8 - length, bytes.length - 8), "it");
  const names_by_id = new Map([[1, new Set(["v"])]]);
  return toDataFile({ key: "it", size: bytes.length, footer }, "s3://lakehouse/it", {
    fields,
    mapping: null,
    names_by_id,
  });
}

test(
  "a file with a matching row is kept, whatever the type, the values and the filter",
  async () => {
    let pruned = 0;
    await fc.assert(
      fc.asyncProperty(cases, async ({ type, rows, filters }) => {
        const { sql } = kinds[type] as (typeof kinds)[string];
        const file = planned(await dataFileOf(type, sql, rows));
        const list = rows.map((it) => `(${literal(it, sql)})`).join(", ");
        for (const { op, value } of filters) {
          const test = op === "in" ? `v IN (${literal(value, sql)})` : `v ${op} ${literal(value, sql)}`;
          const [[matches] = []] = await rowsOf(
            `SELECT count(*)::INTEGER FROM (VALUES ${list}) t(v) WHERE ${test}`,
          );
          const filter: ScanFilter = { column: "v", op, values: [value] };
          const keeps = pruner(columns({ v: type }), [filter])(file);
          if (!keeps) pruned++;
          if (Number(matches) > 0) expect([type, rows, filter, keeps]).toEqual([type, rows, filter, true]);
        }
      }),
      { numRuns: RUNS },
    );
    expect(pruned).toBeGreaterThan(0);
  },
  TIMEOUT_MS,
);

test("nulls are counted: files of nulls alone, of none, and of columns that came later", async () => {
  const keeps = async (rows: (string | null)[], op: "is_null" | "not_null" | "=") =>
    pruner(columns({ v: "int" }), [{ column: "V", op, values: op === "=" ? [1] : [] }])(
      planned(await dataFileOf("int", "INTEGER", rows)),
    );
  expect(await keeps([null, null], "=")).toBe(false);
  expect(await keeps([null, null], "not_null")).toBe(false);
  expect(await keeps([null, null], "is_null")).toBe(true);
  expect(await keeps(["1"], "is_null")).toBe(false);
  expect(await keeps(["1", null], "is_null")).toBe(true);
  const later = pruner(columns({ v: "int", w: "int" }), [{ column: "w", op: "is_null", values: [] }]);
  expect(later(planned(await dataFileOf("int", "INTEGER", ["1"])))).toBe(true);
});

test("a NaN, which no bound tells of, counts as above every number unless it is known that there is none", async () => {
  const file = planned(await dataFileOf("double", "DOUBLE", ["1.5", "2.5"]));
  const unknown = { ...file, nans: new Map() };
  const above = pruner(columns({ v: "double" }), [{ column: "v", op: ">", values: [10] }]);
  const below = pruner(columns({ v: "double" }), [{ column: "v", op: "<", values: [1] }]);
  expect([above(file), above(unknown)]).toEqual([false, true]);
  expect([below(file), below(unknown)]).toEqual([false, false]);
});
