/**
 * JSON from strangers, nested only so deep: beyond some thousands of levels JSON.parse, JSON.stringify and whatever
 * looks at a value member by member take seconds of the loop for a few kilobytes, and then the stack.
 */
import { LakeError, messageOf } from "./errors.ts";

/** More than any filter, schema or content has; far less than what is slow. */
export const MAX_JSON_DEPTH = 256;

/** Whether objects and lists lie in each other deeper than that; what is no JSON is looked at all the same. */
export function isTooDeep(json: string): boolean {
  // Each level takes two characters.
  if (json.length <= 2 * MAX_JSON_DEPTH) return false;
  let depth = 0;
  for (let at = 0; at < json.length; at++) {
    const code = json.charCodeAt(at);
    if (code === QUOTE) at = endOfString(json, at);
    else if (code === BRACKET || code === BRACE) {
      if (++depth > MAX_JSON_DEPTH) return true;
    } else if (code === BRACKET + 2 || code === BRACE + 2) depth--;
  }
  return false;
}

const QUOTE = 34;
const BACKSLASH = 92;
const BRACKET = 91;
const BRACE = 123;

/** The quote that ends the string which begins here. */
function endOfString(json: string, from: number): number {
  for (let at = from + 1; at < json.length; at++) {
    const code = json.charCodeAt(at);
    if (code === BACKSLASH) at++;
    else if (code === QUOTE) return at;
  }
  return json.length;
}

/** @param what it is called in a refusal @throws LakeError invalid */
export function parseJson(json: string, what: string): unknown {
  if (isTooDeep(json))
    throw new LakeError("invalid", `${what} is nested too deeply: at most ${MAX_JSON_DEPTH} levels.`);
  try {
    return JSON.parse(json);
  } catch (error) {
    throw new LakeError("invalid", `${what} is not valid JSON: ${messageOf(error)}`);
  }
}
