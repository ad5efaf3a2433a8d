/** Commits that race from several processes: each acknowledged one is in the table, once. */
import { afterAll, expect, test } from "bun:test";
import { type CatalogProcess, type Fleet, startFleet } from "../support/fleet.ts";
import { columns, writeDataFile } from "../support/lake.ts";

const PROCESSES = 4;
const WRITERS = 16;
const COMMITS_EACH = 5;
const TIMEOUT_MS = 120_000;

const fleets: Fleet[] = [];
afterAll(async () => {
  for (const fleet of fleets) await fleet.stop();
}, TIMEOUT_MS);

async function catalogs(count: number): Promise<CatalogProcess[]> {
  const fleet = await startFleet();
  fleets.push(fleet);
  return Promise.all(Array.from({ length: count }, () => fleet.startCatalogd()));
}

test(
  "16 racing writers in 4 processes append to one table, and none is lost",
  async () => {
    const processes = await catalogs(PROCESSES);
    const [first] = processes as [CatalogProcess];
    const table = await first.lake.catalog.create("raced", { fields: columns({ id: "long" }) });
    const keys: string[] = [];
    for (let at = 0; at < WRITERS * COMMITS_EACH; at++)
      keys.push(await writeDataFile(first.lake, table, `SELECT ${at}::BIGINT AS id`));
    const writers = Array.from({ length: WRITERS }, async (_, writer) => {
      const { catalog } = (processes[writer % PROCESSES] as CatalogProcess).lake;
      const made: string[] = [];
      for (const key of keys.slice(writer * COMMITS_EACH, (writer + 1) * COMMITS_EACH)) {
        const commit = { operation: "append" as const, add: [{ key }], remove: [], idempotency_key: key };
        made.push((await catalog.commit("raced", commit)).snapshot_id);
      }
      return made;
    });
    const acknowledged = (await Promise.all(writers)).flat();
    expect(new Set(acknowledged).size).toBe(keys.length);
    for (const { lake } of processes) {
      const plan = await lake.catalog.plan({ name: "raced" });
      expect(plan.files.map((it) => it.key).sort()).toEqual([...keys].sort());
      const { snapshots } = await lake.catalog.history("raced", { limit: 1000 });
      expect(snapshots.map((it) => it.snapshot_id).sort()).toEqual([...acknowledged].sort());
      // One line of descent: every snapshot has the one before it as its parent.
      expect(snapshots.every((it) => it.ancestor)).toBe(true);
      expect(snapshots.map((it) => it.sequence_number)).toEqual(
        snapshots.map((_, at) => snapshots.length - at),
      );
      expect(snapshots[0]?.summary["total-records"]).toBe(String(keys.length));
    }
    // What lost a race left nothing behind.
    const { tables } = await first.lake.catalog.maintain({
      dry_run: true,
      orphan_min_age_ms: 0,
      snapshot_max_age_ms: 3_600_000,
    });
    expect(tables).toMatchObject([{ name: "raced", removed: { files: 0 } }]);
  },
  TIMEOUT_MS,
);

test(
  "of racing overwrites on one base one wins, and of racing creations one",
  async () => {
    const processes = await catalogs(PROCESSES);
    const [first] = processes as [CatalogProcess];
    const outcomes = async (attempts: Promise<unknown>[]) => {
      const settled = await Promise.allSettled(attempts);
      const codes = settled.map((it) => (it.status === "fulfilled" ? "made" : it.reason.code));
      return codes.sort();
    };
    const one_of = (count: number) => [...Array.from({ length: count - 1 }, () => "conflict"), "made"];
    const create = (it: CatalogProcess) =>
      it.lake.catalog.create("born", { fields: columns({ id: "long" }) });
    expect(await outcomes([...processes, ...processes].map(create))).toEqual(one_of(2 * PROCESSES));

    const table = await first.lake.catalog.describe("born");
    const key = await writeDataFile(first.lake, table, "SELECT 0::BIGINT AS id");
    const base = await first.lake.catalog.commit("born", { operation: "append", add: [{ key }], remove: [] });
    const overwrite = async ({ lake }: CatalogProcess, at: number) => {
      const fresh = await writeDataFile(lake, table, `SELECT ${at}::BIGINT AS id`);
      const { snapshot_id } = base;
      return lake.catalog.commit("born", {
        operation: "overwrite",
        add: [{ key: fresh }],
        remove: [key],
        base_snapshot_id: snapshot_id,
      });
    };
    expect(await outcomes([...processes, ...processes].map(overwrite))).toEqual(one_of(2 * PROCESSES));
    expect((await first.lake.catalog.plan({ name: "born" })).files).toHaveLength(1);

    // The same commit from everywhere at once is made once.
    const again = await writeDataFile(first.lake, table, "SELECT 9::BIGINT AS id");
    const commit = {
      operation: "append" as const,
      add: [{ key: again }],
      remove: [],
      idempotency_key: "same",
    };
    const results = await Promise.all(
      [...processes, ...processes].map(({ lake }) => lake.catalog.commit("born", commit)),
    );
    expect(new Set(results.map((it) => it.snapshot_id)).size).toBe(1);
    expect(results.filter((it) => !it.repeated)).toHaveLength(1);
    expect((await first.lake.catalog.plan({ name: "born" })).files).toHaveLength(2);
  },
  TIMEOUT_MS,
);
