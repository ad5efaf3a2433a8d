/**
 * The boundary: a statement is run only if every node of its parsed form is on these lists. What is not
 * known is refused, so that a new DuckDB brings nothing in unasked.
 */
import type { DuckDBConnection, DuckDBPreparedStatement } from "@duckdb/node-api";
import { closest, distance } from "fastest-levenshtein";
import { at, QueryFailure } from "./failure.ts";
import { FUNCTIONS, TABLE_FUNCTIONS, whyRefused } from "./functions.ts";
import type { IndexReference, References, TableReference } from "./protocol.ts";

const EXPRESSIONS = new Set([
  "BETWEEN",
  "CASE",
  "CAST",
  "COLLATE",
  "COLUMN_REF",
  "COMPARISON",
  "CONJUNCTION",
  "CONSTANT",
  "FUNCTION",
  "LAMBDA",
  "LAMBDA_REF",
  "OPERATOR",
  "PARAMETER",
  "POSITIONAL_REFERENCE",
  "STAR",
  "SUBQUERY",
  "TYPE",
  "WINDOW",
]);

const QUERY_NODES = new Set(["SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "CTE_NODE"]);
const TABLES = new Set([
  "BASE_TABLE",
  "SUBQUERY",
  "JOIN",
  "TABLE_FUNCTION",
  "EXPRESSION_LIST",
  "EMPTY",
  "EMPTY_FROM",
  "PIVOT",
  "SHOW_REF",
]);
const MODIFIERS =
  /^(LIMIT|LIMIT_PERCENT|ORDER|DISTINCT)_MODIFIER$|^ORDER_DEFAULT$|^(ASCENDING|DESCENDING|ASC|DESC)$|_TYPE_INFO$/;

/** The table function that reads a vector index. */
const INDEX_FUNCTION = "vectors";
const INDEX_NAME = /^[a-z0-9][a-z0-9_-]{0,127}$/;

type Tree = { [member: string]: unknown };
type Scope = ReadonlySet<string>;

interface Walk {
  readonly sql: string;
  readonly tables: Map<string, TableReference>;
  readonly indexes: Map<string, Omit<IndexReference, "with_vector">>;
  /** Whether any expression names a column `vector`. */
  names_vector: boolean;
}

/** Parses statements, with a connection of its own that no query ever uses. */
export class Checker {
  private constructor(readonly serialize: DuckDBPreparedStatement) {}

  static async open(connection: DuckDBConnection): Promise<Checker> {
    return new Checker(
      await connection.prepare(
        "SELECT json_serialize_sql($1::VARCHAR, skip_null := true, skip_empty := true, skip_default := true)",
      ),
    );
  }

  /**
   * Parses a statement and walks it.
   * @returns the catalog tables and vector indexes it names, each once
   * @throws QueryFailure `invalid` where it doesn't parse, `sql_refused` where it may not run
   */
  async check(sql: string): Promise<References> {
    this.serialize.bindVarchar(1, sql);
    const rows = await (await this.serialize.run()).getRows();
    return walkStatement(sql, String(rows[0]?.[0]));
  }
}

function walkStatement(sql: string, serialized: string): References {
  const parsed = JSON.parse(serialized) as {
    error: boolean;
    error_type?: string;
    error_message?: string;
    position?: string;
    statements?: Tree[];
  };
  if (parsed.error)
    throw notSerializable(sql, parsed.error_type ?? "", parsed.error_message ?? "", parsed.position);
  const statements = parsed.statements ?? [];
  if (statements.length !== 1) throw wrongCount(statements.length);
  const walk: Walk = { sql, tables: new Map(), indexes: new Map(), names_vector: false };
  try {
    visit(statements[0], new Set(), walk);
  } catch (error) {
    if (error instanceof RangeError)
      throw new QueryFailure("sql_refused", "The statement is nested too deeply.");
    throw error;
  }
  const indexes = [...walk.indexes.values()].map((it) => ({ ...it, with_vector: walk.names_vector }));
  return { tables: [...walk.tables.values()], indexes };
}

function wrongCount(count: number): QueryFailure {
  return count === 0
    ? new QueryFailure("invalid", "There is no statement in the SQL; send one SELECT.")
    : new QueryFailure(
        "sql_refused",
        `One statement at a time: this has ${count}. Send each in a request of its own.`,
      );
}

function notSerializable(sql: string, type: string, message: string, position?: string): QueryFailure {
  if (type !== "not implemented")
    return new QueryFailure(
      "invalid",
      `Parser error: ${message}${/"default"$/i.test(message) ? ' (default is a word of SQL: write "default".table, or the table alone)' : ""}`,
      at(sql, position === undefined ? undefined : Number(position)),
    );
  if (!message.startsWith("Only SELECT")) return new QueryFailure("invalid", `${message}.`);
  const verb = /^[\s(;]*([A-Za-z]+)/.exec(withoutComments(sql))?.[1]?.toUpperCase() ?? "";
  if (verb === "PIVOT" || /\bPIVOT\b/i.test(sql))
    return new QueryFailure(
      "sql_refused",
      "A PIVOT needs its values spelled out here: PIVOT t ON column IN ('a', 'b') USING …",
    );
  const what = verb === "" ? "This" : verb === "WITH" ? "A WITH around anything but a SELECT" : verb;
  return new QueryFailure(
    "sql_refused",
    `${what} is not allowed: only one SELECT may run here. Tables change through ingest and the catalog.`,
  );
}

function withoutComments(sql: string): string {
  return sql.replace(/--[^\n]*|\/\*[\s\S]*?\*\//g, " ");
}

function visit(value: unknown, scope: Scope, walk: Walk): void {
  if (Array.isArray(value)) {
    for (const item of value) visit(item, scope, walk);
    return;
  }
  if (typeof value !== "object" || value === null) return;
  const node = value as Tree;
  if (node.class !== undefined) visitExpression(node, scope, walk);
  else if (QUERY_NODES.has(String(node.type))) visitQuery(node, scope, walk);
  else if (TABLES.has(String(node.type))) visitTable(node, scope, walk);
  else if (typeof node.type === "string" && !MODIFIERS.test(node.type))
    throw refuse(walk, node, `This form of SQL (${node.type}) is not allowed here.`);
  else members(node, scope, walk);
}

function members(node: Tree, scope: Scope, walk: Walk, except: readonly string[] = []): void {
  for (const [name, inner] of Object.entries(node)) if (!except.includes(name)) visit(inner, scope, walk);
}

function visitExpression(node: Tree, scope: Scope, walk: Walk): void {
  const kind = String(node.class);
  if (!EXPRESSIONS.has(kind))
    throw refuse(walk, node, `This form of expression (${kind}) is not allowed here.`);
  if (kind === "CONSTANT") return;
  // * EXCLUDE (vector)
  if (kind === "STAR" && /"vector"/i.test(JSON.stringify(node))) walk.names_vector = true;
  if (kind === "COLUMN_REF" && (node.column_names as string[] | undefined)?.some(isVector))
    walk.names_vector = true;
  if (kind === "FUNCTION" || kind === "WINDOW") requireFunction(node, FUNCTIONS, walk);
  members(node, scope, walk);
}

function requireFunction(node: Tree, allowed: ReadonlySet<string>, walk: Walk): void {
  const name = String(node.function_name ?? "");
  if (allowed.has(name.toLowerCase())) return;
  const words = [...allowed].filter((it) => /^[a-z]/.test(it));
  const near = closest(name.toLowerCase(), words);
  const hint =
    distance(name.toLowerCase(), near) <= Math.min(2, name.length / 3) ? ` (did you mean ${near}?)` : "";
  throw refuse(walk, node, `${name} ${whyRefused(name.toLowerCase())}${hint}.`);
}

/** A query node: its CTEs come into scope one after the other, each for those after it and for the body. */
function visitQuery(node: Tree, scope: Scope, walk: Walk): void {
  const inner = new Set(scope);
  const ctes = (node.cte_map as { map?: { key: string; value: Tree }[] } | undefined)?.map ?? [];
  for (const { key, value } of ctes) {
    visit(value, inner, walk);
    inner.add(lower(key));
  }
  if (node.type === "RECURSIVE_CTE_NODE") {
    visit(node.left, inner, walk);
    inner.add(lower(String(node.cte_name ?? "")));
  }
  if (node.type === "CTE_NODE") {
    visit(node.query, inner, walk);
    inner.add(lower(String(node.cte_name ?? "")));
    visit(node.child, inner, walk);
    return;
  }
  members(node, inner, walk, ["cte_map", ...(node.type === "RECURSIVE_CTE_NODE" ? ["left"] : [])]);
}

function visitTable(node: Tree, scope: Scope, walk: Walk): void {
  if (node.type === "BASE_TABLE") visitBaseTable(node, scope, walk);
  else if (node.type === "TABLE_FUNCTION") {
    const call = node.function as Tree;
    if (call?.class !== "FUNCTION")
      throw refuse(walk, node, "This form of table function is not allowed here.");
    if (lower(String(call.function_name)) === INDEX_FUNCTION) visitIndex(call, walk);
    else requireFunction(call, TABLE_FUNCTIONS, walk);
    members(call, scope, walk);
    members(node, scope, walk, ["function"]);
    return;
  } else if (
    node.type === "SHOW_REF" &&
    (node.query === undefined || !["DESCRIBE", "SUMMARY"].includes(String(node.show_type)))
  )
    throw refuse(
      walk,
      node,
      "SHOW is not allowed here; the catalog lists its tables at GET /v1/catalog/list.",
    );
  // JOIN … USING (vector)
  if ((node.using_columns as string[] | undefined)?.some(isVector)) walk.names_vector = true;
  members(node, scope, walk);
}

const isVector = (name: string) => lower(name) === "vector";

function visitBaseTable(node: Tree, scope: Scope, walk: Walk): void {
  const name = String(node.table_name ?? "");
  const namespace = typeof node.schema_name === "string" && node.schema_name !== "" ? node.schema_name : null;
  if (node.at_clause !== undefined)
    throw refuse(walk, node, "AT (…) is not read here; give the snapshot or time as the request's as_of.");
  if (node.catalog_name !== undefined && node.catalog_name !== "")
    throw refuse(
      walk,
      node,
      `Write the table as namespace.table: ${node.catalog_name}.${namespace}.${name} has a part too many.`,
    );
  // recurring.<cte> names all rows so far of a recursive CTE with USING KEY.
  if ((namespace === null || namespace.toLowerCase() === "recurring") && scope.has(lower(name))) return;
  if (
    !/^[A-Za-z_][A-Za-z0-9_]{0,127}$/.test(name) ||
    (namespace !== null && !/^[A-Za-z_][A-Za-z0-9_]{0,127}$/.test(namespace))
  )
    throw refuse(
      walk,
      node,
      `"${name.slice(0, 200)}" is no table of the catalog: a query reads tables by name, never files.`,
    );
  const key = `${namespace ?? ""}.${name}`.toLowerCase();
  if (!walk.tables.has(key))
    walk.tables.set(key, { namespace, name, offset: Number(node.query_location ?? 0) });
}

/** vectors('name'), and nothing that only looks like it: the name is known before the statement runs. */
function visitIndex(call: Tree, walk: Walk): void {
  const [argument, ...more] = (call.children ?? []) as Tree[];
  const value = argument?.class === "CONSTANT" ? (argument.value as Tree) : undefined;
  const name = (value?.type as Tree | undefined)?.id === "VARCHAR" ? value?.value : undefined;
  const is_plain = ["schema", "catalog", "filter", "distinct"].every((it) => call[it] === undefined);
  if (typeof name !== "string" || more.length > 0 || argument?.alias !== undefined || !is_plain)
    throw refuse(walk, call, "vectors takes one index's name as it is, in quotes: vectors('articles').");
  if (name.startsWith("_"))
    throw refuse(walk, call, `"${name.slice(0, 200)}" belongs to a service of this lake: SQL can't read it.`);
  if (!INDEX_NAME.test(name))
    throw refuse(
      walk,
      call,
      `"${name.slice(0, 200)}" is no name of an index: those have a-z, 0-9, _ and - alone.`,
    );
  if (!walk.indexes.has(name)) walk.indexes.set(name, { name, offset: Number(call.query_location ?? 0) });
}

/** As DuckDB folds names: ASCII alone. Unicode's K (U+212A) would hide a file's name behind a CTE's. */
function lower(name: string): string {
  return name.replace(/[A-Z]+/g, (capitals) => capitals.toLowerCase());
}

function refuse(walk: Walk, node: Tree, message: string): QueryFailure {
  return new QueryFailure("sql_refused", message, at(walk.sql, node.query_location as number | undefined));
}
