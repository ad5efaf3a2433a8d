/** Table names: `[namespace.]table`. SQL is case-insensitive, so names are found and collide without case. */
import { closest, distance } from "fastest-levenshtein";
import { LakeError } from "../../shared/errors.ts";
import { TABLE_NAME } from "../../shared/wording.ts";

export const DEFAULT_NAMESPACE = "default";
const PART = "[A-Za-z_][A-Za-z0-9_]{0,127}";
export const NAME_PATTERN = `^(${PART}\\.)?${PART}$`;
const NAME = new RegExp(`^(?:(${PART})\\.)?(${PART})$`);

export interface TableName {
  readonly namespace: string;
  readonly table: string;
  /** `namespace.table`; in the default namespace the table alone, as people and SQL write it. */
  readonly full: string;
}

/** @throws LakeError invalid */
export function parseName(name: string): TableName {
  const found = NAME.exec(name);
  if (!found)
    throw new LakeError(
      "invalid",
      `"${name.slice(0, 300)}" is not a table's name: it must be ${TABLE_NAME}.`,
    );
  const namespace = found[1] ?? DEFAULT_NAMESPACE;
  const table = found[2] as string;
  const is_default = namespace.toLowerCase() === DEFAULT_NAMESPACE;
  return {
    namespace: is_default ? DEFAULT_NAMESPACE : namespace,
    table,
    full: is_default ? table : `${namespace}.${table}`,
  };
}

/** Up to three known names near one that isn't known. */
export function nearestNames(name: string, known: readonly string[]): string[] {
  const wanted = name.toLowerCase();
  const bare = (it: string) => it.slice(it.indexOf(".") + 1).toLowerCase();
  const cost = (it: string) => Math.min(distance(wanted, it.toLowerCase()), distance(bare(wanted), bare(it)));
  const limit = Math.max(2, Math.floor(bare(wanted).length / 2));
  return known
    .map((it) => ({ it, cost: cost(it) }))
    .filter(({ cost }) => cost <= limit)
    .sort((a, b) => a.cost - b.cost || (a.it < b.it ? -1 : 1))
    .slice(0, 3)
    .map(({ it }) => it);
}

/** The error for a table that isn't there, naming those that are near. */
export function tableNotFound(name: string, known: readonly string[]): LakeError {
  const nearest = nearestNames(name, known);
  const hint =
    nearest.length > 0
      ? ` Did you mean ${nearest.join(", ")}?`
      : " GET /v1/catalog/list names those there are.";
  return new LakeError("not_found", `There is no table "${name}".${hint}`, { nearest });
}

/** The nearest of some words, for a hint; undefined where none is near. */
export function nearestWord(word: string, among: readonly string[]): string | undefined {
  if (among.length === 0) return undefined;
  const near = closest(word, [...among]);
  return distance(word, near) <= Math.max(2, word.length / 3) ? near : undefined;
}
