/** Callers' times: every moment is read as it was written, and nothing that is no time is taken for another. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { readTime } from "../../src/shared/time.ts";

const EARLIEST_MS = Date.parse("0000-01-01T00:00:00.000Z");
const LATEST_MS = Date.parse("9999-12-31T23:59:59.999Z");
const DAY_MS = 86_400_000;
const two = (value: number) => String(value).padStart(2, "0");

test("any moment, in any offset and with any separator, is read as it was written", () => {
  const moment = fc.integer({ min: EARLIEST_MS + DAY_MS, max: LATEST_MS - DAY_MS });
  const offset = fc.integer({ min: -1439, max: 1439 });
  const finer = fc.stringMatching(/^\d{0,6}$/);
  fc.assert(
    fc.property(
      moment,
      offset,
      fc.constantFrom("T", "t", " "),
      finer,
      (at_ms, minutes, separator, digits) => {
        const local = new Date(at_ms + minutes * 60_000).toISOString().slice(0, -1).replace("T", separator);
        const sign = minutes < 0 ? "-" : "+";
        const size = Math.abs(minutes);
        const zone = `${sign}${two(Math.floor(size / 60))}:${two(size % 60)}`;
        expect(readTime(`${local}${digits}${zone}`)).toBe(at_ms);
        expect(readTime(`${new Date(at_ms).toISOString().slice(0, -1)}${digits}z`)).toBe(at_ms);
      },
    ),
  );
});

test("a text of the right shape is a time exactly where its day and its hour exist", () => {
  const days = (year: number, month: number) => {
    const is_leap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
    return [31, is_leap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month - 1] ?? 0;
  };
  const year = fc.integer({ min: 1, max: 9998 });
  const upTo = (max: number) => fc.integer({ min: 0, max });
  fc.assert(
    fc.property(
      year,
      upTo(13),
      upTo(32),
      upTo(25),
      upTo(61),
      upTo(61),
      (y, month, day, hour, minute, second) => {
        const date = `${String(y).padStart(4, "0")}-${two(month)}-${two(day)}`;
        const text = `${date}T${two(hour)}:${two(minute)}:${two(second)}Z`;
        const is_leap_second = second === 60 && hour === 23 && minute === 59 && day === days(y, month);
        const exists =
          day >= 1 && day <= days(y, month) && hour < 24 && minute < 60 && (second < 60 || is_leap_second);
        const at_ms = readTime(text);
        expect([text, at_ms !== undefined]).toEqual([text, exists]);
        if (at_ms !== undefined && second < 60)
          expect(new Date(at_ms).toISOString()).toBe(text.replace("Z", ".000Z"));
      },
    ),
    { numRuns: 2000 },
  );
});

test("a leap second counts as the second after it, wherever its clock stands", () => {
  const after_ms = Date.parse("2017-01-01T00:00:00.000Z");
  expect(readTime("2016-12-31T23:59:60Z")).toBe(after_ms);
  expect(readTime("2016-12-31T23:59:60.25Z")).toBe(after_ms + 250);
  expect(readTime("2017-01-01T05:29:60+05:30")).toBe(after_ms);
  for (const none of ["2016-12-31T22:59:60Z", "2016-12-30T23:59:60Z", "2016-12-31T23:59:60+01:00"])
    expect(readTime(none)).toBeUndefined();
});

test("what is no RFC 3339 time is none", () => {
  for (const text of [
    "",
    "now",
    "2026-11-23",
    "2026-11-23T09:30Z",
    "2026-11-23T09:30:00",
    "2026-11-23T09:30:00.Z",
    "2026-11-23T09:30:00+0100",
    "2026-11-23T09:30:00+24:00",
    "2026-11-23T09:30:00+01:60",
    "2026-11-23T24:00:00Z",
    "2026-02-29T00:00:00Z",
    "+002026-11-23T09:30:00Z",
    " 2026-11-23T09:30:00Z",
    "2026-11-23T09:30:00Z\n",
    "0000-01-01T00:00:00+00:01",
    "9999-12-31T23:59:59-00:01",
  ])
    expect([text, readTime(text)]).toEqual([text, undefined]);
  expect(readTime("2024-02-29T00:00:00-00:00")).toBe(Date.parse("2024-02-29T00:00:00Z"));
});
