/**
 * Times as callers write them: RFC 3339, section 5.6, with `T`, `t` or a space in the middle. A day must be in the
 * calendar, an hour on the clock. `:60` is a time only where a leap second can be, in the last minute (UTC) of a
 * month, and counts as the second after it, as POSIX has it.
 */
const RFC_3339 = /^(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d+))?(?:[Zz]|([+-])(\d\d):(\d\d))$/;
const MS_PER_MINUTE = 60_000;
/** From year 0 to year 9999 in UTC: what can be written as RFC 3339 again. */
const FIRST_MS = Date.parse("0000-01-01T00:00:00.000Z");
const LAST_MS = Date.parse("9999-12-31T23:59:59.999Z");

/** The moment in ms since 1970 (what is finer is cut off); undefined where the text names none. */
export function readTime(text: string): number | undefined {
  const found = RFC_3339.exec(text);
  if (!found) return undefined;
  const [year, month, day, hour, minute, second] = found.slice(1, 7).map(Number) as Six;
  const [fraction = "", sign = "+", offset_hour = "0", offset_minute = "0"] = found.slice(7);
  const is_possible =
    isDay(year, month, day) &&
    isOnClock(hour, minute) &&
    isOnClock(Number(offset_hour), Number(offset_minute)) &&
    second <= 60;
  if (!is_possible) return undefined;
  const offset_minutes = Number(`${sign}1`) * (Number(offset_hour) * 60 + Number(offset_minute));
  const of_minute_ms = startOf(year, month, day) + (hour * 60 + minute - offset_minutes) * MS_PER_MINUTE;
  if (second === 60 && !endsMonth(of_minute_ms)) return undefined;
  const at_ms = of_minute_ms + second * 1000 + Number(fraction.padEnd(3, "0").slice(0, 3));
  return at_ms < FIRST_MS || at_ms > LAST_MS ? undefined : at_ms;
}

type Six = [number, number, number, number, number, number];

/** Years below 100 mean themselves, and not the twentieth century. */
const startOf = (year: number, month: number, day: number) =>
  new Date(0).setUTCFullYear(year, month - 1, day);
const isOnClock = (hour: number, minute: number) => hour <= 23 && minute <= 59;

/** What is past its month's end, or in no month, would be read as another day. */
function isDay(year: number, month: number, day: number): boolean {
  const date = new Date(startOf(year, month, day));
  return date.getUTCMonth() === month - 1 && date.getUTCDate() === day;
}

/** Whether a minute is the last of its month. */
function endsMonth(of_minute_ms: number): boolean {
  const next = new Date(of_minute_ms + MS_PER_MINUTE);
  return next.getUTCDate() === 1 && next.getUTCHours() === 0 && next.getUTCMinutes() === 0;
}
