/**
 * What a value written as text is: the one place that says when text is a number, a date or just text.
 * Nothing may be lost: `00123`, `+49`, `1e5`, `1_000` and `yes` stay text, and a number whose digits a
 * double would drop becomes a decimal. The patterns are shared with the SQL that checks whole files.
 */
import type { IcebergType } from "../catalogd/schema.ts";

const YEAR = "(000[1-9]|00[1-9][0-9]|0[1-9][0-9][0-9]|[1-9][0-9]{3})";
const DAY = `${YEAR}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])`;
const CLOCK = "([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\\.[0-9]{1,6}0{0,3})?)?";
const ZONE = "(Z| ?UTC|[+-](0[0-9]|1[0-5])(:?[0-5][0-9])?)";

/** Patterns of whole values, surrounding blanks aside; written for JavaScript and RE2 alike. */
export const PATTERNS = {
  boolean: "true|false|True|False|TRUE|FALSE",
  integer: "0|-?[1-9][0-9]*",
  fixed: "-?(0|[1-9][0-9]*)?\\.[0-9]+|-?(0|[1-9][0-9]*)",
  /** Needs a sign in the exponent or a point, since `1e5` is as often an id as a number. */
  scientific:
    "-?(0|[1-9][0-9]*)(\\.[0-9]+)?[eE][+-][0-9]{1,5}|-?(0|[1-9][0-9]*)\\.[0-9]+[eE][0-9]{1,5}|NaN|nan|[+-]?(inf|Inf|Infinity)",
  date: DAY,
  timestamp: `${DAY}[T ]${CLOCK}`,
  timestamptz: `${DAY}[T ]${CLOCK}${ZONE}`,
  time: "([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,6})?",
} as const;

const whole = (pattern: string) => new RegExp(`^(?:${pattern})$`);
const BOOLEAN = whole(PATTERNS.boolean);
const INTEGER = whole(PATTERNS.integer);
const FIXED = whole(PATTERNS.fixed);
const SCIENTIFIC = whole(PATTERNS.scientific);
const DATE = whole(PATTERNS.date);
const TIMESTAMP = whole(PATTERNS.timestamp);
const TIMESTAMPTZ = whole(PATTERNS.timestamptz);

const MAX_LONG = 9223372036854775807n;
const MAX_DECIMAL_DIGITS = 38;
/** Every number of so many significant digits survives a double (IEEE 754: DBL_DIG). */
export const DOUBLE_DIGITS = 15;

/** The kinds of text, as flags: a column is what all its values allow. */
const IS_BOOLEAN = 1;
const IS_NUMBER = 2;
const IS_DATE = 4;
const IS_TIMESTAMP = 8;
const IS_TIMESTAMPTZ = 16;
const IS_TEXT = 32;

export interface Digits {
  whole: number;
  scale: number;
}

/** What all values of one column have in common, gathered one by one. */
export class Kinds {
  #seen = 0;
  #fraction = false;
  #scientific = false;
  #beyond_long = false;
  /** Some value's digits don't survive a double. */
  #beyond_double = false;
  #whole_digits = 0;
  #scale = 0;

  /** Whether text is all it can be, so that no further value needs a look. */
  get settled(): boolean {
    return (this.#seen & IS_TEXT) !== 0;
  }

  /** Whether any value was seen. */
  get empty(): boolean {
    return this.#seen === 0;
  }

  /** Takes one value that is neither null nor the empty string. */
  add(text: string): void {
    if (this.settled) return;
    const first = text.charCodeAt(0);
    const last = text.charCodeAt(text.length - 1);
    this.#seen |= this.#flag(first <= 32 || last <= 32 ? trimBlanks(text) : text);
  }

  /** Takes one number as it stands in JSON, where `1e5` can't be anything else. */
  addNumber(raw: string): void {
    if (this.settled) return;
    this.#seen |= IS_NUMBER;
    if (INTEGER.test(raw) || FIXED.test(raw)) this.#number(raw);
    else this.#scientific = true;
  }

  addBoolean(): void {
    this.#seen |= IS_BOOLEAN;
  }

  /** Takes a string of JSON: it may be a date or a time, never a number. */
  addString(text: string): void {
    if (this.settled) return;
    const c = text.charCodeAt(0);
    const dateish = c >= 48 && c <= 57 && text.length >= 10 && text.length <= 40;
    this.#seen |= dateish ? dateFlag(text) : IS_TEXT;
  }

  addText(): void {
    this.#seen |= IS_TEXT;
  }

  #flag(text: string): number {
    const c = text.charCodeAt(0);
    const numeric = (c >= 48 && c <= 57) || c === 45 || c === 46 || c === 43;
    if (numeric) {
      if (FIXED.test(text)) {
        this.#number(text);
        return IS_NUMBER;
      }
      if (text.charCodeAt(4) === 45 && text.charCodeAt(7) === 45) return dateFlag(text);
    }
    if (SCIENTIFIC.test(text)) {
      this.#scientific = true;
      return IS_NUMBER;
    }
    return BOOLEAN.test(text) ? IS_BOOLEAN : IS_TEXT;
  }

  #number(raw: string): void {
    const sign = raw.charCodeAt(0) === 45 ? 1 : 0;
    const point = raw.indexOf(".");
    const whole_digits = (point < 0 ? raw.length : point) - sign;
    const scale = point < 0 ? 0 : raw.length - point - 1;
    // `-0` has no integer that prints like it.
    if (point >= 0 || raw === "-0") this.#fraction = true;
    if (whole_digits > this.#whole_digits) this.#whole_digits = whole_digits;
    if (scale > this.#scale) this.#scale = scale;
    if (whole_digits + scale <= DOUBLE_DIGITS) return;
    if (point < 0 && whole_digits > 18 && !fitsLong(raw)) this.#beyond_long = true;
    if (!survivesDouble(raw)) this.#beyond_double = true;
  }

  /** The type that holds every value seen, whole; text where none narrower does. */
  type(): IcebergType {
    const seen = this.#seen;
    if (seen === IS_BOOLEAN) return "boolean";
    if (seen === IS_NUMBER) return this.#numberType();
    if (seen === IS_DATE) return "date";
    if ((seen & ~(IS_DATE | IS_TIMESTAMP)) === 0 && seen !== 0) return "timestamp";
    if (seen === IS_TIMESTAMPTZ) return "timestamptz";
    return "string";
  }

  /** The digits before and after the point that every value needs, where all are plain numbers. */
  digits(): Digits | undefined {
    if (this.#seen !== IS_NUMBER || this.#scientific) return undefined;
    return { whole: this.#whole_digits, scale: this.#scale };
  }

  #numberType(): IcebergType {
    if (this.#scientific) return "double";
    if (!this.#fraction && !this.#beyond_long) return "long";
    if (this.#fraction && !this.#beyond_double) return "double";
    const digits = Math.max(this.#whole_digits, 1) + this.#scale;
    return digits <= MAX_DECIMAL_DIGITS ? `decimal(${digits},${this.#scale})` : "string";
  }
}

function dateFlag(text: string): number {
  const flag = DATE.test(text)
    ? IS_DATE
    : TIMESTAMP.test(text)
      ? IS_TIMESTAMP
      : TIMESTAMPTZ.test(text)
        ? IS_TIMESTAMPTZ
        : IS_TEXT;
  return flag !== IS_TEXT && !isDay(text) ? IS_TEXT : flag;
}

/** Whether the month has such a day (proleptic Gregorian); the pattern has seen to the rest. */
function isDay(text: string): boolean {
  const day = Number(text.slice(8, 10));
  if (day <= 28) return true;
  const year = Number(text.slice(0, 4));
  const month = Number(text.slice(5, 7));
  if (month === 2) return day === 29 && year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
  return day <= 30 || ![4, 6, 9, 11].includes(month);
}

function fitsLong(raw: string): boolean {
  if (raw.length > 20) return false;
  const value = BigInt(raw);
  return value <= MAX_LONG && value >= -MAX_LONG - 1n;
}

/** Whether the shortest text of the nearest double has the same digits. */
export function survivesDouble(raw: string): boolean {
  const value = Number(raw);
  const printed = String(value);
  return printed === raw || (Number.isFinite(value) && digitsOf(raw) === digitsOf(printed));
}

/** Significant digits of a number's text, without sign, point, exponent and outer zeros. */
function digitsOf(text: string): string {
  const mantissa = /^-?([0-9.]*)/.exec(text)?.[1] ?? "";
  return mantissa.replace(".", "").replace(/^0+/, "").replace(/0+$/, "");
}

/** Blanks as the SQL trims them. */
function trimBlanks(text: string): string {
  return text.replace(/^[ \t]+|[ \t]+$/g, "");
}
