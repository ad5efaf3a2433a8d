/** Writes lakehouse.toml from the schema: every setting with its default, its meaning and its bounds. */
import { resolve } from "node:path";
import type { TSchema } from "@sinclair/typebox";
import { ConfigSchema } from "../src/config.ts";

export const CONFIG_FILE = resolve(import.meta.dir, "../lakehouse.toml");

const HEAD = `# Every setting of Lakehouse with its default; without this file the same holds.
# Each can be set by the environment, too: LAKEHOUSE_<SECTION>_<KEY>, as in LAKEHOUSE_GATEWAY_BIND=127.0.0.1:0,
# and LAKEHOUSE_<KEY> for those outside a section. Check a file with: npm start -- --check
# Written by scripts/config_file.ts from src/settings.ts.
`;

const KEYS = `# ${ConfigSchema.properties.keys.description}:
# [[keys]]
# name = "admin"
# sha256 = "…"
# scopes = ["*"]        # or "<service>:read", "<service>:write"; searches and SQL are reads
`;

/** The file's whole text. */
export function renderConfig(): string {
  const entries = Object.entries(ConfigSchema.properties as Record<string, TSchema>);
  const loose = entries.filter(([name, { type }]) => type !== "object" && name !== "keys");
  const sections = entries.filter(([, { type }]) => type === "object");
  const parts = [HEAD, loose.map(setting).join("\n"), `\n${KEYS}`];
  for (const [name, { properties }] of sections)
    parts.push(
      `\n[${name}]\n${Object.entries(properties as Record<string, TSchema>)
        .map(setting)
        .join("\n")}`,
    );
  return `${parts.join("\n")}\n`;
}

function setting([name, schema]: [string, TSchema]): string {
  const head = `# ${schema.description}${range(schema)}`;
  // A list of tables has no empty form that another table could follow.
  if (schema.type === "array") return `${head}:\n${String(schema.sample).replace(/^/gm, "# ")}`;
  return `${head}\n${name} = ${toml(schema.default)}`;
}

function range({ minimum, maximum, anyOf }: TSchema): string {
  if (anyOf) return ` (${anyOf.map((it: TSchema) => it.const).join(", ")})`;
  return minimum === undefined ? "" : ` (${toml(minimum)} to ${toml(maximum)})`;
}

function toml(value: unknown): string {
  if (typeof value === "number") return String(value).replace(/\B(?=(\d{3})+(?!\d))/g, "_");
  if (typeof value !== "object") return JSON.stringify(value);
  const members = Object.entries(value as object).map(
    ([name, it]) => `${JSON.stringify(name)} = ${toml(it)}`,
  );
  return members.length === 0 ? "{}" : `{ ${members.join(", ")} }`;
}

if (import.meta.main) await Bun.write(CONFIG_FILE, renderConfig());
