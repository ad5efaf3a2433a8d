/** The settings as README.md shows them, written between two marks from the schema itself. */
import { resolve } from "node:path";
import type { TSchema } from "@sinclair/typebox";
import { ConfigSchema } from "../src/config.ts";

const README = resolve(import.meta.dir, "../README.md");
const BEGIN = "<!-- settings: written by scripts/config_table.ts -->";
const END = "<!-- end of settings -->";

/** README.md with its table as the schema has it now. @throws Error where the marks are gone */
export function withConfigTable(readme: string): string {
  const [head, rest] = readme.split(BEGIN);
  const tail = rest?.split(END)[1];
  if (tail === undefined) throw new Error(`README.md has lost the marks of its settings: ${BEGIN} … ${END}`);
  return `${head}${BEGIN}\n\n${table()}\n\n${END}${tail}`;
}

function table(): string {
  const rows: string[] = [];
  for (const [name, schema] of Object.entries(ConfigSchema.properties as Record<string, TSchema>))
    if (schema.properties)
      for (const [key, inner] of Object.entries(schema.properties as Record<string, TSchema>))
        rows.push(row(`${name}.${key}`, inner));
    else rows.push(row(name, schema));
  return ["| setting | default | what it is |", "|---|---|---|", ...rows].join("\n");
}

function row(name: string, { default: value, description }: TSchema): string {
  const shown = typeof value === "number" ? value.toLocaleString("en-US") : JSON.stringify(value);
  return `| \`${name}\` | \`${shown}\` | ${String(description).replaceAll("|", "\\|")} |`;
}

if (import.meta.main) await Bun.write(README, withConfigTable(await Bun.file(README).text()));
