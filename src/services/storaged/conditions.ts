/** What a request asks of the version it finds: preconditions and ranges (RFC 9110, sections 13 and 14). */
import type { ByteRange, ObjectInfo } from "./schema.ts";

/** Conditions as their headers carry them; undefined where the request has none. */
export interface Conditions {
  if_match?: string;
  if_none_match?: string;
  if_modified_since?: string;
  if_unmodified_since?: string;
  if_range?: string;
}

/** The order of evaluation is RFC 9110's, 13.2.2. */
export function judgeRead(conditions: Conditions, info: ObjectInfo): "go" | "unchanged" | "failed" {
  const { if_match, if_none_match, if_modified_since, if_unmodified_since } = conditions;
  if (if_match !== undefined) {
    if (!matches(if_match, info.etag, "strong")) return "failed";
  } else if (isAfter(info.modified, if_unmodified_since)) return "failed";
  if (if_none_match !== undefined) return matches(if_none_match, info.etag, "weak") ? "unchanged" : "go";
  const since = dateOf(if_modified_since);
  return since !== undefined && !isAfter(info.modified, if_modified_since) ? "unchanged" : "go";
}

/** Whether a range may be honoured: a date can't tell versions of the same second apart, so only an ETag can. */
export function allowsRange(if_range: string | undefined, info: ObjectInfo): boolean {
  return if_range === undefined || if_range.trim() === info.etag;
}

/**
 * The one range of a Range header. Undefined where there is none to honour, and the whole is the answer:
 * another unit, bad syntax, or several ranges.
 */
export function parseRange(header: string | undefined): ByteRange | undefined {
  const found = /^bytes\s*=\s*(\d*)\s*-\s*(\d*)\s*$/i.exec(header ?? "");
  if (!found) return undefined;
  const [, first = "", last = ""] = found;
  if (first === "") return last === "" ? undefined : { suffix: clamp(last) };
  const start = clamp(first);
  if (last === "") return { start };
  return clamp(last) < start ? undefined : { start, end: clamp(last) };
}

/** A date as Last-Modified writes it. */
export function httpDate(modified: string): string {
  return new Date(modified).toUTCString();
}

function matches(header: string, etag: string, how: "strong" | "weak"): boolean {
  if (header.trim() === "*") return true;
  for (const [tag] of header.matchAll(/(?:W\/)?"[^"]*"/g))
    if (tag === etag || (how === "weak" && tag === `W/${etag}`)) return true;
  return false;
}

function clamp(digits: string): number {
  return Math.min(Number(digits), Number.MAX_SAFE_INTEGER);
}

function dateOf(header: string | undefined): number | undefined {
  const time_ms = Date.parse(header ?? "");
  return Number.isNaN(time_ms) ? undefined : time_ms;
}

/** Whole seconds, which is all that HTTP dates carry. A date that is none is no condition. */
function isAfter(modified: string, header: string | undefined): boolean {
  const time_ms = dateOf(header);
  return time_ms !== undefined && Math.floor(Date.parse(modified) / 1000) * 1000 > time_ms;
}
