/** From a received file to a committed snapshot: convert, store, commit, and again where another came between. */
import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { reasonOf } from "../../shared/duckdb/process.ts";
import { LakeError } from "../../shared/errors.ts";
import type { Log } from "../../shared/log.ts";
import type { Catalogd, ScanFilter, TableState } from "../catalogd/schema.ts";
import type { Storaged } from "../storaged/schema.ts";
import {
  BUCKET,
  commitKey,
  commitOf,
  type Ingest,
  keyOf,
  newLocation,
  type Outcome,
  type Prepared,
  readOptions,
  repeated,
} from "./draft.ts";
import { noteOf, outcomeOf, readNote, TABLE_NOTE } from "./note.ts";
import type { ConversionProcess, OutFile, Progress } from "./protocol.ts";

export interface CommitterOptions {
  /** Where storaged keeps its objects on this machine. */
  readonly storage_dir: string;
  readonly file_bytes: number;
  readonly rejected_samples: number;
  readonly max_columns: number;
}

interface Parts {
  readonly storaged: Storaged;
  readonly catalogd: Catalogd;
  readonly log: Log;
}

/** How often an ingest is planned again after losing to another commit. */
const ATTEMPTS = 8;
const FIRST_PAUSE_MS = 20;

export class IngestCommitter {
  readonly #parts: Parts;
  readonly #options: CommitterOptions;

  constructor(parts: Parts, options: CommitterOptions) {
    this.#parts = parts;
    this.#options = options;
  }

  /** @throws LakeError */
  async commit(ingest: Ingest, child: ConversionProcess): Promise<Outcome> {
    let prepared: Prepared | undefined;
    for (let attempt = 1; ; attempt++) {
      const table = await this.#describe(ingest.options.name);
      const made = table && (await this.#madeBefore(ingest, table));
      if (made) return made;
      if (prepared === undefined || !isSameSchema(prepared.table, table))
        prepared = await this.#convert(ingest, table, child, attempt);
      try {
        return await this.#publish(ingest, { ...prepared, table }, child, attempt);
      } catch (error) {
        // Lost to another commit, or to another maker of the table: all is looked at again.
        if (!(error instanceof LakeError) || error.code !== "conflict" || attempt === ATTEMPTS) throw error;
        if (ingest.signal.aborted) throw reasonOf(ingest.signal);
        await Bun.sleep(FIRST_PAUSE_MS * 2 ** attempt * Math.random());
      }
    }
  }

  async #describe(name: string): Promise<TableState | null> {
    try {
      return await this.#parts.catalogd.describe(name);
    } catch (error) {
      if (error instanceof LakeError && error.code === "not_found") return null;
      throw error;
    }
  }

  /** The answer to an ingest that was made already. @throws LakeError conflict where it was another one */
  async #madeBefore(ingest: Ingest, table: TableState): Promise<Outcome | null> {
    const { idempotency_key, fingerprint, options } = ingest;
    if (idempotency_key !== null) {
      const made = await this.#parts.catalogd.committed(table.name, commitKey(idempotency_key));
      if (made) return repeated(made, ingest);
    }
    if ((options.mode ?? "create") !== "create") return null;
    const note = readNote(table.properties[TABLE_NOTE]);
    if (note?.fingerprint === fingerprint)
      return { ...outcomeOf(note, table, table.snapshot_id ?? ""), existing: true, created: false };
    throw new LakeError(
      "conflict",
      `Table "${table.name}" exists already, and not from this file with these options. Add to it with mode=append, replace its rows with mode=overwrite, or match them with mode=upsert.`,
    );
  }

  async #convert(
    ingest: Ingest,
    table: TableState | null,
    child: ConversionProcess,
    attempt: number,
  ): Promise<Prepared> {
    const { options, received, signal, report } = ingest;
    const key = keyOf(options, table);
    const converted = await child.ask(
      "convert",
      {
        input: received.path,
        out_dir: join(child.scratch, `out${attempt}`),
        scratch_dir: join(child.scratch, `texts${attempt}`),
        read: readOptions(options, received.format),
        table: table && { name: table.name, fields: table.fields, last_column_id: table.last_column_id },
        evolve: options.evolve ?? false,
        key,
        file_bytes: this.#options.file_bytes,
        samples: this.#options.rejected_samples,
        max_columns: this.#options.max_columns,
      },
      (progress) => report(told(progress)),
      signal,
    );
    report({ phase: "converting", percent: 100, rows: converted.rows });
    return { table, converted, key };
  }

  /** Stores the files and commits them; where that fails for certain, nothing of them stays. */
  async #publish(
    ingest: Ingest,
    prepared: Prepared,
    child: ConversionProcess,
    attempt: number,
  ): Promise<Outcome> {
    const { table, converted } = prepared;
    const { signal, report } = ingest;
    const merged = await this.#merge(ingest, prepared, child, attempt);
    const location = table?.location ?? newLocation(ingest.options.name);
    const keys: string[] = [];
    let is_sent = false;
    try {
      report({ phase: "storing", percent: 0 });
      for (const file of merged.files) {
        keys.push(await this.#store(file, location, signal));
        report({ percent: Math.round((100 * keys.length) / merged.files.length) });
      }
      report({ phase: "committing", percent: 0 });
      if (signal.aborted) throw reasonOf(signal);
      const bytes_out = merged.files.reduce((sum, it) => sum + it.bytes, 0);
      const note = noteOf(ingest.fingerprint, converted, ingest.received.bytes, bytes_out);
      const commit = commitOf(ingest, prepared, location, keys, merged, note);
      is_sent = true;
      const made = await this.#parts.catalogd.commit(table?.name ?? ingest.options.name, commit);
      if (made.repeated) {
        await this.#discard(keys);
        return repeated(made, ingest);
      }
      return {
        ...outcomeOf(note, made.table, made.snapshot_id),
        rejected: converted.rejected,
        existing: false,
        created: table === null,
      };
    } catch (error) {
      if (!is_sent || isCertain(error)) await this.#discard(keys);
      throw signal.aborted && !is_sent ? reasonOf(signal) : error;
    }
  }

  /** For an upsert into a table with rows: the files rewritten with the new rows among the old. */
  async #merge(
    ingest: Ingest,
    { table, converted, key }: Prepared,
    child: ConversionProcess,
    attempt: number,
  ): Promise<{ files: OutFile[]; replaced: string[]; base: string | null }> {
    const whole = { files: converted.files, replaced: [], base: table?.snapshot_id ?? null };
    if (ingest.options.mode !== "upsert" || !table?.snapshot_id || converted.files.length === 0) return whole;
    const filters = converted.key_bounds.flatMap(({ column, min, max }): ScanFilter[] => [
      { column, op: ">=", values: [min] },
      { column, op: "<=", values: [max] },
    ]);
    const plan = await this.#parts.catalogd.plan({ name: table.name, filters });
    if (plan.uuid !== table.uuid)
      throw new LakeError("conflict", `Table "${table.name}" was made anew meanwhile.`);
    const local = (key: string) => join(this.#options.storage_dir, key);
    const merged = await child.ask(
      "merge",
      {
        staged: converted.files.map((it) => it.path),
        old_files: plan.files.map((it) => ({
          key: it.key,
          path: local(it.key),
          deletes: it.position_deletes.map((deleted) => local(deleted.key)),
        })),
        fields: converted.fields,
        key,
        out_dir: join(child.scratch, `merged${attempt}`),
        file_bytes: this.#options.file_bytes,
      },
      (progress) => ingest.report(told(progress)),
      ingest.signal,
    );
    return { files: merged.files, replaced: merged.replaced, base: plan.snapshot_id };
  }

  async #store(file: OutFile, location: string, signal: AbortSignal): Promise<string> {
    if (!location.startsWith(BUCKET))
      throw new LakeError(
        "invalid",
        `The table's location ${location} is not in ${BUCKET}, where ingest writes.`,
      );
    const key = `${location.slice(BUCKET.length)}/data/${randomUUID()}.parquet`;
    await this.#parts.storaged.put(key, Bun.file(file.path), { create_only: true, by_service: true, signal });
    return key;
  }

  /** Removes files that no commit names; those that stay are found by maintenance. */
  async #discard(keys: readonly string[]): Promise<void> {
    for (const key of keys)
      try {
        await this.#parts.storaged.delete(key, { by_service: true });
      } catch (error) {
        this.#parts.log.warn({ key, err: error }, "a file that was not committed could not be removed");
      }
  }
}

function isSameSchema(before: TableState | null, now: TableState | null): boolean {
  return before?.uuid === now?.uuid && before?.schema_id === now?.schema_id;
}

/** Whether the commit surely did not happen: a lost answer may be that of one that did. */
function isCertain(error: unknown): boolean {
  const unknown = ["unreachable", "deadline", "unavailable", "internal"];
  return error instanceof LakeError && !unknown.includes(error.code);
}

function told({ phase, percent }: Progress): { phase: Progress["phase"]; percent: number } {
  return { phase, percent: Math.round(percent) };
}
