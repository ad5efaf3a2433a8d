/**
 * Reads a configuration: validated whole against the schema, frozen, and passed on as an argument.
 * Pure: the text and the environment come in as values, and nothing else reads either.
 */
import type { Static, TSchema } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import { closest } from "fastest-levenshtein";
import { parse as parseToml, TomlError } from "smol-toml";
import { type Config, ConfigSchema, type DeepReadonly, parseBind } from "./settings.ts";
import { bounds, suggest } from "./shared/wording.ts";

export { type ApiKey, type Config, ConfigSchema, parseBind } from "./settings.ts";

/** A setting that can't be used: one line that names the key, what it got and what it wants. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
}

/**
 * Reads a configuration.
 * @param text the file's TOML, "" for none
 * @param env overrides: LAKEHOUSE_<SECTION>_<KEY>, and LAKEHOUSE_<KEY> for the keys outside a section
 * @param file what the text is called in a refusal of its TOML
 * @throws ConfigError with one line that a person can act on
 */
export function parseConfig(
  text: string,
  env: Readonly<Record<string, string | undefined>>,
  file = "lakehouse.toml",
): Config {
  const raw = readToml(text, file);
  applyEnvironment(raw, env);
  refuseUnknown(raw, ConfigSchema, "");
  const value = Value.Default(ConfigSchema, raw);
  const fault = Value.Errors(ConfigSchema, value).First();
  if (fault) throw new ConfigError(describe(fault.path, fault.schema, fault.value));
  const config = value as Static<typeof ConfigSchema>;
  crossCheck(config);
  return deepFreeze(config);
}

function readToml(text: string, file: string): Record<string, unknown> {
  try {
    return parseToml(text);
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    const { line, column, message } = error;
    const [what = ""] = message.replace("Invalid TOML document: ", "").split("\n");
    throw new ConfigError(`${file}, line ${line}, column ${column}: not valid TOML: ${what}`);
  }
}

/** The environment's names are matched against the schema, so an unknown one is refused, not ignored. */
function applyEnvironment(
  raw: Record<string, unknown>,
  env: Readonly<Record<string, string | undefined>>,
): void {
  const settings = new Map<string, { path: string[]; schema: TSchema }>();
  for (const [name, schema] of Object.entries(ConfigSchema.properties)) {
    if (schema.type === "object" && schema.properties)
      for (const [key, inner] of Object.entries(schema.properties as Record<string, TSchema>))
        settings.set(`LAKEHOUSE_${name}_${key}`.toUpperCase(), { path: [name, key], schema: inner });
    else settings.set(`LAKEHOUSE_${name}`.toUpperCase(), { path: [name], schema });
  }
  for (const [name, value] of Object.entries(env)) {
    if (!name.startsWith("LAKEHOUSE_") || value === undefined) continue;
    const setting = settings.get(name);
    if (!setting) {
      const near = closest(name, [...settings.keys()]);
      throw new ConfigError(`environment variable ${name} names no setting (did you mean ${near}?)`);
    }
    const [first, second] = setting.path as [string, string?];
    const given = fromEnvironment(setting.schema, value);
    if (second === undefined) raw[first] = given;
    else raw[first] = { ...(raw[first] as object | undefined), [second]: given };
  }
}

function fromEnvironment(schema: TSchema, value: string): unknown {
  if (schema.type === "integer" && /^-?\d+$/.test(value)) return Number(value);
  if (schema.type === "boolean" && (value === "true" || value === "false")) return value === "true";
  if (schema.type === "array" || schema.type === "object") {
    try {
      return JSON.parse(value);
    } catch {
      return value;
    }
  }
  return value;
}

function refuseUnknown(value: unknown, schema: TSchema, path: string): void {
  if (Array.isArray(value) && schema.items)
    for (const [index, item] of value.entries()) refuseUnknown(item, schema.items, `${path}${index}.`);
  if (typeof value !== "object" || value === null || !schema.properties) return;
  for (const [key, inner] of Object.entries(value)) {
    const known = schema.properties as Record<string, TSchema>;
    if (!Object.hasOwn(known, key))
      throw new ConfigError(`unknown key ${path}${key}${suggest(key, Object.keys(known))}`);
    refuseUnknown(inner, known[key] as TSchema, `${path}${key}.`);
  }
}

function describe(pointer: string, schema: TSchema, got: unknown): string {
  const key = pointer.slice(1).replaceAll("~1", "/").replaceAll("/", ".");
  return `${key} must ${wanted(schema, got)}`;
}

function wanted(schema: TSchema, got: unknown): string {
  const shown = got === undefined ? "nothing" : JSON.stringify(got);
  if (schema.format === "base_url" && typeof got === "string") {
    if (/^https?:\/\/[^/]/.test(got)) return `end after host and port (got ${shown})`;
    const guess = parseBind(got) ? `; did you mean "http://${got}"?` : "";
    return `include scheme and host (got ${shown}${guess})`;
  }
  if (schema.format === "bind") return `be host:port, as in "127.0.0.1:3210" (got ${shown})`;
  if (schema.type === "integer") return `be a whole number${bounds(schema)} (got ${shown})`;
  if (schema.anyOf)
    return `be one of ${schema.anyOf.map((it: TSchema) => JSON.stringify(it.const)).join(", ")} (got ${shown})`;
  if (schema.is_secret) return `be ${schema.description}`;
  if (schema.form && typeof got === "string") return `be ${schema.form} (got ${shown})`;
  if (schema.pattern && typeof got === "string") return `match ${schema.pattern} (got ${shown})`;
  if (schema.minItems !== undefined && Array.isArray(got)) return `name at least one (got ${shown})`;
  return `be ${TYPE_NAMES[schema.type as string] ?? "left out"} (got ${shown})`;
}

const TYPE_NAMES: Record<string, string> = {
  string: "a text in quotes",
  boolean: "true or false",
  array: "a list",
  object: "a section of settings",
};

/** What no single setting can tell: faults between settings. */
function crossCheck(config: Static<typeof ConfigSchema>): void {
  refuseKeys(config.keys);
  refuseSharedPorts(config);
  if (config.data_dir === "") throw new ConfigError('data_dir must name a directory (got "")');
  if (config.ingestd.process_limit_mib <= config.ingestd.memory_limit_mib)
    throw new ConfigError(
      `ingestd.process_limit_mib must be above ingestd.memory_limit_mib (got ${config.ingestd.process_limit_mib} and ${config.ingestd.memory_limit_mib})`,
    );
  refuseModels(config.embedd, config.pathwayd.model);
  for (const [key, bytes] of [
    ["max_json_bytes", config.max_json_bytes],
    ["vectord.max_body_bytes", config.vectord.max_body_bytes],
    ["pathwayd.max_import_bytes", config.pathwayd.max_import_bytes],
  ] as const)
    if (config.max_held_bytes < bytes)
      throw new ConfigError(
        `max_held_bytes must be at least ${key} (got ${config.max_held_bytes} and ${bytes})`,
      );
  if (config.queryd.process_limit_mib <= config.queryd.memory_limit_mib)
    throw new ConfigError(
      `queryd.process_limit_mib must be above queryd.memory_limit_mib (got ${config.queryd.process_limit_mib} and ${config.queryd.memory_limit_mib})`,
    );
}

/** The built-in model's name; the settings can't import it from the service. */
const BUILT_IN = ConfigSchema.properties.embedd.properties.default_model.default;

/** @param memory the model of memory's index; "" for the default one */
function refuseModels(embedd: Static<typeof ConfigSchema>["embedd"], memory: string): void {
  const { models, default_model, max_texts, queue, timeout_ms, provider_timeout_ms } = embedd;
  const names = new Set<string>([BUILT_IN]);
  for (const { name, provider, url, path } of models) {
    if (names.has(name))
      throw new ConfigError(`embedd.models: the name must be unique (got "${name}" again)`);
    names.add(name);
    const needed = provider === "onnx" ? "path" : "url";
    if ((provider === "onnx" ? path : url) === undefined)
      throw new ConfigError(`embedd.models: "${name}" of ${provider} must have a ${needed} (got none)`);
  }
  for (const [key, model] of [
    ["embedd.default_model", default_model],
    ["pathwayd.model", memory || BUILT_IN],
  ] as const)
    if (!names.has(model))
      throw new ConfigError(`${key} must name a model of embedd.models or "${BUILT_IN}" (got "${model}")`);
  if (queue < max_texts)
    throw new ConfigError(`embedd.queue must be at least embedd.max_texts (got ${queue} and ${max_texts})`);
  if (timeout_ms < provider_timeout_ms)
    throw new ConfigError(
      `embedd.timeout_ms must be at least embedd.provider_timeout_ms (got ${timeout_ms} and ${provider_timeout_ms})`,
    );
}

const SECTIONS = Object.entries(ConfigSchema.properties)
  .filter(([, schema]) => schema.type === "object")
  .map(([name]) => name);

function refuseKeys(keys: Static<typeof ConfigSchema>["keys"]): void {
  const names = new Set<string>();
  for (const { name, scopes } of keys) {
    if (names.has(name)) throw new ConfigError(`keys.name must be unique (got "${name}" twice)`);
    names.add(name);
    for (const scope of scopes) {
      const service = scope.split(":")[0] as string;
      if (service !== "*" && !SECTIONS.includes(service))
        throw new ConfigError(
          `keys: the scope "${scope}" of "${name}" names no service${suggest(service, SECTIONS)}`,
        );
    }
  }
}

function refuseSharedPorts(config: Static<typeof ConfigSchema>): void {
  const owners = new Map<string, string>();
  for (const name of SECTIONS) {
    const { bind } = config[name as "gateway"];
    const owner = owners.get(bind);
    if (owner !== undefined && !bind.endsWith(":0"))
      throw new ConfigError(`${name}.bind must differ from ${owner}.bind (got "${bind}" for both)`);
    owners.set(bind, name);
  }
}

/** Whether a host can be reached from this machine only. */
export function isLoopback(hostname: string): boolean {
  return hostname === "localhost" || hostname === "::1" || /^127\.\d+\.\d+\.\d+$/.test(hostname);
}

function deepFreeze<T>(value: T): DeepReadonly<T> {
  if (typeof value === "object" && value !== null) {
    for (const inner of Object.values(value)) deepFreeze(inner);
    Object.freeze(value);
  }
  return value as DeepReadonly<T>;
}
