/** NDJSON, line by line: a bad line is a bad operation, not a bad batch. */

/** What a line that is not JSON becomes: no operation, so it is refused at its own index. */
const UNREADABLE = "a line that is not JSON";

export function parseLines(text: string): unknown[] {
  const values: unknown[] = [];
  for (const line of text.split("\n")) {
    if (line.trim() === "") continue;
    values.push(parseLine(line));
  }
  return values;
}

function parseLine(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return UNREADABLE;
  }
}
