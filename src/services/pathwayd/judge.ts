/** What may be remembered: the limits of one trace, and its times. */
import { LakeError } from "../../shared/errors.ts";
import { readTime } from "../../shared/time.ts";
import type { Body } from "./records.ts";
import type { Content, NewTrace, Revise, Update } from "./schema.ts";
import { textOf } from "./text.ts";

export interface Limits {
  readonly max_content_bytes: number;
  readonly max_tags: number;
  readonly max_scope_labels: number;
}

const TIMES = ["valid_from", "valid_to", "expires_at"] as const;

/** The body of a new trace. @throws LakeError invalid */
export function bodyOf(given: NewTrace, limits: Limits): Body {
  const { content, kind, tags, subject, scope, source, op_ids } = given;
  if (scope && Object.keys(scope).length > limits.max_scope_labels)
    throw refused(`scope may have at most ${limits.max_scope_labels} labels (pathwayd.max_scope_labels)`);
  return judged(compact({ content, kind, tags, subject, scope, source, op_ids, ...timesOf(given) }), limits);
}

/** What a version becomes by an update. @throws LakeError invalid */
export function updatedBody(
  before: Body,
  { uid: _uid, version: _version, ...given }: Update,
  limits: Limits,
): Body {
  return judged(compact({ ...before, ...given, ...timesOf(given) }), limits);
}

/** What a successor says. @throws LakeError invalid */
export function successorBody(before: Body, given: Revise, limits: Limits): Body {
  const { kind = before.kind, tags = before.tags, subject = before.subject } = given;
  const { content, source, op_ids } = given;
  return judged(
    compact({ content, kind, tags, subject, scope: before.scope, source, op_ids, ...timesOf(given) }),
    limits,
  );
}

type Given = { [Member in keyof Body]?: Body[Member] | null | undefined };

/** Without what is absent, null or empty: two bodies that say the same are the same. */
function compact(given: Given): Body {
  const is_empty = (value: unknown) =>
    value === undefined ||
    value === null ||
    (Array.isArray(value) && value.length === 0) ||
    (typeof value === "object" && Object.keys(value).length === 0);
  const { content, ...rest } = given;
  const kept = Object.entries(rest).filter(([, value]) => !is_empty(value));
  return { content, ...Object.fromEntries(kept) } as Body;
}

/** In one form, so that they compare as texts, too. */
function timesOf(given: Partial<Record<(typeof TIMES)[number], string | null>>) {
  const times: Record<string, string | null> = {};
  for (const name of TIMES) {
    const value = given[name];
    if (value === undefined) continue;
    const at_ms = value === null ? 0 : readTime(value);
    if (at_ms === undefined)
      throw refused(`${name} "${value}" names no time; use RFC 3339, as in 2026-11-23T09:30:00.000Z`);
    times[name] = value === null ? null : new Date(at_ms).toISOString();
  }
  return times;
}

function judged(body: Body, limits: Limits): Body {
  const bytes = contentBytes(body.content);
  if (bytes > limits.max_content_bytes)
    throw new LakeError(
      "too_large",
      `content may take at most ${limits.max_content_bytes} bytes (got ${bytes}; pathwayd.max_content_bytes).`,
    );
  if (textOf(body.content).trim() === "") throw refused("content must not be blank");
  if ((body.tags?.length ?? 0) > limits.max_tags)
    throw refused(`tags may be at most ${limits.max_tags} (pathwayd.max_tags)`);
  const { valid_from, valid_to } = body;
  if (valid_from !== undefined && valid_to !== undefined && valid_from >= valid_to)
    throw refused(`valid_from must be before valid_to (got ${valid_from} and ${valid_to})`);
  return body;
}

function contentBytes(content: Content): number {
  return Buffer.byteLength(typeof content === "string" ? content : JSON.stringify(content));
}

function refused(why: string): LakeError {
  return new LakeError("invalid", `${why}.`);
}
