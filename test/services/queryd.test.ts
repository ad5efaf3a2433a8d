/** queryd at the wire, in both compositions. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { inBothCompositions, type RunningHouse } from "../support/house.ts";
import { append, columns, duckdb, lakeAt } from "../support/lake.ts";
import { refused, sendSql, sql } from "../support/sql.ts";

const NDJSON = "application/x-ndjson";
const CSV = "text/csv";
const PARQUET = "application/vnd.apache.parquet";

async function withTrips(house: RunningHouse) {
  const lake = lakeAt(house);
  await lake.catalog.create("trips", {
    fields: columns({ id: "long", city: "string", fare: "decimal(9,2)" }),
  });
  const first = await append(
    lake,
    "trips",
    "SELECT range AS id, 'Oslo' AS city, 1.5::DECIMAL(9,2) AS fare FROM range(3)",
  );
  return { lake, first };
}

/** The pids of a house's query workers. */
function workersOf(house: RunningHouse): number[] {
  return readdirSync("/proc")
    .filter((pid) => /^\d+$/.test(pid))
    .map(Number)
    .filter((pid) => {
      try {
        const line = readFileSync(`/proc/${pid}/cmdline`, "utf8");
        return line.includes("queryd/worker.ts") && line.includes(house.data_dir);
      } catch {
        return false;
      }
    });
}

async function until(what: () => boolean | Promise<boolean>): Promise<void> {
  const give_up_ms = performance.now() + 10_000;
  while (!(await what())) {
    if (performance.now() > give_up_ms) throw new Error(`never: ${what}`);
    await Bun.sleep(10);
  }
}

const load = async (house: RunningHouse) =>
  (
    (await (await fetch(`${house.url}/health`)).json()) as {
      services: { queryd: { running: number; waiting: number } };
    }
  ).services.queryd;

inBothCompositions("queryd answers", (start) => {
  test("a table's rows with their types, and the snapshot they are of", async () => {
    const house = await start();
    const { first } = await withTrips(house);
    const answer = await sql(house, "SELECT * FROM trips ORDER BY id");
    expect(answer).toMatchObject({
      columns: [
        { name: "id", type: "BIGINT" },
        { name: "city", type: "VARCHAR" },
        { name: "fare", type: "DECIMAL(9,2)" },
      ],
      rows: [
        [0, "Oslo", "1.50"],
        [1, "Oslo", "1.50"],
        [2, "Oslo", "1.50"],
      ],
      row_count: 3,
      truncated: false,
      snapshot_ids: { trips: first.snapshot_id },
    });
    expect(answer.elapsed_ms).toBeGreaterThan(0);
    expect(await sql(house, { sql: "FROM trips", max_rows: 2 })).toMatchObject({
      row_count: 2,
      truncated: true,
    });
    expect(await sql(house, { sql: "FROM trips", max_rows: 3 })).toMatchObject({
      row_count: 3,
      truncated: false,
    });
  });

  test("the same rows as NDJSON, CSV and Parquet", async () => {
    const house = await start();
    await withTrips(house);
    const ask = "SELECT id, city, fare FROM trips ORDER BY id DESC; -- newest first";
    const ndjson = await sendSql(house, ask, NDJSON);
    expect(ndjson.headers.get("content-type")).toBe(NDJSON);
    expect(
      (await ndjson.text())
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line)),
    ).toEqual([
      { id: 2, city: "Oslo", fare: "1.50" },
      { id: 1, city: "Oslo", fare: "1.50" },
      { id: 0, city: "Oslo", fare: "1.50" },
    ]);
    expect(await (await sendSql(house, ask, CSV)).text()).toBe(
      "id,city,fare\n2,Oslo,1.50\n1,Oslo,1.50\n0,Oslo,1.50\n",
    );
    const file = join(house.data_dir, "out.parquet");
    writeFileSync(file, await (await sendSql(house, ask, PARQUET)).bytes());
    const rows = await (await duckdb()).runAndReadAll(`SELECT * FROM '${file}'`);
    expect(rows.getRowsJson()).toEqual([
      ["2", "Oslo", "1.50"],
      ["1", "Oslo", "1.50"],
      ["0", "Oslo", "1.50"],
    ]);
    expect(await (await sendSql(house, "SELECT id FROM trips WHERE false", NDJSON)).text()).toBe("");
    expect((await refused(house, "FROM trips", "image/png")).detail).toContain("application/x-ndjson");
  });

  test("numbers and nested values so that nothing is lost, the same in JSON and NDJSON", async () => {
    const house = await start();
    const values: [sql: string, json: unknown][] = [
      ["9007199254740991", 9007199254740991],
      ["9007199254740992", "9007199254740992"],
      ["-9007199254740993", "-9007199254740993"],
      ["18446744073709551615::UBIGINT", "18446744073709551615"],
      ["170141183460469231731687303715884105727::HUGEINT", "170141183460469231731687303715884105727"],
      ["12::HUGEINT", 12],
      ["12::UHUGEINT", 12],
      ["-5::TINYINT", -5],
      ["0.1::FLOAT", 0.1],
      ["16777217::FLOAT", 16777216],
      ["0.1::DOUBLE", 0.1],
      ["1e300::DOUBLE", 1e300],
      ["-0.0::DOUBLE", -0],
      ["'nan'::DOUBLE", "NaN"],
      ["'inf'::FLOAT", "Infinity"],
      ["'-inf'::DOUBLE", "-Infinity"],
      ["1.50::DECIMAL(9,2)", "1.50"],
      ["-0.05::DECIMAL(4,2)", "-0.05"],
      ["12345678901234567890.5::DECIMAL(38,1)", "12345678901234567890.5"],
      ["true", true],
      ["NULL", null],
      ["NULL::INTEGER[]", null],
      ["'Å\"\\\n'", 'Å"\\\n'],
      ["DATE '2020-02-29'", "2020-02-29"],
      ["TIME '01:02:03.5'", "01:02:03.5"],
      ["TIMESTAMP '2020-01-02 03:04:05'", "2020-01-02T03:04:05"],
      ["TIMESTAMP '2020-01-02 03:04:05.000001'", "2020-01-02T03:04:05.000001"],
      ["TIMESTAMP_S '2020-01-02 03:04:05'", "2020-01-02T03:04:05"],
      ["TIMESTAMP_MS '2020-01-02 03:04:05.25'", "2020-01-02T03:04:05.25"],
      ["TIMESTAMP_NS '2020-01-02 03:04:05.000000001'", "2020-01-02T03:04:05.000000001"],
      ["TIMESTAMPTZ '2020-01-02 03:04:05+02'", "2020-01-02T01:04:05Z"],
      ["TIMESTAMPTZ '2020-01-02 03:04:05.5+00'", "2020-01-02T03:04:05.5Z"],
      ["'infinity'::TIMESTAMP", "infinity"],
      ["'-infinity'::TIMESTAMPTZ", "-infinity"],
      ["'infinity'::DATE", "infinity"],
      ["'-infinity'::DATE", "-infinity"],
      ["DATE '0044-03-15 (BC)'", "0044-03-15 (BC)"],
      ["TIMESTAMP '12020-01-02 03:04:05'", "12020-01-02T03:04:05"],
      ["TIMESTAMP '0001-01-01 00:00:00'", "0001-01-01T00:00:00"],
      ["TIME '24:00:00'", "24:00:00"],
      ["INTERVAL '1 month 2 days 03:04:05'", "1 month 2 days 03:04:05"],
      ["'8c1e1b1c-7f10-4d3c-8c1e-1b1c7f104d3c'::UUID", "8c1e1b1c-7f10-4d3c-8c1e-1b1c7f104d3c"],
      ["'a\\x00\\xFF'::BLOB", "YQD/"],
      ["'101'::BIT", "101"],
      ["'b'::ENUM('a', 'b')", "b"],
      ["[1, NULL, 9007199254740993]", [1, null, "9007199254740993"]],
      ["[1, 2]::INTEGER[2]", [1, 2]],
      ["[1.5::DOUBLE, 'nan'::DOUBLE]::DOUBLE[2]", [1.5, "NaN"]],
      ["[[1.5::DECIMAL(3,1)], []]", [["1.5"], []]],
      ["{'a': 1, 'b': {'c': 9007199254740993, 'd': NULL}}", { a: 1, b: { c: "9007199254740993", d: null } }],
      ["NULL::STRUCT(a BIGINT)", null],
      ["row(1, 'x')", [1, "x"]],
      ["MAP {'k': 9007199254740993}", { k: "9007199254740993" }],
      ["MAP {1: [TIMESTAMP '2020-01-02 03:04:05']}", { "1": ["2020-01-02T03:04:05"] }],
      ["MAP {}", {}],
      ["NULL::MAP(VARCHAR, BIGINT)", null],
      ["union_value(n := 2)", { n: 2 }],
      ["'{\"a\": [1, 2.50]}'::JSON", { a: [1, 2.5] }],
      ["'\"NaN\"'::JSON", "NaN"],
      ["'{\"a\": NaN}'::JSON", '{"a": NaN}'],
      ["[1, 'x'::VARIANT]::VARIANT", [1, "x"]],
    ];
    const select = `SELECT ${values.map(([value], i) => `${value} AS c${i}`).join(", ")}`;
    const { rows } = await sql(house, select);
    const told = (index: number, value: unknown) => ({ value: values[index]?.[0], json: value });
    expect(rows[0]?.map((value, i) => told(i, value))).toEqual(values.map(([, json], i) => told(i, json)));
    const line = JSON.parse(await (await sendSql(house, select, NDJSON)).text()) as Record<string, unknown>;
    expect(Object.values(line).map((value, i) => told(i, value))).toEqual(
      values.map(([, json], i) => told(i, json)),
    );
  });

  test("columns of the same name keep it in JSON and CSV's order, and get numbers in NDJSON", async () => {
    const house = await start();
    const ask = "SELECT 1 AS a, 2 AS a, 3 AS A_1";
    expect((await sql(house, ask)).columns.map((it) => it.name)).toEqual(["a", "a", "A_1"]);
    expect(await (await sendSql(house, ask, NDJSON)).json()).toEqual({ a: 1, a_2: 2, A_1: 3 });
  });

  test("a long answer whole, in JSON too", async () => {
    const house = await start();
    const answer = await sql(house, {
      sql: "SELECT range AS id, repeat('x', 100) AS text FROM range(20000)",
      max_rows: 20000,
    });
    expect(answer.row_count).toBe(20000);
    expect(answer.rows.at(-1)).toEqual([19999, "x".repeat(100)]);
    const lines = (await (await sendSql(house, "SELECT range AS id FROM range(300000)", NDJSON)).text())
      .trim()
      .split("\n");
    expect(lines.length).toBe(300_000);
    expect(lines.at(-1)).toBe('{"id":299999}');
  });

  test("values for parameters, by place and by name, with types", async () => {
    const house = await start();
    await withTrips(house);
    const row = async (sql_text: string, params: unknown) =>
      (await sql(house, { sql: sql_text, params })).rows[0];
    expect(await row("SELECT count(*) FROM trips WHERE id >= ? AND city = ?", [1, "Oslo"])).toEqual([2]);
    expect(await row("SELECT $2 || $1", ["a", "b"])).toEqual(["ba"]);
    expect(
      await row("SELECT $Big + 1, $flag, $none, $x", {
        big: 9007199254740991,
        flag: true,
        none: null,
        x: 1.5,
      }),
    ).toEqual(["9007199254740992", true, null, 1.5]);
    expect(
      await row("SELECT count(*) FROM trips WHERE id IN (SELECT unnest($ids))", { ids: [0, 2, 7] }),
    ).toEqual([2]);
    expect(
      await row("SELECT $d, $m, $s", {
        d: { type: "DATE", value: "2020-01-02" },
        m: { type: "DECIMAL(9,2)", value: "1.5" },
        s: { type: "STRUCT(a BIGINT, b VARCHAR[])", value: { a: 1, b: ["x"] } },
      }),
    ).toEqual(["2020-01-02", "1.50", { a: 1, b: ["x"] }]);
    const lines = await (
      await sendSql(house, { sql: "SELECT $a AS a, [$b] AS b", params: { a: 1, b: "x" } }, NDJSON)
    ).json();
    expect(lines).toEqual({ a: 1, b: ["x"] });
    for (const [ask, detail] of [
      [{ sql: "SELECT $a", params: {} }, "$a"],
      [{ sql: "SELECT 1", params: [1] }, "$1"],
      [{ sql: "SELECT ?", params: [[1, "x"]] }, "mixes"],
      [{ sql: "SELECT ?", params: [{ type: "DATE", value: "tomorrow" }] }, "can't be read as DATE"],
      [{ sql: "SELECT ?", params: [{ type: "INT) FROM trips --", value: 1 }] }, "can't be read as"],
    ] as const)
      expect(await refused(house, ask)).toMatchObject({
        status: 400,
        code: "invalid",
        detail: expect.stringContaining(detail),
      });
  });
});

inBothCompositions("queryd tables", (start) => {
  test("are found in any case and in their namespace, and the nearest name is told", async () => {
    const house = await start();
    const { lake } = await withTrips(house);
    await lake.catalog.create("ops.Events", { fields: columns({ id: "int" }) });
    await append(lake, "ops.Events", "SELECT 7::INTEGER AS id");
    const value = async (text: string) => (await sql(house, text)).rows[0]?.[0];
    expect(await value("SELECT count(*) FROM TRIPS")).toBe(3);
    expect(await value('SELECT count(*) FROM "default".trips')).toBe(3);
    expect(await value("SELECT e.id FROM OPS.events AS e")).toBe(7);
    expect(await value("SELECT ops.events.id FROM ops.events JOIN trips ON true LIMIT 1")).toBe(7);
    expect(await value("WITH trips AS (SELECT 1 AS id) SELECT count(*) FROM trips")).toBe(1);
    expect(await value("WITH trips AS (SELECT id FROM trips WHERE id = 2) SELECT id FROM trips")).toBe(2);
    expect(await refused(house, "SELECT *\n  FROM trps")).toMatchObject({
      status: 404,
      code: "not_found",
      detail: "There is no table trps: did you mean trips?",
      position: { line: 2, column: 8, offset: 16 },
      candidates: ["trips"],
    });
    expect((await refused(house, "FROM ops.event")).detail).toContain("ops.Events");
    expect(await refused(house, "SELECT ctiy FROM trips")).toMatchObject({
      code: "invalid",
      detail: expect.stringContaining('"city"'),
      position: { line: 1, column: 8 },
    });
    expect((await refused(house, "FROM default.trips")).detail).toContain('"default".table');
    expect((await refused(house, "FROM memory.trips")).code).toBe("sql_refused");
    expect((await refused(house, "FROM a.b.c")).detail).toContain("namespace.table");
  });

  test("are read as they were at a time or a snapshot", async () => {
    const house = await start();
    const { lake, first } = await withTrips(house);
    await Bun.sleep(5);
    const between = new Date().toISOString();
    await Bun.sleep(5);
    const second = await append(lake, "trips", "SELECT 9 AS id, 'Bergen' AS city, 2::DECIMAL(9,2) AS fare");
    const count = async (as_of?: unknown) =>
      (await sql(house, { sql: "SELECT count(*) FROM trips", as_of })).rows[0]?.[0];
    expect(await count()).toBe(4);
    expect(await count(between)).toBe(3);
    expect(await count(first.snapshot_id)).toBe(3);
    expect(await count({ trips: second.snapshot_id })).toBe(4);
    expect(await count({ trips: first.snapshot_id })).toBe(3);
    expect(await count()).toBe(4);
    const ask = (as_of: unknown, text = "FROM trips") => refused(house, { sql: text, as_of });
    expect(await ask("2001-01-01T00:00:00Z")).toMatchObject({ status: 404 });
    expect(await ask("12345")).toMatchObject({ status: 404 });
    expect(await ask("yesterday")).toMatchObject({
      status: 400,
      detail: expect.stringContaining("RFC 3339"),
    });
    expect(await ask({ trps: first.snapshot_id })).toMatchObject({
      status: 400,
      detail: expect.stringContaining("trps"),
    });
    expect(await ask(first.snapshot_id, "SELECT 1")).toMatchObject({ status: 400 });
    expect(await ask(undefined, "FROM trips AT (VERSION => 1)")).toMatchObject({
      detail: expect.stringContaining("as_of"),
    });
  });

  test("keep their columns by field id: renamed, added, widened, dropped and added again, nested too", async () => {
    const house = await start();
    const lake = lakeAt(house);
    await lake.catalog.create("t", {
      fields: columns({
        id: "int",
        old: "string",
        gone: "long",
        s: {
          type: "struct",
          fields: [
            { id: 1, name: "a", required: false, type: "int" },
            { id: 2, name: "b", required: false, type: "string" },
          ],
        },
        l: {
          type: "list",
          "element-id": 3,
          "element-required": false,
          element: { type: "struct", fields: [{ id: 4, name: "x", required: false, type: "int" }] },
        },
      }),
    });
    await append(
      lake,
      "t",
      "SELECT 1 AS id, 'x' AS old, 5::BIGINT AS gone, {'a': 1, 'b': 'b1'} AS s, [{'x': 10}, NULL] AS l",
    );
    const optional = (name: string, type: string) => ({ name, required: false as const, type });
    await lake.catalog.evolve("t", {
      changes: [
        { change: "rename", path: "old", to: "label" },
        { change: "widen", path: "id", type: "long" },
        { change: "drop", path: "gone" },
        { change: "add", field: optional("gone", "string") },
        { change: "rename", path: "s.a", to: "alpha" },
        { change: "drop", path: "s.b" },
        { change: "add", parent: "s", field: optional("b", "double") },
        { change: "rename", path: "l.element.x", to: "y" },
      ],
    });
    const one = [1, "x", { alpha: 1, b: null }, [{ y: 10 }, null], null];
    const select = "SELECT id, label, s, l, gone FROM t ORDER BY id";
    expect((await sql(house, select)).rows).toEqual([one]);
    await append(
      lake,
      "t",
      "SELECT 9007199254740993 AS id, 'y' AS label, {'alpha': 2, 'b': 0.5::DOUBLE} AS s, [{'y': 20}] AS l, 'g' AS gone",
    );
    const answer = await sql(house, select);
    expect(answer.columns[0]).toEqual({ name: "id", type: "BIGINT" });
    expect(answer.rows).toEqual([one, ["9007199254740993", "y", { alpha: 2, b: 0.5 }, [{ y: 20 }], "g"]]);
    expect((await sql(house, "SELECT s.alpha FROM t WHERE s.alpha > 1")).rows).toEqual([[2]]);
  });

  test("without rows have columns and types", async () => {
    const house = await start();
    await lakeAt(house).catalog.create("empty", { fields: columns({ id: "long", at: "timestamptz" }) });
    expect(await sql(house, "FROM empty")).toMatchObject({
      columns: [
        { name: "id", type: "BIGINT" },
        { name: "at", type: "TIMESTAMP WITH TIME ZONE" },
      ],
      rows: [],
      snapshot_ids: { empty: null },
    });
  });
});

setDefaultTimeout(30_000);

inBothCompositions("queryd limits", (start) => {
  test("a query past its deadline is killed and the next is answered", async () => {
    const house = await start();
    const slow = { sql: "SELECT count(*) FROM range(100000000000)", timeout_ms: 200 };
    expect(await refused(house, slow)).toMatchObject({
      status: 504,
      code: "deadline",
      detail: expect.stringContaining("200 ms"),
    });
    expect((await sql(house, "SELECT 1")).rows).toEqual([[1]]);
    expect((await refused(house, { sql: "SELECT 1", timeout_ms: 10_000_000 })).detail).toContain(
      "timeout_ms",
    );
    expect((await refused(house, { sql: "SELECT 1", max_rows: 10_000_000 })).detail).toContain("NDJSON");
    expect((await refused(house, `SELECT '${"x".repeat(300_000)}'`)).code).toBe("too_large");
  });

  test("a query that takes too much memory ends alone", async () => {
    const house = await start({
      LAKEHOUSE_QUERYD_MEMORY_LIMIT_MIB: "128",
      LAKEHOUSE_QUERYD_PROCESS_LIMIT_MIB: "384",
    });
    expect(
      await refused(house, "SELECT len(list(repeat('x', 1000) || range)) FROM range(10000000)"),
    ).toMatchObject({
      status: 400,
      code: "resource_limit",
    });
    expect(await refused(house, "SELECT length(repeat('x', 2000000000))")).toMatchObject({
      code: "resource_limit",
    });
    expect((await sql(house, "SELECT 1")).rows).toEqual([[1]]);
  });

  test("what waits past the queue is told when to come back", async () => {
    const house = await start({ LAKEHOUSE_QUERYD_WORKERS: "1", LAKEHOUSE_QUERYD_QUEUE: "1" });
    await sql(house, "SELECT 1");
    const slow = "SELECT count(*) FROM range(100000000000)";
    const running = refused(house, { sql: slow, timeout_ms: 3000 });
    await until(async () => (await load(house)).running === 1);
    const waiting = refused(house, { sql: "SELECT 2", timeout_ms: 2000 });
    await until(async () => (await load(house)).waiting === 1);
    const full = await sendSql(house, "SELECT 3");
    expect(full.status).toBe(429);
    expect(Number(full.headers.get("retry-after"))).toBeGreaterThan(0);
    expect(await full.json()).toMatchObject({ code: "queue_full" });
    expect(await waiting).toMatchObject({ code: "deadline" });
    expect(await running).toMatchObject({ code: "deadline" });
    expect((await sql(house, "SELECT 4")).rows).toEqual([[4]]);
  });

  test("a query ends when whoever asked has gone, before its rows and in the middle of them", async () => {
    const house = await start({ LAKEHOUSE_QUERYD_WORKERS: "1" });
    for (const accept of ["application/json", NDJSON]) {
      const leave = new AbortController();
      const gone = sendSql(house, "SELECT count(*) FROM range(100000000000)", accept, leave.signal).catch(
        (error) => error.name,
      );
      await until(async () => (await load(house)).running === 1);
      leave.abort();
      expect(await gone).toBe("AbortError");
      expect((await sql(house, "SELECT 1")).rows).toEqual([[1]]);
    }
    const leave = new AbortController();
    const response = await sendSql(
      house,
      "SELECT range, repeat('x', 1000) FROM range(100000000)",
      NDJSON,
      leave.signal,
    );
    const reader = (response.body as ReadableStream<Uint8Array>).getReader();
    expect((await reader.read()).done).toBe(false);
    leave.abort();
    expect((await sql(house, "SELECT 1")).rows).toEqual([[1]]);
    await until(async () => (await load(house)).running === 0);
  });

  test("a failure midway resets the connection, and one before the first row is a problem", async () => {
    const house = await start();
    const failing =
      "SELECT CASE WHEN range > 1500000 THEN error('too far') ELSE range END AS n FROM range(2000000)";
    for (const accept of [NDJSON, CSV]) {
      const response = await sendSql(house, failing, accept);
      expect(response.status).toBe(200);
      expect(
        await response.text().then(
          () => "a clean end",
          () => "reset",
        ),
      ).toBe("reset");
      expect(await refused(house, "SELECT error('at once')", accept)).toMatchObject({
        status: 400,
        detail: expect.stringContaining("at once"),
      });
    }
    const late = { sql: "SELECT range, repeat('x', 1000) FROM range(100000000)", timeout_ms: 700 };
    expect(
      await (await sendSql(house, late, NDJSON)).bytes().then(
        () => "a clean end",
        () => "reset",
      ),
    ).toBe("reset");
    expect((await sql(house, "SELECT 1")).rows).toEqual([[1]]);
  });

  test("a query that failed gives its worker back once, whatever the format", async () => {
    const house = await start({ LAKEHOUSE_QUERYD_WORKERS: "2" });
    for (const accept of [NDJSON, CSV, PARQUET, "application/json"])
      await refused(house, "SELECT error('at once')", accept);
    const values = await Promise.all(
      Array.from({ length: 12 }, (_, i) =>
        sql(house, `SELECT ${i} + count(*) - 1000000 FROM range(1000000)`),
      ),
    );
    expect(values.map((it) => it.rows)).toEqual(values.map((_, i) => [[i]]));
    await until(async () => (await load(house)).running === 0);
  });

  test("a worker that dies takes nobody with it", async () => {
    const house = await start({ LAKEHOUSE_QUERYD_WORKERS: "1" });
    await sql(house, "SELECT 1");
    const asked = refused(house, "SELECT count(*) FROM range(100000000000)");
    await until(async () => (await load(house)).running === 1);
    for (const pid of workersOf(house)) process.kill(pid, "SIGKILL");
    expect(await asked).toMatchObject({ status: 400, code: "resource_limit" });
    expect((await sql(house, "SELECT 2")).rows).toEqual([[2]]);
  });

  test("nothing of a query is left for the next, on disk or in the worker", async () => {
    const house = await start({ LAKEHOUSE_QUERYD_WORKERS: "1" });
    mkdirSync(join(house.data_dir, "query"), { recursive: true });
    const random = async (text: string) => (await sql(house, text)).rows[0]?.at(-1);
    await random("SELECT setseed(0.5)");
    const first = await random("SELECT random()");
    await random("SELECT setseed(0.5)");
    expect(await random("SELECT random()")).not.toBe(first);
    await sql(house, { sql: "SELECT repeat('x', 1000) FROM range(1000)" });
    await (await sendSql(house, "SELECT 1", PARQUET)).bytes();
    for (const scratch of readdirSync(join(house.data_dir, "query")))
      expect(readdirSync(join(house.data_dir, "query", scratch)).sort()).toEqual(
        scratch.includes("-indexes-") ? [] : ["out.fifo", "spill"],
      );
    await house.stop();
    expect(readdirSync(join(house.data_dir, "query"))).toEqual([]);
    expect(workersOf(house)).toEqual([]);
  });
});

inBothCompositions("queryd at the start", (start) => {
  test("clears what a killed predecessor left", async () => {
    const house = await start();
    await house.stop();
    mkdirSync(join(house.data_dir, "query", "4194305-0-x", "spill"), { recursive: true });
    await start({}, house.data_dir);
    expect(readdirSync(join(house.data_dir, "query")).filter((name) => name.startsWith("4194305"))).toEqual(
      [],
    );
  });
});
