import { beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { inBothCompositions, type RunningHouse } from "../support/house.ts";
import { dataFiles, duck, fromFiles, send } from "../support/ingest.ts";

/** A type that values are drawn of: its name here and in DuckDB, and a value that no narrower type holds. */
interface Kind {
  type: string;
  sql: string;
  /** In JSON a number or a literal, not a string. */
  bare?: boolean;
  sentinel: string;
  values: fc.Arbitrary<string>;
}

const digits = (least: number, most: number) =>
  fc.string({ unit: fc.constantFrom(..."0123456789"), minLength: least, maxLength: most });
const two = (most: number, least = 0) =>
  fc.integer({ min: least, max: most }).map((it) => String(it).padStart(2, "0"));
const day = fc
  .tuple(fc.integer({ min: 1, max: 9999 }), two(12, 1), two(28, 1))
  .map(([year, month, date]) => `${String(year).padStart(4, "0")}-${month}-${date}`);
const clock = fc
  .tuple(two(23), two(59), two(59), digits(0, 6))
  .map(([hour, minute, second, part]) => `${hour}:${minute}:${second}${part && `.${part}`}`);
const TEXTS = [
  "",
  "00123",
  "+1",
  "1e5",
  "true",
  "2024-01-01",
  " padded ",
  'say "no"',
  "a,b;c\td|e",
  "two\nlines",
  "cr\rlf\r\n",
  "\\N",
  "NULL",
  "\u{1f600}é",
];

const KINDS: Kind[] = (
  [
    {
      type: "long",
      sql: "BIGINT",
      bare: true,
      sentinel: "-9223372036854775808",
      values: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(String),
    },
    {
      type: "decimal(29,9)",
      sql: "DECIMAL(29,9)",
      bare: true,
      sentinel: "-12345678901234567890.123456789",
      values: fc
        .tuple(fc.bigInt({ min: -(10n ** 19n), max: 10n ** 19n }), digits(0, 9))
        .map(([whole, part]) => (part === "" ? String(whole) : `${whole}.${part}`)),
    },
    {
      type: "double",
      sql: "DOUBLE",
      bare: true,
      sentinel: "1.5e-300",
      values: fc
        .double({ noNaN: true, noDefaultInfinity: true })
        .map((it) => (Object.is(it, -0) ? "0" : String(it))),
    },
    { type: "boolean", sql: "BOOLEAN", bare: true, sentinel: "true", values: fc.boolean().map(String) },
    { type: "date", sql: "DATE", sentinel: "2024-02-29", values: day },
    {
      type: "timestamp",
      sql: "TIMESTAMP",
      sentinel: "2024-02-29T23:59:59.999999",
      values: fc.tuple(day, clock).map((it) => it.join(" ")),
    },
    {
      type: "timestamptz",
      sql: "TIMESTAMPTZ",
      sentinel: "2024-02-29T23:59:59.999999Z",
      values: fc
        .tuple(day, clock, fc.constantFrom("Z", "+00:00", "-05:30", "+14"))
        .map(([a, b, c]) => `${a}T${b}${c}`),
    },
    {
      type: "string",
      sql: "VARCHAR",
      sentinel: "00123",
      values: fc.oneof(fc.constantFrom(...TEXTS), fc.string({ unit: "binary", maxLength: 20 })),
    },
  ] satisfies Kind[]
).map((it) => ({ ...it, toJSON: () => it.type }));

interface Table {
  kinds: Kind[];
  /** The first row is the sentinels, so that each column's type is beyond doubt. */
  rows: (string | null)[][];
}

const table: fc.Arbitrary<Table> = fc
  .shuffledSubarray(KINDS, { minLength: 2 })
  .chain((kinds) =>
    fc
      .array(fc.tuple(...kinds.map((it) => fc.option(it.values, { freq: 5 }))), { maxLength: 30 })
      .map((rows) => ({ kinds, rows: [kinds.map((it) => it.sentinel), ...rows] })),
  );

const FORMATS = ["csv", "tsv", "json", "ndjson", "parquet"] as const;

function asCsv({ kinds, rows }: Table, delimiter: string): string {
  const cell = (value: string | null) => (value === null ? "" : `"${value.replaceAll('"', '""')}"`);
  const lines = rows.map((row) => row.map(cell).join(delimiter));
  return [kinds.map((it) => it.type.split("(")[0]).join(delimiter), ...lines].join("\n");
}

function asJson({ kinds, rows }: Table): string[] {
  const member = (kind: Kind, value: string | null) => {
    const written = value === null ? "null" : kind.bare ? value : JSON.stringify(value);
    return `${JSON.stringify(kind.type.split("(")[0])}: ${written}`;
  };
  return rows.map((row) => `{${row.map((value, index) => member(kinds[index] as Kind, value)).join(", ")}}`);
}

/** The table in DuckDB, cast by it and by nothing of ours. */
function expected({ kinds, rows }: Table): string {
  const literal = (value: string | null) => {
    if (value === null) return "NULL";
    const escaped = value.replaceAll("'", "''").replaceAll("\0", "' || chr(0) || '");
    return `('${escaped}')`;
  };
  const columns = kinds.map((it, index) => `CAST(c${index} AS ${it.sql}) AS "${it.type.split("(")[0]}"`);
  const values = rows.map((row) => `(${row.map(literal).join(", ")})`).join(", ");
  const names = kinds.map((_, index) => `c${index}`).join(", ");
  return `(SELECT ${columns.join(", ")} FROM (VALUES ${values}) t(${names}))`;
}

async function bodyOf(drawn: Table, format: (typeof FORMATS)[number], folder: string): Promise<BodyInit> {
  if (format === "csv") return asCsv(drawn, ";");
  if (format === "tsv") return asCsv(drawn, "\t");
  if (format === "json") return `[\n${asJson(drawn).join(",\n")}\n]`;
  if (format === "ndjson") return asJson(drawn).join("\n");
  const path = join(folder, `${Bun.randomUUIDv7()}.parquet`);
  await duck(`COPY ${expected(drawn)} TO '${path}' (FORMAT parquet)`);
  return Bun.file(path);
}

inBothCompositions("ingest round trip", (start) => {
  let lake: RunningHouse;
  const folder = mkdtempSync(join(tmpdir(), "lakehouse-roundtrip-"));
  beforeAll(async () => {
    lake = await start();
  });

  test("any table comes out as it went in, whatever the format", async () => {
    let made = 0;
    await fc.assert(
      fc.asyncProperty(table, fc.constantFrom(...FORMATS), async (drawn, format) => {
        const name = `t${made++}`;
        const sent = await send(
          lake.url,
          `name=${name}&format=${format}`,
          await bodyOf(drawn, format, folder),
        );
        expect(sent.body).toMatchObject({ rows: drawn.rows.length });
        expect(sent.body.schema.map((it) => it.type)).toEqual(drawn.kinds.map((it) => it.type));
        const actual = fromFiles((await dataFiles(lake, name)) as string[]);
        const wanted = expected(drawn);
        const columns = drawn.kinds.map((it) => `"${it.type.split("(")[0]}"`).join(", ");
        const differences = await duck(
          `(SELECT ${columns} FROM ${wanted} EXCEPT ALL SELECT ${columns} FROM ${actual}) UNION ALL (SELECT ${columns} FROM ${actual} EXCEPT ALL SELECT ${columns} FROM ${wanted})`,
        );
        expect(differences).toEqual([]);
      }),
      { numRuns: 25 },
    );
    rmSync(folder, { recursive: true, force: true });
  }, 120_000);
});
