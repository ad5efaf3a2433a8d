/** What a key may be: the one place that judges it, so that no key reaches a path unjudged. */
import { LakeError } from "../../shared/errors.ts";

export const MAX_KEY_BYTES = 1024;
/** Keys of the lake itself: stored as themselves, written by its own services only. */
export const LAKE_PREFIX = "warehouse/";

const utf8 = new TextEncoder();
// ignoreBOM keeps a leading U+FEFF: dropping it would make two keys one.
const strict_utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * Judges a key.
 * @throws LakeError `invalid`, saying which rule it breaks
 */
export function checkKey(key: string): void {
  if (key === "") throw refused("is empty");
  if (!key.isWellFormed()) throw refused("is not well-formed Unicode (it holds half of a surrogate pair)");
  // What is not UTF-8 in a URL has become U+FFFD before we see it, so two keys would be one.
  if (key.includes("\ufffd")) throw refused("holds U+FFFD, which stands for bytes that are not UTF-8");
  const bytes = key.length * 3 <= MAX_KEY_BYTES ? 0 : utf8.encode(key).byteLength;
  if (bytes > MAX_KEY_BYTES) throw refused(`has ${bytes} bytes of UTF-8, and at most ${MAX_KEY_BYTES} fit`);
  if (key.includes("\0")) throw refused("holds a NUL");
  if (key.includes("\\")) throw refused("holds a backslash; segments are parted by /");
  if (key.startsWith("/")) throw refused("begins with a slash; leave it out");
  for (const segment of key.split("/")) {
    if (segment === "")
      throw refused("has an empty segment; write one slash between two names, none at the end");
    if (segment === "." || segment === "..")
      throw refused(`has the segment "${segment}"; write the path it means`);
  }
}

/**
 * The key in a URL: what follows the verb's slash, percent-decoded once.
 * @param raw as it stands in the URL, still escaped, without the query
 * @throws LakeError `invalid` for a bad escape, bytes that are not UTF-8, or a key that is none
 */
export function decodeKey(raw: string): string {
  const key = raw.includes("%") ? strictDecode(raw) : raw;
  checkKey(key);
  return key;
}

/** The inverse of decodeKey: a key as it stands in a URL. */
export function encodeKey(key: string): string {
  return key.split("/").map(encodeURIComponent).join("/");
}

function strictDecode(raw: string): string {
  const bad = /%(?![0-9a-fA-F]{2})/.exec(raw);
  if (bad)
    throw refused(`has a bad escape at character ${bad.index + 1}: % must be followed by two hex digits`);
  const bytes = Buffer.alloc(Buffer.byteLength(raw));
  let length = 0;
  for (let at = 0; at < raw.length; ) {
    if (raw.charCodeAt(at) === 37) {
      bytes[length++] = Number.parseInt(raw.slice(at + 1, at + 3), 16);
      at += 3;
      continue;
    }
    const next = raw.indexOf("%", at);
    const end = next === -1 ? raw.length : next;
    length += bytes.write(raw.slice(at, end), length, "utf8");
    at = end;
  }
  try {
    return strict_utf8.decode(bytes.subarray(0, length));
  } catch {
    throw refused("is not UTF-8 once its escapes are decoded");
  }
}

function refused(why: string): LakeError {
  return new LakeError("invalid", `The key ${why}.`);
}
