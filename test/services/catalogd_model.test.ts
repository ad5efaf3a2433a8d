/** Random histories of a table against a model: commits, evolutions, rollbacks, restarts. */
import { expect, test } from "bun:test";
import { rmSync } from "node:fs";
import fc from "fast-check";
import { type RunningHouse, startHouse } from "../support/house.ts";
import { columns, type Lake, lakeAt, writeDataFile } from "../support/lake.ts";

const RUNS = 12;
const TIMEOUT_MS = 120_000;

interface ModelSnapshot {
  readonly id: string;
  readonly files: ReadonlyMap<string, number>;
  readonly columns: readonly string[];
}

/** What the table ought to be. */
interface Model {
  columns: string[];
  added: number;
  files: ReadonlyMap<string, number>;
  snapshots: ModelSnapshot[];
  current: string | null;
}

type Step =
  | { do: "append" | "replace"; rows: number }
  | { do: "empty" | "restart" | "maintain" | "add_column" }
  | { do: "rename_column" | "drop_column" | "rollback"; pick: number };

const steps = fc.array(
  fc.oneof(
    {
      weight: 4,
      arbitrary: fc.record({ do: fc.constant("append" as const), rows: fc.integer({ min: 0, max: 50 }) }),
    },
    {
      weight: 2,
      arbitrary: fc.record({ do: fc.constant("replace" as const), rows: fc.integer({ min: 1, max: 50 }) }),
    },
    { weight: 2, arbitrary: fc.record({ do: fc.constant("rollback" as const), pick: fc.nat(100) }) },
    {
      weight: 3,
      arbitrary: fc.record({
        do: fc.constantFrom("add_column" as const, "restart" as const, "maintain" as const, "empty" as const),
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({
        do: fc.constantFrom("rename_column" as const, "drop_column" as const),
        pick: fc.nat(100),
      }),
    },
  ),
  { minLength: 4, maxLength: 18 },
);

class Table {
  readonly model: Model = { columns: ["c0"], added: 1, files: new Map(), snapshots: [], current: null };
  #house: RunningHouse;
  #lake: Lake;

  constructor(house: RunningHouse) {
    this.#house = house;
    this.#lake = lakeAt(house);
  }

  get house(): RunningHouse {
    return this.#house;
  }

  async create(): Promise<void> {
    await this.#lake.catalog.create("t", { fields: columns({ c0: "long" }) });
  }

  async take(step: Step): Promise<void> {
    const { model } = this;
    const { catalog } = this.#lake;
    switch (step.do) {
      case "append":
        return this.#commit(step.rows, []);
      case "replace":
        return this.#commit(step.rows, [...model.files.keys()].slice(0, 1));
      case "empty": {
        const { snapshot_id } = await catalog.commit("t", { operation: "delete", add: [], remove: "all" });
        return this.#became(snapshot_id, new Map());
      }
      case "rollback": {
        const target = model.snapshots[step.pick % Math.max(1, model.snapshots.length)];
        if (!target) return;
        await catalog.rollback("t", { snapshot_id: target.id });
        model.current = target.id;
        model.files = target.files;
        return;
      }
      case "restart":
        await this.#house.stop();
        this.#house = await startHouse("mounted", {}, this.#house.data_dir);
        this.#lake = lakeAt(this.#house);
        return;
      case "maintain": {
        const report = await catalog.maintain({ orphan_min_age_ms: 0, snapshot_max_age_ms: 3_600_000 });
        expect(report.tables).toMatchObject([{ expired_snapshots: [], removed: { files: 0 } }]);
        return;
      }
      default:
        return this.#evolve(step.do, "pick" in step ? step.pick : 0);
    }
  }

  async #commit(rows: number, remove: string[]): Promise<void> {
    const { catalog } = this.#lake;
    const state = await catalog.describe("t");
    const list = this.model.columns.map((name, at) => `(i + ${at})::BIGINT AS ${name}`).join(", ");
    const key = await writeDataFile(this.#lake, state, `SELECT ${list} FROM range(${rows}) t(i)`);
    const operation = remove.length > 0 ? "overwrite" : "append";
    const base_snapshot_id = this.model.current;
    const { snapshot_id } = await catalog.commit("t", {
      operation,
      add: [{ key }],
      remove,
      base_snapshot_id,
    });
    const files = new Map([...this.model.files].filter(([it]) => !remove.includes(it)));
    this.#became(snapshot_id, files.set(key, rows));
  }

  #became(id: string, files: ReadonlyMap<string, number>): void {
    const { model } = this;
    model.files = files;
    model.current = id;
    model.snapshots.push({ id, files, columns: [...model.columns] });
  }

  async #evolve(kind: "add_column" | "rename_column" | "drop_column", pick: number): Promise<void> {
    const { model } = this;
    const at = pick % model.columns.length;
    const path = model.columns[at] as string;
    const { catalog } = this.#lake;
    if (kind === "add_column") {
      const name = `c${model.added++}`;
      await catalog.evolve("t", {
        changes: [{ change: "add", field: { name, required: false, type: "long" } }],
      });
      model.columns.push(name);
    } else if (kind === "rename_column") {
      const to = `r${model.added++}`;
      await catalog.evolve("t", { changes: [{ change: "rename", path, to }] });
      model.columns[at] = to;
    } else if (model.columns.length > 1) {
      await catalog.evolve("t", { changes: [{ change: "drop", path }] });
      model.columns.splice(at, 1);
    }
  }

  /** The table is what the model says, now and at each of its snapshots. */
  async check(): Promise<void> {
    const { model } = this;
    const { catalog } = this.#lake;
    const sorted = (files: ReadonlyMap<string, number>) => [...files].sort(([a], [b]) => (a < b ? -1 : 1));
    const seen = async (snapshot_id?: string) => {
      const plan = await catalog.plan({ name: "t", snapshot_id });
      return {
        id: plan.snapshot_id,
        files: sorted(new Map(plan.files.map((it) => [it.key, it.rows]))),
        columns: plan.fields.map((it) => it.name),
      };
    };
    expect(await seen()).toEqual({ id: model.current, files: sorted(model.files), columns: model.columns });
    for (const { id, files, columns } of model.snapshots)
      expect(await seen(id)).toEqual({ id, files: sorted(files), columns: [...columns] });
    const total = [...model.files.values()].reduce((sum, it) => sum + it, 0);
    const { datasets } = await catalog.list({});
    expect(datasets).toMatchObject([{ name: "t", rows: total, files: model.files.size }]);
    const { snapshots } = await catalog.history("t", { limit: 1000 });
    expect(snapshots.map((it) => it.snapshot_id)).toEqual(model.snapshots.map((it) => it.id).reverse());
  }
}

test(
  "random histories leave the table that the model has",
  async () => {
    await fc.assert(
      fc.asyncProperty(steps, async (taken) => {
        const table = new Table(await startHouse("mounted"));
        try {
          await table.create();
          for (const step of taken) await table.take(step);
          await table.check();
        } finally {
          await table.house.stop();
          rmSync(table.house.data_dir, { recursive: true, force: true });
        }
      }),
      { numRuns: RUNS },
    );
  },
  TIMEOUT_MS,
);
