/** Parameters of a statement: JSON values as DuckDB's, each bound once and none left over. */
import {
  BIGINT,
  DOUBLE,
  DuckDBBooleanType,
  type DuckDBConnection,
  type DuckDBPreparedStatement,
  type DuckDBType,
  type DuckDBValue,
  VARCHAR,
} from "@duckdb/node-api";
import type { Checker } from "./check.ts";
import { QueryFailure } from "./failure.ts";
import type { SqlParam, SqlParams } from "./schema.ts";

interface Bound {
  value: DuckDBValue;
  type?: DuckDBType;
}

/** What reads typed values: DuckDB itself, after a check of the type's text. */
export interface ParamReader {
  readonly connection: DuckDBConnection;
  readonly checker: Checker;
}

/** Binds what the statement asks for. @throws QueryFailure `invalid` naming the parameter */
export async function bindParams(
  { connection, checker }: ParamReader,
  statement: DuckDBPreparedStatement,
  params: SqlParams | null,
): Promise<void> {
  const given = new Map(
    Array.isArray(params)
      ? params.map((value, i): [string, SqlParam] => [String(i + 1), value])
      : Object.entries(params ?? {}).map(([name, value]): [string, SqlParam] => [
          name.replace(/^\$/, "").toLowerCase(),
          value,
        ]),
  );
  const used = new Set<string>();
  for (let index = 1; index <= statement.parameterCount; index++) {
    const name = statement.parameterName(index).toLowerCase();
    const value = given.get(name);
    if (value === undefined)
      throw new QueryFailure(
        "invalid",
        `The statement asks for parameter $${name}, which params does not give.`,
      );
    used.add(name);
    const bound = await boundValue({ connection, checker }, name, value);
    if (bound.value === null) statement.bindNull(index);
    else statement.bindValue(index, bound.value, bound.type);
  }
  const extra = [...given.keys()].find((name) => !used.has(name));
  if (extra !== undefined)
    throw new QueryFailure("invalid", `params gives $${extra}, which the statement does not ask for.`);
}

async function boundValue(reader: ParamReader, name: string, value: SqlParam): Promise<Bound> {
  if (value === null) return { value: null };
  if (typeof value === "string") return { value, type: VARCHAR };
  if (typeof value === "boolean") return { value, type: DuckDBBooleanType.instance };
  if (typeof value === "number")
    return Number.isSafeInteger(value) ? { value: BigInt(value), type: BIGINT } : { value, type: DOUBLE };
  if (Array.isArray(value)) return typed(reader, name, `${elementType(name, value)}[]`, value);
  return typed(reader, name, value.type, value.value);
}

function elementType(name: string, values: readonly unknown[]): string {
  const kinds = new Set(values.filter((it) => it !== null).map((it) => typeof it));
  if (kinds.size > 1)
    throw new QueryFailure(
      "invalid",
      `Parameter $${name} mixes ${[...kinds].join(" and ")} in one list; give {type, value} instead.`,
    );
  const [kind] = kinds;
  if (kind === "number")
    return values.every((it) => it === null || Number.isSafeInteger(it)) ? "BIGINT" : "DOUBLE";
  return kind === "boolean" ? "BOOLEAN" : "VARCHAR";
}

/** Lets DuckDB read the value as the type; the type is checked as a statement is, being SQL too. */
async function typed(
  { connection, checker }: ParamReader,
  name: string,
  type: string,
  value: unknown,
): Promise<Bound> {
  const from_json = typeof value === "object" && value !== null;
  const sql = from_json
    ? `SELECT CAST(CAST($1 AS JSON) AS ${type}\n) AS v`
    : `SELECT CAST($1 AS ${type}\n) AS v`;
  try {
    const { tables, indexes } = await checker.check(sql);
    const statement = await connection.prepare(sql);
    if (tables.length + indexes.length > 0 || statement.parameterCount !== 1 || statement.columnCount !== 1)
      throw new QueryFailure("invalid", "not a type");
    if (value === null) statement.bindNull(1);
    else statement.bindVarchar(1, from_json ? JSON.stringify(value) : String(value));
    const result = await statement.run();
    const rows = await result.getRows();
    return { value: rows[0]?.[0] ?? null, type: result.columnType(0) };
  } catch (error) {
    throw new QueryFailure(
      "invalid",
      `Parameter $${name}: ${JSON.stringify(value)?.slice(0, 200)} can't be read as ${type.slice(0, 200)}.`,
      {},
      { cause: error },
    );
  }
}
