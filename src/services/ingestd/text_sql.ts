/** kinds.ts in SQL: whether a text is a value of a type, for whole files at DuckDB's speed. */
import { DOUBLE_DIGITS, PATTERNS } from "./kinds.ts";
import { decimalOf, literal } from "./types.ts";

const BLANKS = "[ \\t]*";

/** Whether a text is a value of the type, as kinds.ts says. `exact`: a double must keep every digit. */
export function textFits(c: string, type: string, to: string, exact: boolean): string {
  const cast = `TRY_CAST(${c} AS ${to})`;
  const matches = (pattern: string) =>
    `regexp_full_match(${c}, ${literal(`${BLANKS}(${pattern})${BLANKS}`)})`;
  const decimal = decimalOf(type);
  if (decimal) return `${matches(decimalPattern(decimal.precision, decimal.scale))} AND ${cast} IS NOT NULL`;
  switch (type) {
    case "boolean":
      return `trim(${c}, ' \t') IN (${PATTERNS.boolean.split("|").map(literal).join(", ")})`;
    case "int":
    case "long":
      // Printing it back is the cheaper way to say that it was written plainly.
      return inOrder(`${cast}::VARCHAR = ${c}`, `${cast}::VARCHAR = trim(${c}, ' \t')`);
    case "date":
      return inOrder(`${cast}::VARCHAR = ${c}`, `${cast} IS NOT NULL AND ${matches(PATTERNS.date)}`);
    case "timestamp":
      return `${matches(`${PATTERNS.timestamp}|${PATTERNS.date}`)} AND ${cast} IS NOT NULL`;
    case "timestamptz":
      return `${matches(PATTERNS.timestamptz)} AND ${cast} IS NOT NULL`;
    case "time":
      return `${matches(PATTERNS.time)} AND ${cast} IS NOT NULL`;
    case "float":
    case "double": {
      const plain = `regexp_full_match(${c}, '-?(0|[1-9][0-9]*)?(\\.[0-9]+)?')`;
      const number = `${cast} IS NOT NULL AND ${inOrder(plain, matches(`${PATTERNS.fixed}|${PATTERNS.scientific}`))}`;
      return exact ? keepsDigits(c, cast, number) : number;
    }
    default:
      return `${cast} IS NOT NULL`;
  }
}

function decimalPattern(precision: number, scale: number): string {
  const whole_digits = precision - scale;
  const whole = whole_digits === 0 ? "0?" : `(0|[1-9][0-9]{0,${whole_digits - 1}})?`;
  return scale === 0 ? `-?${whole}(\\.0+)?` : `-?${whole}(\\.[0-9]{1,${scale}}0*)?`;
}

/** Either of two, the cheap one first: DuckDB tries the sides of an OR in any order, and the dear one costs tenfold. */
function inOrder(cheap: string, dear: string): string {
  return `CASE WHEN ${cheap} THEN true ELSE ${dear} END`;
}

/** Whether a double keeps every digit of a number: few enough, or its shortest text has the same ones. */
function keepsDigits(c: string, cast: string, number: string): string {
  const digits = (text: string) =>
    `rtrim(ltrim(replace(split_part(lower(${text}), 'e', 1), '.', ''), ' \t-0'), ' \t0')`;
  const same_digits = `${digits(`${cast}::VARCHAR`)} = ${digits(c)}`;
  const long = inOrder(
    `${cast}::VARCHAR = ${c}`,
    `${number} AND (regexp_matches(${c}, '[eEnN]') OR ${same_digits})`,
  );
  return `CASE WHEN strlen(${c}) <= ${DOUBLE_DIGITS + 1} THEN ${number} ELSE ${long} END`;
}
