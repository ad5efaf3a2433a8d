/**
 * Maintenance: old snapshots expire, and files that nothing refers to go once they are old enough that
 * no commit and no reader under way can need them.
 */
import { LakeError, messageOf } from "../../shared/errors.ts";
import { STATUS } from "./manifest.ts";
import {
  currentSnapshot,
  type Snapshot,
  snapshotById,
  type TableMetadata,
  withoutSnapshots,
} from "./metadata.ts";
import type { MaintainReport, MaintainRequest, RemovedFiles } from "./schema.ts";
import type { Tables } from "./tables.ts";
import { keyOf, type Warehouse } from "./warehouse.ts";

export interface MaintainDefaults {
  readonly snapshot_max_age_ms: number;
  readonly snapshots_kept: number;
  readonly orphan_min_age_ms: number;
}

type Settings = MaintainDefaults & { readonly dry_run: boolean; readonly now_ms: number };
type Listed = { key: string; size: number; modified: string };

const SAMPLES = 20;
const TABLE_FOLDER = /^warehouse\/[A-Za-z_]\w*\/[A-Za-z_]\w*-[0-9a-f]{8}$/;

export class Maintainer {
  readonly #tables: Tables;
  readonly #defaults: MaintainDefaults;

  constructor(tables: Tables, defaults: MaintainDefaults) {
    this.#tables = tables;
    this.#defaults = defaults;
  }

  async maintain(request: MaintainRequest): Promise<MaintainReport> {
    const started_ms = performance.now();
    const { table, dry_run = false, ...overrides } = request;
    const settings = { ...this.#defaults, ...overrides, dry_run, now_ms: this.#tables.now_ms() };
    const report: MaintainReport = { dry_run, tables: [], folders: [], failures: [], elapsed_ms: 0 };
    const names = table === undefined ? this.#tables.store.names() : [this.#tables.pointer(table).name];
    for (const name of names)
      await this.#guarded(report, name, async () => {
        report.tables.push({ name, ...(await this.#table(name, settings)) });
      });
    if (table === undefined)
      for (const folder of await this.#strayFolders())
        await this.#guarded(report, folder, async () => {
          const removed = await this.#folder(folder, settings);
          if (removed.files > 0) report.folders.push({ folder, removed });
        });
    report.elapsed_ms = Math.round(performance.now() - started_ms);
    return report;
  }

  /** Removes a dropped table's files at once. */
  async purge(folder: string): Promise<void> {
    const keys: string[] = [];
    for await (const { key } of this.#tables.warehouse.objects(folder)) keys.push(key);
    await this.#tables.warehouse.remove(keys);
    this.#tables.store.forgetDropped(folder);
  }

  /** One table that can't be maintained doesn't keep the others from it. */
  async #guarded(report: MaintainReport, name: string, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      const reason =
        error instanceof LakeError && error.code !== "internal" ? error.message : "Internal error";
      this.#tables.log.error({ name, err: messageOf(error) }, "maintain failed");
      report.failures.push({ name, reason });
    }
  }

  async #table(
    name: string,
    settings: Settings,
  ): Promise<{ expired_snapshots: string[]; removed: RemovedFiles }> {
    const { warehouse, store } = this.#tables;
    const { table, result } = await this.#tables.change(name, async ({ metadata }) => {
      const expired = expiredSnapshots(metadata, settings);
      const next = withoutSnapshots(metadata, new Set(expired.map((it) => it["snapshot-id"])));
      const keys = expired.length === 0 ? [] : await this.#releasedBy(expired, next);
      const released = { keys, at_ms: settings.now_ms };
      return {
        next: settings.dry_run || expired.length === 0 ? undefined : next,
        result: { expired, next, keys },
        released,
      };
    });
    const { pointer } = table;
    // Listed before asking what is referred to: what is committed in between is then known to be.
    const listed = await Array.fromAsync(warehouse.objects(pointer.folder));
    const present = await this.#tables.find(name);
    const referenced = await reachable(warehouse, settings.dry_run ? result.next : present.metadata);
    referenced.add(present.pointer.metadata_key);
    const released = store.released(pointer.uuid);
    if (settings.dry_run) for (const key of result.keys) released.set(key, settings.now_ms);
    const going = listed.filter(
      ({ key, modified }) =>
        !referenced.has(key) &&
        isOld(Date.parse(modified), settings) &&
        isOld(released.get(key) ?? 0, settings),
    );
    await this.#remove(going, settings);
    if (!settings.dry_run) {
      const left = new Set(listed.map(({ key }) => key));
      for (const { key } of going) left.delete(key);
      store.forgetReleased(
        pointer.uuid,
        [...released.keys()].filter((key) => !left.has(key)),
      );
    }
    return {
      expired_snapshots: result.expired.map((it) => it["snapshot-id"].toString()),
      removed: removedFiles(going),
    };
  }

  /** What only the expired snapshots refer to. */
  async #releasedBy(expired: readonly Snapshot[], kept: TableMetadata): Promise<string[]> {
    const { warehouse } = this.#tables;
    const before = await reachable(warehouse, { ...kept, snapshots: [...expired] });
    const after = await reachable(warehouse, kept);
    return [...before.difference(after)];
  }

  /** Folders shaped like a table's that no table has. */
  async #strayFolders(): Promise<string[]> {
    const { storaged } = this.#tables.warehouse;
    const stray: string[] = [];
    for await (const namespace of prefixes(storaged, "warehouse/"))
      for await (const prefix of prefixes(storaged, namespace)) {
        const folder = prefix.slice(0, -1);
        if (TABLE_FOLDER.test(folder) && !this.#tables.store.hasFolder(folder)) stray.push(folder);
      }
    return stray;
  }

  /** A stray folder goes as a whole, and only when all of it is old: one young file tells of a writer. */
  async #folder(folder: string, settings: Settings): Promise<RemovedFiles> {
    const { warehouse, store } = this.#tables;
    const listed = await Array.fromAsync(warehouse.objects(folder));
    const dropped = store.dropped().find((it) => it.folder === folder);
    const is_old =
      isOld(dropped?.at_ms ?? 0, settings) && listed.every((it) => isOld(Date.parse(it.modified), settings));
    if (!is_old || store.hasFolder(folder)) return removedFiles([]);
    await this.#remove(listed, settings);
    if (!settings.dry_run) store.forgetDropped(folder);
    return removedFiles(listed);
  }

  async #remove(files: readonly Listed[], settings: Settings): Promise<void> {
    if (!settings.dry_run) await this.#tables.warehouse.remove(files.map(({ key }) => key));
  }
}

function isOld(at_ms: number, { now_ms, orphan_min_age_ms }: Settings): boolean {
  return at_ms <= now_ms - orphan_min_age_ms;
}

function removedFiles(files: readonly Listed[]): RemovedFiles {
  return {
    files: files.length,
    bytes: files.reduce((sum, { size }) => sum + size, 0),
    samples: files.slice(0, SAMPLES).map(({ key }) => key),
  };
}

/** Snapshots past their age that are neither current, nor a branch's or tag's, nor among the newest kept. */
function expiredSnapshots(metadata: TableMetadata, settings: Settings): Snapshot[] {
  const kept = new Set(Object.values(metadata.refs).map((ref) => ref["snapshot-id"]));
  let at = currentSnapshot(metadata);
  for (let count = 0; at && count < settings.snapshots_kept; count++) {
    kept.add(at["snapshot-id"]);
    at = snapshotById(metadata, at["parent-snapshot-id"] ?? null);
  }
  const oldest_ms = settings.now_ms - settings.snapshot_max_age_ms;
  return metadata.snapshots.filter((it) => !kept.has(it["snapshot-id"]) && it["timestamp-ms"] <= oldest_ms);
}

/** The keys of everything that a table's metadata refers to. */
async function reachable(warehouse: Warehouse, metadata: TableMetadata): Promise<Set<string>> {
  const keys = new Set(metadata["metadata-log"].map((it) => keyOf(it["metadata-file"])));
  for (const it of [...(metadata.statistics ?? []), ...(metadata["partition-statistics"] ?? [])])
    keys.add(keyOf((it as { "statistics-path": string })["statistics-path"]));
  const visited = new Set<string>();
  for (const snapshot of metadata.snapshots) {
    keys.add(keyOf(snapshot["manifest-list"]));
    for (const manifest of await warehouse.manifestList(snapshot["manifest-list"])) {
      if (visited.has(manifest.manifest_path)) continue;
      visited.add(manifest.manifest_path);
      keys.add(keyOf(manifest.manifest_path));
      for (const { status, data_file } of (await warehouse.manifest(manifest)).entries)
        if (status !== STATUS.deleted) keys.add(keyOf(data_file.file_path));
    }
  }
  return keys;
}

async function* prefixes(storaged: Warehouse["storaged"], prefix: string): AsyncGenerator<string> {
  let cursor: string | undefined;
  do {
    const page = await storaged.list({ prefix, delimiter: "/", limit: 1000, cursor });
    yield* page.prefixes;
    cursor = page.next_cursor ?? undefined;
  } while (cursor !== undefined);
}
