/** What an ingest leaves in the table about itself, so that its repeat is known and answered alike. */
import type { TableState } from "../catalogd/schema.ts";
import type { Converted } from "./protocol.ts";
import type { Ingested } from "./schema.ts";
import { typeText } from "./types.ts";

/** The member of a snapshot's summary, and of the properties of a table that was made by an ingest. */
export const SUMMARY_NOTE = "lakehouse.ingest";
export const TABLE_NOTE = "lakehouse.created-by-ingest";

export interface Note {
  fingerprint: string;
  rows: number;
  bytes_in: number;
  bytes_out: number;
  rejected: number;
}

export function noteOf(fingerprint: string, converted: Converted, bytes_in: number, bytes_out: number): Note {
  return { fingerprint, rows: converted.rows, bytes_in, bytes_out, rejected: converted.rejected.count };
}

/** Undefined where there is none, or another program's. */
export function readNote(text: string | undefined): Note | undefined {
  if (text === undefined) return undefined;
  try {
    const note = JSON.parse(text) as Partial<Note>;
    return typeof note.fingerprint === "string" ? (note as Note) : undefined;
  } catch {
    return undefined;
  }
}

export function outcomeOf(
  note: Note,
  table: TableState,
  snapshot_id: string,
): Omit<Ingested, "elapsed_ms" | "existing"> {
  return {
    dataset: table.name,
    snapshot_id,
    rows: note.rows,
    bytes_in: note.bytes_in,
    bytes_out: note.bytes_out,
    schema: table.fields.map((it) => ({ name: it.name, type: typeText(it.type), nullable: !it.required })),
    rejected: { count: note.rejected, samples: [] },
  };
}
