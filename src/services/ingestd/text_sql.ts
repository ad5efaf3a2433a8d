/** kinds.ts in SQL: whether a text is a value of a type, for whole files at DuckDB's speed. */
import { DOUBLE_DIGITS, PATTERNS } from "./kinds.ts";
import { decimalOf, literal } from "./types.ts";

const BLANKS = "[ \\t]*";

const matches = (c: string, pattern: string) =>
  `regexp_full_match(${c}, ${literal(`${BLANKS}(${pattern})${BLANKS}`)})`;

/** What the text `c` is as a value of `sql_type`, or null; textFits says whether it may be. */
export function textCast(c: string, type: string, sql_type: string): string {
  if (type !== "boolean") return `TRY_CAST(${c} AS ${sql_type})`;
  // No IN: DuckDB makes a join of it, which costs more than all other columns.
  const other = `CASE WHEN ${matches(c, PATTERNS.boolean)} THEN CAST(trim(${c}, ' \t') AS BOOLEAN) END`;
  return `CASE WHEN ${c} = 'true' THEN true WHEN ${c} = 'false' THEN false ELSE ${other} END`;
}

/**
 * Whether a text `c`, of which `v` is what textCast makes, is a value of the type, as kinds.ts says: any of
 * these conditions, the cheap ones first. (DuckDB tries the sides of an OR in any order, and the last can
 * cost tenfold.) `exact`: a double must keep every digit.
 */
export function textFits(c: string, v: string, type: string, exact: boolean): string[] {
  const valid = (pattern: string) => `${v} IS NOT NULL AND ${matches(c, pattern)}`;
  // Printing it back is the cheapest way to say that it was written plainly.
  const printed = `${v}::VARCHAR = ${c}`;
  const decimal = decimalOf(type);
  if (decimal) return [valid(decimalPattern(decimal.precision, decimal.scale))];
  switch (type) {
    case "boolean":
      return [`${v} IS NOT NULL`];
    case "int":
    case "long":
      return [printed, `${v}::VARCHAR = trim(${c}, ' \t')`];
    case "date":
      return [`${printed} AND isfinite(${v}) AND strlen(${c}) = 10`, valid(PATTERNS.date)];
    case "timestamp":
      return [
        `${printed} AND isfinite(${v}) AND strlen(${c}) < 27`,
        valid(`${PATTERNS.timestamp}|${PATTERNS.date}`),
      ];
    case "timestamptz":
      return [valid(PATTERNS.timestamptz)];
    case "time":
      return [valid(PATTERNS.time)];
    case "float":
    case "double":
      return numberFits(c, v, exact);
    default:
      return [`${v} IS NOT NULL`];
  }
}

function numberFits(c: string, v: string, exact: boolean): string[] {
  const plain = `${v} IS NOT NULL AND regexp_full_match(${c}, '-?(0|[1-9][0-9]*)?(\\.[0-9]+)?')`;
  const number = `${v} IS NOT NULL AND ${matches(c, `${PATTERNS.fixed}|${PATTERNS.scientific}`)}`;
  if (!exact) return [plain, number];
  const short = `strlen(${c}) <= ${DOUBLE_DIGITS + 1}`;
  const digits = (text: string) =>
    `rtrim(ltrim(replace(split_part(lower(${text}), 'e', 1), '.', ''), ' \t-0'), ' \t0')`;
  const kept = `regexp_matches(${c}, '[eEnN]') OR ${digits(`${v}::VARCHAR`)} = ${digits(c)}`;
  return [
    // JSON's printing of a double takes a third of the time that the cast's takes.
    `CASE WHEN ${short} THEN ${plain} ELSE to_json(${v})::VARCHAR = ${c} END`,
    `${number} AND (${short} OR ${kept})`,
  ];
}

function decimalPattern(precision: number, scale: number): string {
  const whole_digits = precision - scale;
  const whole = whole_digits === 0 ? "0?" : `(0|[1-9][0-9]{0,${whole_digits - 1}})?`;
  return scale === 0 ? `-?${whole}(\\.0+)?` : `-?${whole}(\\.[0-9]{1,${scale}}0*)?`;
}
