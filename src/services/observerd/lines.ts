/** NDJSON, line by line: a bad line is a bad operation, not a bad batch. */
import { parseJson } from "../../shared/depth.ts";
import { LakeError } from "../../shared/errors.ts";

/** The values of a text's lines, empty ones left out; a line that is not JSON is the error that says so. */
export function parseLines(text: string): unknown[] {
  const values: unknown[] = [];
  for (const [index, line] of text.split("\n").entries())
    if (line.trim() !== "") values.push(parseLine(line, index + 1));
  return values;
}

function parseLine(line: string, number: number): unknown {
  try {
    return parseJson(line, `line ${number}`);
  } catch (error) {
    if (error instanceof LakeError) return error;
    throw error;
  }
}
