/** catalogd killed at random moments of a commit: the table is as before or as after, and whole. */
import { expect, test } from "bun:test";
import { type CatalogProcess, startFleet } from "../support/fleet.ts";
import { columns, type Lake, writeDataFile } from "../support/lake.ts";

const KILLS = 20;
/** A commit takes about this long, so that kills fall before, within and after it. */
const COMMIT_MS = 40;
const TIMEOUT_MS = 180_000;

test(
  "a killed commit leaves the old table or the new one, and is made once when repeated",
  async () => {
    const fleet = await startFleet();
    try {
      let catalogd: CatalogProcess = await fleet.startCatalogd();
      const table = await catalogd.lake.catalog.create("killed", { fields: columns({ id: "long" }) });
      const committed: string[] = [];
      for (let round = 0; round < KILLS; round++) {
        const key = await writeDataFile(catalogd.lake, table, `SELECT ${round}::BIGINT AS id`);
        const commit = {
          operation: "append" as const,
          add: [{ key }],
          remove: [],
          idempotency_key: `round ${round}`,
        };
        const outcome = catalogd.lake.catalog.commit("killed", commit).then(
          ({ snapshot_id }) => snapshot_id,
          () => undefined,
        );
        await Bun.sleep((COMMIT_MS * round) / KILLS);
        await catalogd.kill();
        const acknowledged = await outcome;
        catalogd = await fleet.startCatalogd();
        const seen = await filesOf(catalogd.lake);
        const is_new = seen.includes(key);
        expect(seen).toEqual(is_new ? [...committed, key].sort() : [...committed].sort());
        if (acknowledged !== undefined) expect(is_new).toBe(true);
        const repeated = await catalogd.lake.catalog.commit("killed", commit);
        expect(repeated.repeated).toBe(is_new);
        if (acknowledged !== undefined) expect(repeated.snapshot_id).toBe(acknowledged);
        committed.push(key);
        expect(await filesOf(catalogd.lake)).toEqual([...committed].sort());
      }
      // What the kills left behind is found, and nothing that is needed goes with it.
      await catalogd.lake.catalog.maintain({ orphan_min_age_ms: 0, snapshot_max_age_ms: 3_600_000 });
      expect(await filesOf(catalogd.lake)).toEqual([...committed].sort());
      const history = await catalogd.lake.catalog.history("killed", { limit: 1000 });
      expect(history.snapshots).toHaveLength(KILLS);
      for (const { snapshot_id } of history.snapshots)
        await catalogd.lake.catalog.plan({ name: "killed", snapshot_id });
    } finally {
      await fleet.stop();
    }
  },
  TIMEOUT_MS,
);

/** The table's data files, each of which is there whole. */
async function filesOf(lake: Lake): Promise<string[]> {
  const { files } = await lake.catalog.plan({ name: "killed" });
  for (const { key, size } of files) expect((await lake.storage.head(key)).size).toBe(size);
  return files.map((it) => it.key).sort();
}
