/** The commit that an ingest asks the catalog for, drafted from what was converted. Pure. */
import { randomUUID } from "node:crypto";
import { LakeError } from "../../shared/errors.ts";
import type { Commit, CommitResult, TableState } from "../catalogd/schema.ts";
import { type Note, outcomeOf, readNote, SUMMARY_NOTE, TABLE_NOTE } from "./note.ts";
import type { Converted, ReadOptions } from "./protocol.ts";
import type { Received } from "./receive.ts";
import type { FileFormat, Ingested, IngestOptions, Job, Mode } from "./schema.ts";

/** Where this lake's tables lie. */
export const BUCKET = "s3://lakehouse/";

export type Report = (change: Partial<Pick<Job, "phase" | "percent" | "rows">>) => void;
export type Outcome = Omit<Ingested, "elapsed_ms"> & { created: boolean };

export interface Ingest {
  readonly options: IngestOptions;
  readonly received: Received;
  readonly fingerprint: string;
  readonly idempotency_key: string | null;
  readonly signal: AbortSignal;
  readonly report: Report;
}

/** What was converted, for which state of the table. */
export interface Prepared {
  table: TableState | null;
  converted: Converted;
  key: string[];
}

export function commitOf(
  ingest: Ingest,
  { table, converted, key }: Prepared,
  location: string,
  keys: readonly string[],
  merged: { replaced: string[]; base: string | null },
  note: Note,
): Commit {
  const mode: Mode = ingest.options.mode ?? "create";
  const add = keys.map((key) => ({ key }));
  const summary = { [SUMMARY_NOTE]: JSON.stringify(note) };
  const { idempotency_key: given } = ingest;
  const idempotency = given === null ? {} : { idempotency_key: commitKey(given) };
  if (table === null) {
    const identifiers = new Set(key.map((it) => it.toLowerCase()));
    const identifier_field_ids = converted.fields
      .filter((it) => identifiers.has(it.name.toLowerCase()))
      .map((it) => it.id);
    const properties = { [TABLE_NOTE]: JSON.stringify(note) };
    const create = { fields: converted.fields, location, identifier_field_ids, properties };
    return { operation: "append", add, remove: [], create, summary, ...idempotency };
  }
  const common = {
    add,
    base_schema_id: table.schema_id,
    schema_changes: converted.changes,
    summary,
    ...idempotency,
  };
  if (mode === "append") return { operation: "append", remove: [], ...common };
  if (mode === "overwrite") return { operation: "overwrite", remove: "all", ...common };
  return { operation: "overwrite", remove: merged.replaced, base_snapshot_id: merged.base, ...common };
}

export function repeated(made: CommitResult, ingest: Ingest): Outcome {
  const note = readNote(made.summary[SUMMARY_NOTE]);
  if (note?.fingerprint !== ingest.fingerprint)
    throw new LakeError(
      "conflict",
      `The Idempotency-Key "${ingest.idempotency_key}" was used for another file, or other options, before.`,
    );
  return { ...outcomeOf(note, made.table, made.snapshot_id), existing: true, created: false };
}

export function commitKey(given: string): string {
  return `ingest:${given}`;
}

/** The columns to match rows by. @throws LakeError invalid */
export function keyOf(options: IngestOptions, table: TableState | null): string[] {
  if (options.mode !== "upsert") return [];
  if (options.key !== undefined) return options.key.split(",").map((it) => it.trim());
  const own =
    table?.fields.filter((it) => table.identifier_field_ids.includes(it.id)).map((it) => it.name) ?? [];
  if (own.length > 0) return own;
  throw new LakeError(
    "invalid",
    "mode=upsert needs key=<column>[,<column>…]: the table has no key of its own.",
  );
}

export function newLocation(name: string): string {
  const [table = "", namespace = "default"] = name.split(".").reverse();
  return `${BUCKET}warehouse/${namespace}/${table}-${randomUUID().slice(0, 8)}`;
}

/** How a file is to be read. @param told what its sender's headers say it is */
export function readOptions(options: IngestOptions, told: FileFormat | undefined): ReadOptions {
  return {
    format: options.format ?? told,
    delimiter: options.delimiter,
    quote: options.quote,
    escape: options.escape,
    header: options.header,
    nulls: options.null?.split(",") ?? [],
    types: options.types,
    on_error: options.on_error ?? "fail",
  };
}
