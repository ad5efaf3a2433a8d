/** Columns as people write them: from and to Iceberg's fields, their fingerprint, and how two sets differ. */
import type { Column, IcebergField } from "./schema.ts";
import { fieldIdsAfter, formatType, parseType } from "./types.ts";

/** @returns fields numbered in order @throws LakeError invalid, naming the column */
export function fieldsOf(columns: readonly Column[]): IcebergField[] {
  const ids = fieldIdsAfter(0);
  return columns.map(({ name, type, nullable }) => ({
    id: ids.next(),
    name,
    required: !nullable,
    type: parseType(type, name, ids),
  }));
}

export function columnsOf(fields: readonly IcebergField[]): Column[] {
  return fields.map(({ name, type, required }) => ({ name, type: formatType(type), nullable: !required }));
}

/**
 * The fingerprint of a schema: SHA-256, in hex, of the UTF-8 JSON text (without spaces) of its columns in
 * order, each `{"name":…,"type":…,"nullable":…}` with these members in this order and Iceberg's type names.
 */
export function schemaFingerprint(columns: readonly Column[]): string {
  const text = JSON.stringify(columns.map(({ name, type, nullable }) => ({ name, type, nullable })));
  return new Bun.CryptoHasher("sha256").update(text).digest("hex");
}

export interface ColumnDifference {
  column: string;
  /** What of it differs: it is new or missing, or its type, nullability or place. */
  change: "added" | "removed" | "type" | "nullable" | "position";
  /** As the table has it; null where it has it not. */
  registered: string | null;
  /** As it is given; null where it isn't. */
  given: string | null;
}

/** Column by column, how what is given differs from what the table has. */
export function schemaDifference(table: readonly Column[], given: readonly Column[]): ColumnDifference[] {
  const differences: ColumnDifference[] = [];
  const nullability = (it: Column) => (it.nullable ? "nullable" : "not nullable");
  for (const [position, column] of table.entries()) {
    const at = given.findIndex((it) => it.name === column.name);
    const other = given[at];
    const differs = (change: ColumnDifference["change"], registered: string, given: string | null) =>
      differences.push({ column: column.name, change, registered, given });
    if (!other) {
      differs("removed", column.type, null);
      continue;
    }
    if (other.type !== column.type) differs("type", column.type, other.type);
    if (other.nullable !== column.nullable) differs("nullable", nullability(column), nullability(other));
    if (at !== position && table.length === given.length) differs("position", String(position), String(at));
  }
  for (const column of given)
    if (!table.some((it) => it.name === column.name))
      differences.push({ column: column.name, change: "added", registered: null, given: column.type });
  return differences.length === 0 && !Bun.deepEquals(table, given) ? positions(table, given) : differences;
}

/** The same columns in another order and number: told by place alone. */
function positions(table: readonly Column[], given: readonly Column[]): ColumnDifference[] {
  return table.flatMap(({ name }, position) => {
    const at = given.findIndex((it) => it.name === name);
    return at === position
      ? []
      : [{ column: name, change: "position", registered: String(position), given: String(at) } as const];
  });
}

/** One sentence that tells the first differences. */
export function sayDifference(differences: readonly ColumnDifference[]): string {
  const said = differences.slice(0, 5).map(({ column, change, registered, given }) => {
    if (change === "added") return `"${column}" (${given}) is new`;
    if (change === "removed") return `"${column}" (${registered}) is missing`;
    return `"${column}" is ${given}, not ${registered}`;
  });
  const more = differences.length - said.length;
  return said.join("; ") + (more > 0 ? `; and ${more} more` : "");
}
