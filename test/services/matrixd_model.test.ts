/** Playbooks and outcomes against models of them, over records, repeats, retirements and restarts. */
import { expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, truncateSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { openOutcomeStore } from "../../src/services/matrixd/outcome_store.ts";
import { idOf, openPlaybookStore } from "../../src/services/matrixd/playbook_store.ts";
import { createLog } from "../../src/shared/log.ts";
import { Metrics } from "../../src/shared/metrics.ts";

const RUNS = 40;
const WINDOW = 5;

const record = fc.record({
  kind: fc.constant("record" as const),
  query: fc.constantFrom("a key", "A  key", "holidays", "sick leave", "{}", "naïve \u{1f600}"),
  answer: fc.record({ corpus: fc.constantFrom("notes", "wiki"), id: fc.constantFrom("1", "2") }),
  score: fc.option(fc.constantFrom(0, 0.25, 0.5, 1), { nil: undefined }),
  tags: fc.option(fc.uniqueArray(fc.constantFrom("x", "y", "z")), { nil: undefined }),
  outcome: fc.constantFrom("success" as const, "failure" as const, undefined),
  id: fc.option(fc.constantFrom("r1", "r2", "r3"), { nil: undefined }),
});
const step = fc.oneof(
  { weight: 8, arbitrary: record },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("retire" as const), which: fc.nat(20) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("restart" as const), torn_bytes: fc.nat(40) }) },
);

interface Expected {
  successes: number;
  failures: number;
  tags: Set<string>;
  retired: boolean;
}

async function inFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "lakehouse-matrix-"));
  try {
    await work(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const shared = () => ({
  dedupe_records: 1000,
  queue_records: 1000,
  lock_wait_ms: 0,
  log: createLog("silent"),
  metrics: new Metrics(),
});

test("playbooks: what was acknowledged adds up the same, before and after every restart", async () => {
  const property = fc.asyncProperty(fc.array(step, { maxLength: 40 }), (steps) =>
    inFolder(async (folder) => {
      const path = join(folder, "playbooks.jsonl");
      const open = () => openPlaybookStore({ ...shared(), path, max_playbooks: 100 });
      const model = new Map<string, Expected>();
      const seen = new Set<string>();
      let store = await open();
      for (const it of steps) {
        if (it.kind === "restart") {
          await store.close();
          // A tail that was never acknowledged: half a line at the end.
          const whole = readFileSync(path);
          const torn = `{"at":"x","playbook":{"query":"torn",${"y".repeat(it.torn_bytes)}`;
          if (it.torn_bytes > 0) await Bun.write(path, Buffer.concat([whole, Buffer.from(torn)]));
          store = await open();
          if (it.torn_bytes > 0) expect(readFileSync(path)).toEqual(whole);
          expect(store.report()).toMatchObject({ corrupt: 0, gaps: 0, torn: it.torn_bytes > 0 ? 1 : 0 });
        } else if (it.kind === "retire") {
          const id = [...model.keys()][it.which];
          const known = id === undefined ? undefined : model.get(id);
          if (id === undefined || !known || known.retired) continue;
          await store.retire({ id, reason: "r" }, "2026-01-02T00:00:00.000Z");
          known.retired = true;
        } else {
          const { kind: _kind, ...sent } = it;
          const given = Object.fromEntries(Object.entries(sent).filter(([, value]) => value !== undefined));
          const [appended] = await store.record([given as never], "2026-01-01T00:00:00.000Z");
          const is_repeat = it.id !== undefined && seen.has(it.id);
          expect(appended).toBe(is_repeat ? "duplicate" : "appended");
          if (it.id !== undefined) seen.add(it.id);
          if (is_repeat) continue;
          const id = idOf(it);
          const known = model.get(id) ?? { successes: 0, failures: 0, tags: new Set(), retired: false };
          if (it.outcome === "failure") known.failures++;
          else known.successes += it.score ?? 1;
          for (const tag of it.tags ?? []) known.tags.add(tag);
          model.set(id, known);
        }
        const told = [...store.playbooks.values()].map((one) => [
          one.id,
          { ...pick(one), tags: new Set(one.tags), retired: one.retired_at !== null },
        ]);
        expect(told as unknown).toEqual([...model] as unknown);
      }
      await store.close();
    }),
  );
  await fc.assert(property, { numRuns: RUNS });
});

const pick = ({ successes, failures }: { successes: number; failures: number }) => ({ successes, failures });

test("outcomes: the newest of each model and mode are counted, before and after every restart", async () => {
  const outcome = fc.record({
    model: fc.constantFrom("big", "small"),
    mode: fc.constantFrom("rich", "lean"),
    success: fc.boolean(),
    restart: fc.integer({ min: 0, max: 9 }).map((it) => it === 0),
  });
  const property = fc.asyncProperty(fc.array(outcome, { maxLength: 60 }), (outcomes) =>
    inFolder(async (folder) => {
      const path = join(folder, "outcomes.jsonl");
      const open = () => openOutcomeStore({ ...shared(), path, window: WINDOW, max_pairs: 4 });
      const model = new Map<string, boolean[]>();
      let store = await open();
      for (const { restart, ...it } of outcomes) {
        await store.record(it, "2026-01-01T00:00:00.000Z");
        const key = `${it.model} ${it.mode}`;
        model.set(key, [...(model.get(key) ?? []), it.success].slice(-WINDOW));
        if (restart) {
          await store.close();
          store = await open();
        }
        for (const one of store.all()) {
          const newest = model.get(`${one.model} ${one.mode}`) ?? [];
          expect([one.successes, one.total]).toEqual([newest.filter(Boolean).length, newest.length]);
          expect(one.interval?.low).toBeLessThanOrEqual(one.rate as number);
          expect(one.interval?.high).toBeGreaterThanOrEqual(one.rate as number);
        }
        expect(store.all()).toHaveLength(model.size);
      }
      await store.close();
    }),
  );
  await fc.assert(property, { numRuns: RUNS });
});

test("a journal cut off anywhere gives the playbooks of its whole lines", async () => {
  await inFolder(async (folder) => {
    const path = join(folder, "playbooks.jsonl");
    const open = () => openPlaybookStore({ ...shared(), path, max_playbooks: 100 });
    let store = await open();
    const answer = { corpus: "notes", id: "1" };
    for (let at = 0; at < 5; at++)
      await store.record([{ query: `query ${at}`, answer }], "2026-01-01T00:00:00.000Z");
    await store.close();
    const whole = readFileSync(path);
    for (let length = whole.length - 1; length >= 0; length -= 7) {
      await Bun.write(path, whole);
      truncateSync(path, length);
      // A last line that lacks only its newline is whole.
      const kept =
        whole
          .subarray(0, length + 1)
          .toString("utf8")
          .split("\n").length - 1;
      store = await open();
      expect([...store.playbooks.values()].map(({ query }) => query)).toEqual(
        Array.from({ length: kept }, (_, at) => `query ${at}`),
      );
      await store.close();
    }
  });
});
