/** Tables by name: their pointer and present metadata, and the one way to change them. */
import { LakeError, messageOf } from "../../shared/errors.ts";
import type { Log } from "../../shared/log.ts";
import { currentSchema, succeed, type TableMetadata } from "./metadata.ts";
import { parseName, tableNotFound } from "./names.ts";
import type { TableState } from "./schema.ts";
import type { CommitKey, Pointer, PointerStore, Swap } from "./store.ts";
import { locationOf, type Warehouse } from "./warehouse.ts";

const FIRST_BACKOFF_MS = 4;
const LONGEST_BACKOFF_MS = 400;

export interface Table {
  readonly pointer: Pointer;
  readonly metadata: TableMetadata;
}

/** What one attempt at a change comes to. */
export interface Change<Result> {
  /** The next document, before its log and time are set; undefined where nothing is to change. */
  next: TableMetadata | undefined;
  result: Result;
  /** Objects that are of no use where the attempt loses its race. */
  written?: readonly string[];
  commit_key?: CommitKey;
  released?: Swap["released"];
}

export interface TablesOptions {
  readonly store: PointerStore;
  readonly warehouse: Warehouse;
  readonly log: Log;
  readonly commit_attempts: number;
  now_ms(): number;
  /** Told of each attempt at a change that another process's change overtook. */
  raceLost(): void;
}

export class Tables {
  readonly store: PointerStore;
  readonly warehouse: Warehouse;
  readonly log: Log;
  readonly #options: TablesOptions;
  /** The last change under way for each table here, so that changes of one process don't race each other. */
  readonly #turns = new Map<string, Promise<unknown>>();

  constructor(options: TablesOptions) {
    this.store = options.store;
    this.warehouse = options.warehouse;
    this.log = options.log;
    this.#options = options;
  }

  now_ms(): number {
    return this.#options.now_ms();
  }

  /** @throws LakeError not_found, naming the nearest names; invalid */
  pointer(name: string): Pointer {
    const { full } = parseName(name);
    const pointer = this.store.find(full);
    if (!pointer) throw tableNotFound(full, this.store.names());
    return pointer;
  }

  async find(name: string): Promise<Table> {
    const pointer = this.pointer(name);
    return { pointer, metadata: await this.warehouse.metadata(pointer.metadata_key) };
  }

  /**
   * Changes a table by compare-and-swap on its pointer: where another change came between, `attempt` is
   * made again on what the table is by then.
   * @throws LakeError conflict when every attempt lost its race, and what `attempt` throws
   */
  change<Result>(
    name: string,
    attempt: (table: Table) => Promise<Change<Result>>,
  ): Promise<{ table: Table; result: Result }> {
    const { uuid } = this.pointer(name);
    return this.#inTurn(uuid, () => this.#retry(name, attempt));
  }

  async #retry<Result>(
    name: string,
    attempt: (table: Table) => Promise<Change<Result>>,
  ): Promise<{ table: Table; result: Result }> {
    const { commit_attempts } = this.#options;
    for (let tried = 1; tried <= commit_attempts; tried++) {
      const table = await this.find(name);
      const change = await attempt(table);
      if (!change.next) return { table, result: change.result };
      const changed = await this.#swap(table, change.next, change);
      if (changed) return { table: changed, result: change.result };
      await Bun.sleep(Math.random() * Math.min(LONGEST_BACKOFF_MS, FIRST_BACKOFF_MS * 2 ** tried));
    }
    throw new LakeError(
      "conflict",
      `Table "${name}" is being changed by others: ${commit_attempts} attempts lost their race. Try again.`,
    );
  }

  /** The table as it is after the swap; undefined where the race was lost. */
  async #swap<Result>(table: Table, next: TableMetadata, change: Change<Result>): Promise<Table | undefined> {
    const { pointer, metadata } = table;
    const succeeded = succeed(metadata, locationOf(pointer.metadata_key), next, this.now_ms());
    const metadata_key = await this.warehouse.writeMetadata(
      pointer.folder,
      versionOf(pointer.metadata_key) + 1,
      succeeded,
    );
    const won = this.store.swap({
      uuid: pointer.uuid,
      from_metadata_key: pointer.metadata_key,
      to_metadata_key: metadata_key,
      commit_key: change.commit_key,
      released: change.released,
    });
    if (won) return { pointer: { ...pointer, metadata_key }, metadata: succeeded };
    this.#options.raceLost();
    await this.discard([metadata_key, ...(change.written ?? [])]);
    return undefined;
  }

  /** Removes what turned out to be of no use; what stays is an orphan, which maintain removes. */
  async discard(keys: readonly string[]): Promise<void> {
    try {
      await this.warehouse.remove(keys);
    } catch (error) {
      this.log.warn({ keys: keys.length, err: messageOf(error) }, "left for maintain to remove");
    }
  }

  async #inTurn<T>(uuid: string, work: () => Promise<T>): Promise<T> {
    const before = this.#turns.get(uuid) ?? Promise.resolve();
    const turn = before.then(work, work);
    this.#turns.set(uuid, turn);
    try {
      return await turn;
    } finally {
      if (this.#turns.get(uuid) === turn) this.#turns.delete(uuid);
    }
  }
}

/** The number a metadata document's name begins with: `00012-<uuid>.metadata.json`. */
function versionOf(metadata_key: string): number {
  const found = /\/(\d+)-[^/]*$/.exec(metadata_key);
  return found ? Number(found[1]) : 0;
}

export function stateOf({ pointer, metadata }: Table): TableState {
  const schema = currentSchema(metadata);
  return {
    name: pointer.name,
    uuid: pointer.uuid,
    location: metadata.location,
    schema_id: schema["schema-id"],
    fields: schema.fields,
    identifier_field_ids: schema["identifier-field-ids"] ?? [],
    last_column_id: metadata["last-column-id"],
    snapshot_id: metadata["current-snapshot-id"]?.toString() ?? null,
    properties: metadata.properties,
  };
}
