/** catalogd's rules: what each call of its interface comes to. Knows neither HTTP nor SQL. */
import { LakeError } from "../../shared/errors.ts";
import { Committer } from "./commit.ts";
import { type CommitLimits, evolved } from "./draft.ts";
import { type MaintainDefaults, Maintainer } from "./maintain.ts";
import { withCurrent } from "./metadata.ts";
import { planScan, snapshotFor } from "./plan.ts";
import { Registrar } from "./register.ts";
import type {
  Catalogd,
  Commit,
  CommitResult,
  CreateTable,
  DatasetList,
  Evolution,
  History,
  MaintainReport,
  MaintainRequest,
  Manifest,
  Page,
  Registered,
  Registration,
  Rollback,
  ScanPlan,
  ScanRequest,
  SnapshotChoice,
  TableState,
} from "./schema.ts";
import { stateOf, type Tables } from "./tables.ts";
import { historyOf, listTables, manifestOf } from "./views.ts";

export class CatalogdDomain implements Catalogd {
  readonly #tables: Tables;
  readonly #limits: CommitLimits;
  readonly #committer: Committer;
  readonly #registrar: Registrar;
  readonly #maintainer: Maintainer;

  constructor(tables: Tables, limits: CommitLimits, maintain: MaintainDefaults) {
    this.#tables = tables;
    this.#limits = limits;
    this.#committer = new Committer(tables, limits);
    this.#registrar = new Registrar(tables, this.#committer, limits);
    this.#maintainer = new Maintainer(tables, maintain);
  }

  async describe(name: string): Promise<TableState> {
    return stateOf(await this.#tables.find(name));
  }

  create(name: string, table: CreateTable): Promise<TableState> {
    return this.#committer.create(name, table);
  }

  commit(name: string, commit: Commit): Promise<CommitResult> {
    return this.#committer.commit(name, commit);
  }

  committed(name: string, idempotency_key: string): Promise<CommitResult | null> {
    return this.#committer.committed(name, idempotency_key);
  }

  async plan(request: ScanRequest): Promise<ScanPlan> {
    return planScan(this.#tables.warehouse, await this.#tables.find(request.name), request);
  }

  async names(): Promise<string[]> {
    return this.#tables.store.names();
  }

  register(registration: Registration): Promise<Registered> {
    return this.#registrar.register(registration);
  }

  list(page: Page): Promise<DatasetList> {
    return listTables(this.#tables, page);
  }

  async manifest(name: string, choice: SnapshotChoice & Page): Promise<Manifest> {
    return manifestOf(this.#tables.warehouse, await this.#tables.find(name), choice);
  }

  async history(name: string, page: Page): Promise<History> {
    return historyOf(await this.#tables.find(name), page);
  }

  async rollback(name: string, rollback: Rollback): Promise<TableState> {
    if (rollback.snapshot_id === undefined && rollback.as_of === undefined)
      throw new LakeError("invalid", "Give the snapshot_id or the as_of to roll back to.");
    const { table } = await this.#tables.change(name, async ({ metadata, pointer }) => {
      const present = metadata["current-snapshot-id"];
      const base = rollback.base_snapshot_id;
      if (base !== undefined && base !== present?.toString())
        throw new LakeError(
          "conflict",
          `Table "${pointer.name}" is at snapshot ${present} by now, not ${base}; look at its history again.`,
          { base_snapshot_id: base, snapshot_id: present?.toString() ?? null },
        );
      const target = snapshotFor(metadata, pointer.name, rollback);
      if (!target) throw new LakeError("not_found", `Table "${pointer.name}" has no snapshot yet.`);
      const id = target["snapshot-id"];
      const now_ms = Math.max(this.#tables.now_ms(), metadata["last-updated-ms"]);
      return { next: id === present ? undefined : withCurrent(metadata, id, now_ms), result: undefined };
    });
    return stateOf(table);
  }

  async evolve(name: string, { changes, base_schema_id }: Evolution): Promise<TableState> {
    const { table } = await this.#tables.change(name, async ({ metadata }) => {
      const present = metadata["current-schema-id"];
      if (base_schema_id !== undefined && base_schema_id !== present)
        throw new LakeError(
          "conflict",
          `The table's schema is ${present} by now, not ${base_schema_id}; describe it again.`,
          { base_schema_id, schema_id: present },
        );
      return { next: evolved(metadata, changes, this.#limits.max_columns), result: undefined };
    });
    return stateOf(table);
  }

  async drop(name: string, { purge = false }: { purge?: boolean }): Promise<void> {
    const pointer = await this.#remove(name);
    if (purge) await this.#maintainer.purge(pointer.folder);
  }

  /** Takes the pointer away; a commit that came between is dropped with the rest. */
  async #remove(name: string) {
    for (;;) {
      const pointer = this.#tables.pointer(name);
      if (this.#tables.store.remove(pointer, this.#tables.now_ms())) return pointer;
    }
  }

  maintain(request: MaintainRequest): Promise<MaintainReport> {
    return this.#maintainer.maintain(request);
  }
}
