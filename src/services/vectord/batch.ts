/** A batch as it came, judged whole: the first fault refuses all of it, naming item and reason. */
import { parseJson } from "../../shared/depth.ts";
import { LakeError } from "../../shared/errors.ts";
import { readTime } from "../../shared/time.ts";
import { shown } from "../../shared/wording.ts";
import type { Batch, IndexSettings } from "./schema.ts";
import { readVector } from "./vectors.ts";

export interface BatchLimits {
  readonly max_items: number;
  readonly max_id_bytes: number;
  readonly max_metadata_bytes: number;
  readonly max_text_bytes: number;
}

/** An item fit to be stored. */
export interface JudgedItem {
  readonly id: string;
  /** Undefined where it is to be made of the text. */
  readonly vector: Float32Array | undefined;
  /** JSON. */
  readonly metadata: string | null;
  readonly text: string | null;
  readonly expires_ms: number | null;
}

const MEMBERS = ["id", "vector", "metadata", "text", "expires_at"];

/** @throws LakeError invalid */
export function judgeBatch(batch: Batch, settings: IndexSettings, limits: BatchLimits): JudgedItem[] {
  const values = "items" in batch ? batch.items.map(numbered) : readItems(batch.bytes, batch.format);
  if (values.length === 0) throw new LakeError("invalid", "The batch has no items.");
  if (values.length > limits.max_items)
    throw new LakeError(
      "invalid",
      `A batch may have at most ${limits.max_items} items (got ${values.length}): send several (vectord.max_items).`,
    );
  const seen = new Map<string, string>();
  return values.map(({ value, where }) => {
    const item = judgeItem(value, where, settings, limits);
    const before = seen.get(item.id);
    if (before !== undefined)
      throw refused(
        where,
        `id: ${JSON.stringify(item.id)} is ${before}'s id, too; an id may be in a batch once`,
      );
    seen.set(item.id, where);
    return item;
  });
}

/** A value of a batch, and its place as its sender counts: `item 0` of a list, `line 1` of NDJSON. */
interface Placed {
  readonly value: unknown;
  readonly where: string;
}

const numbered = (value: unknown, at: number): Placed => ({ value, where: `item ${at}` });

function readItems(bytes: Uint8Array, format: "json" | "ndjson"): Placed[] {
  const text = decode(bytes);
  if (format === "ndjson")
    return text.split("\n").flatMap((line, at) => {
      const where = `line ${at + 1}`;
      return line.trim() === "" ? [] : [{ value: parseJson(line, where), where }];
    });
  const body = parseJson(text, "the body");
  const extra = Object.keys(Object(body)).find((it) => it !== "items");
  const items: unknown = Object(body).items;
  if (!Array.isArray(items) || extra !== undefined)
    throw new LakeError(
      "invalid",
      `The body must be {"items": [{id, vector, metadata?, text?, expires_at?}]}${extra === undefined ? "" : ` (unknown member "${extra}")`}.`,
    );
  return items.map(numbered);
}

function decode(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new LakeError("invalid", "The body is not valid UTF-8.");
  }
}

/** @param where its place, for a refusal @throws LakeError invalid */
export function judgeItem(
  value: unknown,
  where: string,
  settings: IndexSettings,
  limits: BatchLimits,
): JudgedItem {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw refused(where, "must be an object with id and vector");
  const unknown = Object.keys(value).find((it) => !MEMBERS.includes(it));
  if (unknown !== undefined)
    throw refused(where, `has an unknown member ${JSON.stringify(unknown)} (known: ${MEMBERS.join(", ")})`);
  const { id, vector, metadata = null, text = null, expires_at = null } = value as Record<string, unknown>;
  if (typeof id !== "string" || id === "" || Buffer.byteLength(id) > limits.max_id_bytes)
    throw refused(where, `id: must be a string of 1 to ${limits.max_id_bytes} bytes; got ${shown(id)}`);
  if (vector === undefined && (typeof text !== "string" || text.trim() === ""))
    throw refused(where, "vector: is missing, and there is no text to make one of");
  if (vector === undefined && settings.model === null)
    throw refused(where, "vector: is missing, and the index has no model to make one of the text");
  return {
    id,
    vector:
      vector === undefined
        ? undefined
        : readVector(vector, settings.dimension, settings.metric, `${where}: vector`),
    metadata: judgeMetadata(metadata, where, limits.max_metadata_bytes),
    text: judgeText(text, where, limits.max_text_bytes),
    expires_ms: judgeExpiry(expires_at, where),
  };
}

function judgeMetadata(value: unknown, where: string, max_bytes: number): string | null {
  if (value === null) return null;
  if (typeof value !== "object" || Array.isArray(value)) throw refused(where, "metadata: must be an object");
  const json = JSON.stringify(value);
  if (Buffer.byteLength(json) > max_bytes)
    throw refused(
      where,
      `metadata: may take at most ${max_bytes} bytes as JSON (vectord.max_metadata_bytes)`,
    );
  return json;
}

function judgeText(value: unknown, where: string, max_bytes: number): string | null {
  if (value === null) return null;
  if (typeof value !== "string") throw refused(where, "text: must be a string");
  if (Buffer.byteLength(value) > max_bytes)
    throw refused(where, `text: may take at most ${max_bytes} bytes (vectord.max_text_bytes)`);
  return value;
}

function judgeExpiry(value: unknown, where: string): number | null {
  if (value === null) return null;
  const at_ms = typeof value === "string" ? readTime(value) : undefined;
  if (at_ms === undefined)
    throw refused(
      where,
      "expires_at: must be a time that exists, in RFC 3339, as in 2026-11-23T09:30:00.000Z",
    );
  return at_ms;
}

/** @param why the member and a colon, or what the whole item does */
function refused(where: string, why: string): LakeError {
  return new LakeError("invalid", `${where}${/^\w+:/.test(why) ? ":" : ""} ${why}.`);
}
