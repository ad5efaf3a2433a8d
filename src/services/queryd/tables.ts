/** From the names in a statement to the files of one snapshot each: names, time travel, scan plans. */
import { closest, distance } from "fastest-levenshtein";
import { contentOf } from "../../shared/duckdb/content.ts";
import { LakeError } from "../../shared/errors.ts";
import { readTime } from "../../shared/time.ts";
import type { Catalogd, ScanPlan } from "../catalogd/schema.ts";
import { at } from "./failure.ts";
import type { Binding, TableReference } from "./protocol.ts";
import type { SqlBody } from "./schema.ts";

const DEFAULT_NAMESPACE = "default";
/**
 * DuckDB's own catalogs and schemas, and its word for a recursive CTE's rows so far: names that a namespace
 * can't take in SQL. A view in a schema `recurring` could be read as a CTE is, without being looked up.
 */
const RESERVED = new Set(["memory", "system", "temp", "pg_catalog", "information_schema", "recurring"]);
const SNAPSHOT_ID = /^-?\d{1,19}$/;
const SUGGESTED = 3;

/** A table of the statement, resolved. */
export interface ResolvedTable {
  /** `[namespace.]table`, as the catalog has it. */
  name: string;
  /** DuckDB's schema and view for it, lower case. */
  schema: string;
  view: string;
  plan: ScanPlan;
}

/** @throws LakeError not_found, invalid */
export async function resolveTables(
  catalogd: Catalogd,
  sql: string,
  references: readonly TableReference[],
  as_of: SqlBody["as_of"],
): Promise<ResolvedTable[]> {
  const when = readAsOf(as_of, references.length);
  const tables = await Promise.all(references.map((it) => resolveTable(catalogd, sql, it, when)));
  for (const wanted of when.by_table.keys())
    if (!tables.some((table) => table.name.toLowerCase() === wanted))
      throw new LakeError("invalid", `as_of names the table ${wanted}, which the statement does not.`);
  const slots = new Map<string, string>();
  for (const { schema, view, name } of tables) {
    const other = slots.get(`${schema}.${view}`);
    if (other !== undefined && other !== name)
      throw new LakeError(
        "invalid",
        `${other} and ${name} can't stand in one query, their names being the same to SQL.`,
      );
    slots.set(`${schema}.${view}`, name);
  }
  return tables;
}

interface When {
  /** For every table: a snapshot id or a time. */
  all: string | undefined;
  /** By `[namespace.]table`, lower case. */
  by_table: Map<string, string>;
}

function readAsOf(as_of: SqlBody["as_of"], tables: number): When {
  if (as_of === undefined) return { all: undefined, by_table: new Map() };
  if (typeof as_of !== "string")
    return {
      all: undefined,
      by_table: new Map(Object.entries(as_of).map(([name, value]) => [canonical(name).toLowerCase(), value])),
    };
  if (SNAPSHOT_ID.test(as_of) && tables !== 1)
    throw new LakeError(
      "invalid",
      `as_of as one snapshot id needs a statement that names one table; this names ${tables}. Write {"table": "id"}.`,
    );
  return { all: as_of, by_table: new Map() };
}

function selection(when: When, name: string): { snapshot_id?: string; as_of?: string } {
  const value = when.by_table.get(name.toLowerCase()) ?? when.all;
  if (value === undefined) return {};
  if (SNAPSHOT_ID.test(value)) return { snapshot_id: value };
  if (readTime(value) === undefined)
    throw new LakeError(
      "invalid",
      `as_of must be an RFC 3339 time, as in "2026-01-31T00:00:00Z", or a snapshot id (got ${JSON.stringify(value.slice(0, 100))}).`,
    );
  return { as_of: value };
}

/** A table of the default namespace goes by its own name, with or without the namespace written. */
function canonical(name: string): string {
  const prefix = `${DEFAULT_NAMESPACE}.`;
  return name.toLowerCase().startsWith(prefix) ? name.slice(prefix.length) : name;
}

async function resolveTable(
  catalogd: Catalogd,
  sql: string,
  reference: TableReference,
  when: When,
): Promise<ResolvedTable> {
  const schema = (reference.namespace ?? "main").toLowerCase();
  if (RESERVED.has(schema))
    throw new LakeError(
      "sql_refused",
      `${reference.namespace} is a name of the engine's own, and no namespace that a query can read.`,
      at(sql, reference.offset),
    );
  const written = canonical(`${reference.namespace ?? DEFAULT_NAMESPACE}.${reference.name}`);
  const slot = { schema, view: reference.name.toLowerCase() };
  try {
    const plan = await catalogd.plan({ name: written, ...selection(when, written) });
    return { ...slot, name: plan.name, plan };
  } catch (error) {
    if (!(error instanceof LakeError) || error.code !== "not_found") throw error;
    const name = await nameInOtherCase(catalogd, sql, reference, written, error);
    const plan = await catalogd.plan({ name, ...selection(when, name) });
    return { ...slot, name: plan.name, plan };
  }
}

/** SQL names are the same in any case, the catalog's are not: the one name that differs only so. */
async function nameInOtherCase(
  catalogd: Catalogd,
  sql: string,
  reference: TableReference,
  written: string,
  error: LakeError,
): Promise<string> {
  const names = await catalogd.names();
  if (names.includes(written)) throw error;
  const same = names.filter((name) => name.toLowerCase() === written.toLowerCase());
  if (same.length > 1)
    throw new LakeError(
      "invalid",
      `${reference.name} could be ${same.join(" or ")}; write it exactly as it is.`,
      at(sql, reference.offset),
    );
  if (same.length === 1) return same[0] as string;
  const near = nearest(written, names);
  const shown = reference.namespace === null ? reference.name : `${reference.namespace}.${reference.name}`;
  const hint =
    near.length > 0
      ? `did you mean ${near.join(" or ")}?`
      : names.length === 0
        ? "the catalog is empty: ingest a file first."
        : "GET /v1/catalog/list tells what is there.";
  throw new LakeError("not_found", `There is no table ${shown}: ${hint}`, {
    ...at(sql, reference.offset),
    candidates: near,
  });
}

/** Names that may have been meant. */
export function nearest(written: string, names: readonly string[]): string[] {
  const short = (name: string) =>
    name.startsWith(`${DEFAULT_NAMESPACE}.`) ? name.slice(DEFAULT_NAMESPACE.length + 1) : name;
  const wanted = written.toLowerCase();
  const table = wanted.slice(wanted.indexOf(".") + 1);
  const far = (name: string) =>
    Math.min(
      distance(name.toLowerCase(), wanted),
      distance(name.slice(name.indexOf(".") + 1).toLowerCase(), table),
    );
  const within = names.filter((name) => far(name) <= Math.max(2, table.length / 3));
  if (within.length > 0)
    return within
      .sort((a, b) => far(a) - far(b))
      .slice(0, SUGGESTED)
      .map(short);
  return names.length > 0 && names.length <= SUGGESTED ? [short(closest(written, [...names]))] : [];
}

/** What names a plan's content: the same identity, the same rows and columns. */
function identityOf(plan: ScanPlan): string {
  const shape = Bun.hash(JSON.stringify([plan.fields, plan.name_mapping])).toString(36);
  return `${plan.uuid}:${plan.snapshot_id ?? "empty"}:${shape}:${plan.files.length}`;
}

/** What a worker must be told of these tables, given what it already shows; `views` is brought up to date. */
export function bindingsFor(
  tables: readonly ResolvedTable[],
  views: Map<string, string>,
  storage: string,
): Binding[] {
  return tables.map(({ schema, view, plan }) => {
    const slot = `${schema}.${view}`;
    const identity = identityOf(plan);
    if (views.get(slot) === identity) return { schema, view, identity };
    views.set(slot, identity);
    return { schema, view, identity, content: contentOf(plan, storage) };
  });
}
