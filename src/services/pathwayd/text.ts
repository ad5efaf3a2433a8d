/** The text view of a content: what is searched, and what one reads. */
import type { Content, Json } from "./trace_schema.ts";

/** A text as it is; JSON as a line for each of its leaves, `path: value`. */
export function textOf(content: Content): string {
  if (typeof content === "string") return content;
  const lines: string[] = [];
  gather(content, "", lines);
  return lines.length === 0 ? JSON.stringify(content) : lines.join("\n");
}

function gather(value: Json, path: string, lines: string[]): void {
  if (Array.isArray(value)) for (const it of value) gather(it, path, lines);
  else if (typeof value === "object" && value !== null)
    for (const [name, it] of Object.entries(value)) gather(it, path === "" ? name : `${path}.${name}`, lines);
  else if (value !== null) lines.push(path === "" ? String(value) : `${path}: ${value}`);
}

/** The same text for contents that say the same: members sorted, spaces at the ends and runs of them ignored. */
export function canonical(content: Content): string {
  if (typeof content === "string") return content.trim().replace(/\s+/gu, " ");
  return JSON.stringify(content, (_key, value) =>
    typeof value === "object" && value !== null && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
      : value,
  );
}
