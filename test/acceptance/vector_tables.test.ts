/** Indexes as tables under attack: hostile Parquet takes nothing down, and a kill while a table is read loses nothing. */
import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { LoadJob } from "../../src/services/vectord/tables_schema.ts";
import { startHouse } from "../support/house.ts";
import { duck, send } from "../support/ingest.ts";
import { inBothCompositionsOfProcesses } from "../support/processes.ts";
import { seeded, vectorsAt } from "../support/vectors.ts";

const folder = mkdtempSync(join(tmpdir(), "lakehouse-hostile-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const DAMAGED = 8;
/** Small as files, and far too large for the process that is to read them. */
const BOMBS = [
  "SELECT 'a' AS id, repeat('x', 100_000_000) AS text, [1, 1] AS vector",
  "SELECT 'a' AS id, list_transform(range(10_000_000), lambda x: 1.5) AS vector",
  "SELECT 'a' AS id, [1, 1] AS vector, repeat('[', 20_000_000) AS metadata",
];

test("damaged files and bombs are refused, the service stays, and nothing is left behind", async () => {
  const house = await startHouse("mounted", {
    LAKEHOUSE_VECTORD_MEMORY_LIMIT_MIB: "128",
    LAKEHOUSE_VECTORD_PROCESS_LIMIT_MIB: "400",
  });
  try {
    const calls = vectorsAt(house.url);
    await calls.create("notes", 2);
    const add = async (body: Uint8Array<ArrayBuffer>) => {
      const response = await fetch(`${house.url}/v1/vectors/index/notes/add`, {
        method: "POST",
        headers: { "content-type": "application/vnd.apache.parquet" },
        body,
      });
      const { code, detail = "" } = (await response.json()) as { code?: string; detail?: string };
      expect(detail).not.toContain(house.data_dir);
      return code ?? "ok";
    };
    const write = async (select: string) => {
      const path = join(folder, `${Bun.randomUUIDv7()}.parquet`);
      await duck(`COPY (${select}) TO '${path}' (FORMAT parquet, COMPRESSION zstd)`);
      return Bun.file(path).bytes();
    };
    for (const bomb of BOMBS) expect(["invalid", "resource_limit"]).toContain(await add(await write(bomb)));
    expect((await calls.info("notes")).items).toBe(0);

    const whole = await write("SELECT 'a' || range AS id, [1, range]::FLOAT[] AS vector FROM range(500)");
    const random = seeded(11);
    for (let run = 0; run < DAMAGED; run++) {
      const bytes = whole.slice();
      for (let flips = 0; flips < 4; flips++) {
        // The footer, at the end, decides most.
        const from_end = Math.floor(random() * (random() < 0.5 ? 600 : bytes.length));
        bytes[bytes.length - 1 - from_end] = Math.floor(random() * 256);
      }
      expect(["ok", "invalid", "resource_limit"]).toContain(await add(bytes));
    }
    expect(await add(whole)).toBe("ok");
    // Nobody waits for what served to be removed, so it may take a moment.
    while (readdirSync(join(house.data_dir, "vector", ".imports")).length > 0) await Bun.sleep(20);
  } finally {
    await house.stop();
    rmSync(house.data_dir, { recursive: true, force: true });
  }
}, 120_000);

inBothCompositionsOfProcesses("vectors from a table, killed", (start) => {
  test("the job is told as failed, and asked for again the index is the table", async () => {
    const lake = await start({ LAKEHOUSE_VECTORD_MAX_ITEMS: "200" });
    const calls = vectorsAt(lake.url);
    const rows = Array.from({ length: 4000 }, (_, id) =>
      JSON.stringify({ id, title: `the title of article ${id}` }),
    );
    expect((await send(lake.url, "name=articles", rows.join("\n"))).status).toBe(201);
    const request = { table: "articles", id: "id", text: "title" };
    const begin = async () =>
      (await calls.send<LoadJob>("POST", "/articles/from_table", request)).body.job_id;
    const job = async (job_id: string) =>
      (await (await fetch(`${lake.url}/v1/vectors/jobs/${job_id}`)).json()) as LoadJob;
    const until = async (job_id: string, is: (job: LoadJob) => boolean) => {
      for (;;) {
        const it = await job(job_id);
        if (is(it)) return it;
        await Bun.sleep(10);
      }
    };
    const target = lake.targetOf("vectord");
    for (const rows_done of [200, 1000]) {
      const job_id = await begin();
      await until(job_id, (it) => it.rows_done >= rows_done || it.finished_at !== null);
      await lake.kill(target, "SIGKILL");
      await lake.restart(target);
      expect(await job(job_id)).toMatchObject({ status: "failed", error: { code: "unavailable" } });
    }
    const done = await until(await begin(), (it) => it.finished_at !== null);
    expect(done).toMatchObject({ status: "done", result: { replaced: 0 } });
    const { added = 0, unchanged = 0 } = done.result ?? {};
    expect(added + unchanged).toBe(4000);
    expect(unchanged).toBeGreaterThanOrEqual(1000);
    expect((await calls.info("articles")).items).toBe(4000);
  }, 120_000);
});
