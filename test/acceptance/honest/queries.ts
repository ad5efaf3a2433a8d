/** All honest queries. */
import { analytics, pivots, samples, windows } from "./analytics.ts";
import { grouping, joins, selection, sets, subqueries } from "./relational.ts";
import { dates, json, lists, maps, numbers, parameters, regular, strings, structs } from "./values.ts";

/** A statement, with parameters where it has some. */
export type Honest = string | { sql: string; params: unknown[] | Record<string, unknown> };

export const queries: Readonly<Record<string, readonly Honest[]>> = {
  selection,
  joins,
  grouping,
  sets,
  subqueries,
  windows,
  pivots,
  samples,
  analytics,
  strings,
  regular,
  dates,
  numbers,
  lists,
  structs,
  maps,
  json,
  parameters,
};
