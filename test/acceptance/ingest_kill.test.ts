import { expect, test } from "bun:test";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { dataFiles, rowsOf, send } from "../support/ingest.ts";
import { inBothCompositionsOfProcesses, type RunningProcesses } from "../support/processes.ts";

const ROWS = 60_000;
const RANDOM_KILLS = 8;
const PHASES = ["queued", "converting", "storing", "committing"] as const;

/** A file whose rows all carry the same version, so that a mixture of two would show. */
function version(of: number): string {
  const pad = "x".repeat(40);
  return `id,version,pad\n${Array.from({ length: ROWS }, (_, id) => `${id},${of},${pad}${id}`).join("\n")}\n`;
}

/** The one version that the table's rows have; throws where they are not whole. */
async function versionOf(lake: RunningProcesses, name: string): Promise<number | undefined> {
  const rows = await rowsOf(lake, name, "count(*), count(DISTINCT id), min(version), max(version)", "1");
  if (rows === undefined) return undefined;
  const [count, ids, least, most] = (rows[0] ?? []).map(Number);
  expect([count, ids, most]).toEqual([ROWS, ROWS, least]);
  return least;
}

/** Kills what does the work, and starts it again. */
async function crash(lake: RunningProcesses): Promise<void> {
  const target = lake.targetOf("ingestd");
  await lake.kill(target, "SIGKILL");
  await lake.restart(target);
}

/** Waits until a job is in a phase or past it, by its events. */
async function reach(lake: RunningProcesses, job_id: string, phase: string): Promise<void> {
  const events = await fetch(`${lake.url}/v1/ingest/jobs/${job_id}/events`);
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of events.body ?? []) {
    text += decoder.decode(chunk, { stream: true });
    if (text.includes(`"phase":"${phase}"`) || text.includes('"phase":"done"')) return;
  }
}

/** After clean-up storage holds just what the tables' snapshots name, and scratch is empty. */
async function expectNoOrphans(lake: RunningProcesses, names: readonly string[]): Promise<void> {
  const cleaned = await fetch(`${lake.url}/v1/catalog/maintain`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ dry_run: false, orphan_min_age_ms: 0, snapshot_max_age_ms: 0, snapshots_kept: 1 }),
  });
  expect(cleaned.status).toBe(200);
  const listed = await fetch(`${lake.url}/v1/storage/list?prefix=warehouse/&limit=1000`);
  const { objects } = (await listed.json()) as { objects: { key: string }[] };
  const stored = objects
    .map((it) => join(lake.data_dir, "storage", it.key))
    .filter((it) => it.endsWith(".parquet"));
  const named = (await Promise.all(names.map(async (it) => (await dataFiles(lake, it)) ?? []))).flat();
  expect(stored.sort()).toEqual(named.sort());
  const scratch = join(lake.data_dir, "ingest", "scratch");
  expect(existsSync(scratch) ? readdirSync(scratch) : []).toEqual([]);
}

inBothCompositionsOfProcesses("ingest, killed", (start) => {
  test("leaves the old snapshot or the new one, whole, and no orphan after clean-up", async () => {
    const lake = await start();
    await send(lake.url, "name=kept", version(0));
    const whole_ms = performance.now();
    await send(lake.url, "name=kept&mode=overwrite", version(1));
    const one_ingest_ms = performance.now() - whole_ms;

    let last = 1;
    for (let kill = 0; kill < RANDOM_KILLS; kill++) {
      const next = last + 1;
      const under_way = send(lake.url, "name=kept&mode=overwrite", version(next)).then(
        (sent) => sent.status,
        () => 0,
      );
      await Bun.sleep(Math.random() * one_ingest_ms);
      await crash(lake);
      const status = await under_way;
      const now = await versionOf(lake, "kept");
      // What was answered 200 is there; what was not may be there, whole, or not at all.
      expect(status === 200 ? [next] : [last, next]).toContain(now as number);
      last = now as number;
    }

    for (const [index, phase] of PHASES.entries()) {
      const next = last + 1;
      const job = await send(lake.url, "name=kept&mode=overwrite", version(next), {
        prefer: "respond-async",
      });
      const fresh = await send(lake.url, `name=fresh${index}`, version(index), { prefer: "respond-async" });
      await reach(lake, index % 2 === 0 ? job.body.job_id : fresh.body.job_id, phase);
      await crash(lake);
      const told = (await (await fetch(`${lake.url}/v1/ingest/jobs/${job.body.job_id}`)).json()) as {
        status: string;
      };
      expect(["done", "failed"]).toContain(told.status);
      const now = await versionOf(lake, "kept");
      expect(told.status === "done" ? [next] : [last, next]).toContain(now as number);
      expect([undefined, index]).toContain(await versionOf(lake, `fresh${index}`));
      last = now as number;
    }

    await expectNoOrphans(lake, ["kept", ...PHASES.map((_, index) => `fresh${index}`)]);
    // And it goes on as if nothing had been.
    expect((await send(lake.url, "name=kept&mode=overwrite", version(99))).status).toBe(200);
    expect(await versionOf(lake, "kept")).toBe(99);
  }, 180_000);
});
