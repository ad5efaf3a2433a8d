/** Hostile SQL: refused or killed, while honest queries beside it get their right answers. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, rmSync } from "node:fs";
import { type RunningHouse, startHouse } from "../support/house.ts";
import { append, columns, lakeAt } from "../support/lake.ts";
import { sendSql, sql } from "../support/sql.ts";
import { bombs, forbidden, towers } from "./hostile/statements.ts";

setDefaultTimeout(180_000);

const ENDED = ["sql_refused", "invalid", "not_found", "resource_limit", "deadline", "too_large"];
const BOMB_TIMEOUT_MS = 400;

let house: RunningHouse;

beforeAll(async () => {
  house = await startHouse("mounted", {
    LAKEHOUSE_QUERYD_WORKERS: "3",
    LAKEHOUSE_QUERYD_MEMORY_LIMIT_MIB: "256",
    LAKEHOUSE_QUERYD_PROCESS_LIMIT_MIB: "512",
    LAKEHOUSE_QUERYD_SCRATCH_MIB: "128",
  });
  const lake = lakeAt(house);
  await lake.catalog.create("trips", {
    fields: columns({ id: "long", city: "string", fare: "decimal(9,2)" }),
  });
  await append(
    lake,
    "trips",
    "SELECT range AS id, 'Oslo' AS city, (range / 100)::DECIMAL(9,2) AS fare FROM range(100000)",
  );
});

afterAll(async () => {
  await house.stop();
  rmSync(house.data_dir, { recursive: true, force: true });
});

/** What a hostile statement came to; a message that names a path of the machine is told as a leak. */
async function outcome(ask: Record<string, unknown> & { sql: string }, accept: string): Promise<string> {
  const response = await sendSql(house, ask, accept);
  if (response.status === 200) {
    return response.text().then(
      (text) => `answered ${text.slice(0, 200)}`,
      () => "reset",
    );
  }
  const text = await response.text();
  if (text.includes(house.data_dir)) return `leaked ${text}`;
  return (JSON.parse(text) as { code: string }).code;
}

async function outcomes(
  statements: readonly string[],
  accept: string,
  timeout_ms?: number,
): Promise<string[]> {
  const wrong: string[] = [];
  for (const statement of statements) {
    const got = await outcome({ sql: statement, ...(timeout_ms ? { timeout_ms } : {}) }, accept);
    if (!ENDED.includes(got) && got !== "reset") wrong.push(`${got}: ${statement.slice(0, 200)}`);
  }
  return wrong;
}

/** Honest queries one after the other until told to stop; each answer is checked. */
function beside(): { stop(): Promise<number> } {
  let stopped = false;
  const work = (async () => {
    let answered = 0;
    for (; !stopped; answered++) {
      const id = (answered * 7919) % 100_000;
      const { rows } = await sql(house, {
        sql: "SELECT id, city, fare FROM trips WHERE id = ?",
        params: [id],
      });
      expect(rows).toEqual([[id, "Oslo", (id / 100).toFixed(2)]]);
      await Bun.sleep(5);
    }
    return answered;
  })();
  return {
    stop: () => {
      stopped = true;
      return work;
    },
  };
}

describe("hostile SQL", () => {
  test("there are at least 150 statements, none twice", () => {
    const all = [...Object.values(forbidden).flat(), ...bombs, ...towers];
    expect(all.length).toBeGreaterThanOrEqual(150);
    expect(new Set(all).size).toBe(all.length);
  });

  for (const [kind, statements] of Object.entries(forbidden))
    test(`${kind}: ${statements.length} refused, and nobody disturbed`, async () => {
      const honest = beside();
      expect(await outcomes(statements, "application/json")).toEqual([]);
      expect(await outcomes(statements, "application/x-ndjson")).toEqual([]);
      expect(await honest.stop()).toBeGreaterThan(0);
    });

  test("a CTE's name covers no other: neither a file's, nor a table's that another query has read", async () => {
    // U+212A is no k to the engine, though JavaScript's lower case makes it one.
    const file = `${house.data_dir}/storage/warehouse/**/*.parquet`;
    const hidden = file.replace("lakehouse-", "la\u212aehouse-");
    const lake = lakeAt(house);
    await lake.catalog.create("recurring.t", { fields: columns({ id: "long" }) });
    await append(lake, "recurring.t", "SELECT 7 AS id");
    const asks = [`WITH "${hidden}" AS (SELECT 1) SELECT * FROM "${file}"`, "SELECT * FROM recurring.t"];
    for (const ask of asks) expect(await outcome({ sql: ask }, "application/json")).toBe("sql_refused");
    // To the engine it is a recursive CTE's name, and this one is not recursive.
    const not_recursive = { sql: "WITH t AS (SELECT 1) SELECT * FROM recurring.t" };
    expect(await outcome(not_recursive, "application/json")).toBe("invalid");
  });

  test(`${bombs.length} bombs ended, and nobody disturbed`, async () => {
    const honest = beside();
    expect(await outcomes(bombs, "application/json", BOMB_TIMEOUT_MS)).toEqual([]);
    const half = Math.ceil(bombs.length / 2);
    const both = await Promise.all([
      outcomes(bombs.slice(0, half), "application/x-ndjson", BOMB_TIMEOUT_MS),
      outcomes(bombs.slice(half), "application/vnd.apache.parquet", BOMB_TIMEOUT_MS),
    ]);
    expect(both).toEqual([[], []]);
    expect(await honest.stop()).toBeGreaterThan(0);
  });

  test(`${towers.length} towers for the parser ended, and nobody disturbed`, async () => {
    const honest = beside();
    expect(await outcomes(towers, "application/json", 5000)).toEqual([]);
    expect(await honest.stop()).toBeGreaterThan(0);
  });

  test("a result that would fill the disk is ended", async () => {
    const huge = {
      sql: "SELECT hash(range) AS a, hash(range + 1) AS b, uuid() AS c FROM range(10000000000)",
      timeout_ms: 20_000,
    };
    expect(await outcome(huge, "application/vnd.apache.parquet")).toBe("resource_limit");
    expect(
      await outcome(
        { sql: "SELECT repeat('x', 1000000) FROM range(100000)", max_rows: 100_000 },
        "application/json",
      ),
    ).toBe("resource_limit");
  });

  test("the service is well afterwards, and nothing was written outside", async () => {
    expect((await sql(house, "SELECT count(*), sum(fare) FROM trips")).rows).toEqual([
      [100_000, "49999500.00"],
    ]);
    const health = (await (await fetch(`${house.url}/health`)).json()) as {
      services: Record<string, { status: string }>;
    };
    expect(health.services.queryd?.status).toBe("ok");
    for (const path of [
      "/tmp/lakehouse-evil.csv",
      "/tmp/lakehouse-evil.db",
      "/tmp/lakehouse-evil",
      "/tmp/lakehouse-evil-logs",
      "/tmp/lakehouse-evil-x",
      "/tmp/lakehouse-evil-x.db",
    ])
      expect(existsSync(path)).toBe(false);
  });
});
