import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { CONFIG_FILE, renderConfig } from "../scripts/config_file.ts";
import { ConfigError, ConfigSchema, parseConfig } from "../src/config.ts";
import { serviceNames } from "../src/services/index.ts";

const KEY = { name: "a", sha256: "0".repeat(64), scopes: ["*"] };

/** The one line a refused configuration says. */
function refusal(text: string, env: Record<string, string> = {}): string {
  try {
    parseConfig(text, env);
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError);
    return (error as ConfigError).message;
  }
  throw new Error("was taken");
}

describe("lakehouse.toml", () => {
  test("is what the schema says: after a change, run bun scripts/config_file.ts", () => {
    expect(readFileSync(CONFIG_FILE, "utf8")).toBe(renderConfig());
  });

  test("sets every setting to its default", () => {
    expect(parseConfig(readFileSync(CONFIG_FILE, "utf8"), {})).toEqual(parseConfig("", {}));
  });

  test("has the services in the registry's order, and each setting says what it means", () => {
    const sections = Object.entries(ConfigSchema.properties).filter(([, schema]) => schema.type === "object");
    expect(sections.map(([name]) => name)).toEqual(["gateway", ...serviceNames]);
    for (const [, { properties }] of sections as [
      string,
      { properties: Record<string, { description?: string }> },
    ][])
      for (const [name, { description }] of Object.entries(properties))
        expect([name, description?.length ?? 0]).not.toEqual([name, 0]);
  });
});

describe("a configuration", () => {
  test("is frozen, to its leaves", () => {
    const config = parseConfig(`[[keys]]\nname = "a"\nsha256 = "${KEY.sha256}"\nscopes = ["*"]`, {});
    for (const part of [config, config.gateway, config.keys, config.keys[0], config.keys[0]?.scopes])
      expect(Object.isFrozen(part)).toBe(true);
  });

  test("takes the environment over the file", () => {
    const config = parseConfig('data_dir = "x"\n[gateway]\ntimeout_ms = 5\nbind = "127.0.0.1:1"', {
      LAKEHOUSE_GATEWAY_TIMEOUT_MS: "7",
      LAKEHOUSE_DATA_DIR: "y",
      LAKEHOUSE_GATEWAY_WITNESS: "false",
      LAKEHOUSE_KEYS: JSON.stringify([KEY]),
      UNRELATED: "1",
    });
    expect(config.gateway).toMatchObject({ timeout_ms: 7, bind: "127.0.0.1:1", witness: false });
    expect(config.data_dir).toBe("y");
    expect(config.keys).toEqual([KEY]);
  });

  test.each([
    [
      '[gateway]\nobserverd_url = "127.0.0.1:3219"',
      'gateway.observerd_url must include scheme and host (got "127.0.0.1:3219"; did you mean "http://127.0.0.1:3219"?)',
    ],
    [
      '[gateway]\nobserverd_url = "http://a/b"',
      'gateway.observerd_url must end after host and port (got "http://a/b")',
    ],
    ['[gateway]\nbind = "3210"', 'gateway.bind must be host:port, as in "127.0.0.1:3210" (got "3210")'],
    ['[gateway]\nbind = "a:70000"', 'gateway.bind must be host:port, as in "127.0.0.1:3210" (got "a:70000")'],
    ["[gateway]\ntimeout_ms = 0", "gateway.timeout_ms must be a whole number from 1 to 3600000 (got 0)"],
    ["[gateway]\ntimeout_ms = 1.5", "gateway.timeout_ms must be a whole number from 1 to 3600000 (got 1.5)"],
    ['[gateway]\nwitness = "yes"', 'gateway.witness must be true or false (got "yes")'],
    ["gateway = 5", "gateway must be a section of settings (got 5)"],
    ["data_dir = 5", "data_dir must be a text in quotes (got 5)"],
    ['data_dir = ""', 'data_dir must name a directory (got "")'],
    [
      'log_level = "loud"',
      'log_level must be one of "trace", "debug", "info", "warn", "error", "silent" (got "loud")',
    ],
    ["[gatewy]\nx = 1", 'unknown key gatewy (did you mean "gateway"?)'],
    ["[gateway]\ntimeout = 1", 'unknown key gateway.timeout (did you mean "timeout_ms"?)'],
    ["keys = 5", "keys must be a list (got 5)"],
    [
      '[[keys]]\nname = "a"\nsha256 = "lh_a_the-key-itself"\nscopes = ["*"]',
      "keys.0.sha256 must be the key's SHA-256, as 64 hex digits in lower case",
    ],
    [
      `[[keys]]\nname = "a"\nsha256 = "${KEY.sha256}"\nscopes = ["querd:read"]`,
      'keys: the scope "querd:read" of "a" names no service (did you mean "queryd"?)',
    ],
    [
      `[[keys]]\nname = "a"\nsha256 = "${KEY.sha256}"\nscopes = ["vectord:reed"]`,
      'keys.0.scopes.0 must be "*", or a service with :read or :write, as in "vectord:read" (got "vectord:reed")',
    ],
    [
      `[[keys]]\nname = "a"\nsha256 = "${KEY.sha256}"\nscopes = []`,
      "keys.0.scopes must name at least one (got [])",
    ],
    [
      `[[keys]]\nname = "a"\nsha256 = "${KEY.sha256}"\nscopes = ["*"]\nrole = 1`,
      "unknown key keys.0.role (known: name, sha256, scopes)",
    ],
    [
      '[storaged]\nbind = "127.0.0.1:3210"',
      'storaged.bind must differ from gateway.bind (got "127.0.0.1:3210" for both)',
    ],
    [
      '[[embedd.models]]\nname = "a"\nprovider = "ollama"',
      'embedd.models: "a" of ollama must have a url (got none)',
    ],
    [
      '[[embedd.models]]\nname = "a"\nprovider = "onnx"\nurl = "http://a"',
      'embedd.models: "a" of onnx must have a path (got none)',
    ],
    [
      '[[embedd.models]]\nname = "lakehouse-static-en-v1"\nprovider = "onnx"\npath = "a"',
      'embedd.models: the name must be unique (got "lakehouse-static-en-v1" again)',
    ],
    [
      '[[embedd.models]]\nname = "a"\nprovider = "openia"\nurl = "http://a"',
      'embedd.models.0.provider must be one of "ollama", "openai", "onnx" (got "openia")',
    ],
    [
      '[[embedd.models]]\nname = "a"\nprovider = "openai"\nurl = "http://a/v1"\napi_key = "sk secret"',
      "embedd.models.0.api_key must be a key without spaces, which is never shown",
    ],
    [
      '[embedd]\ndefault_model = "b"',
      'embedd.default_model must name a model of embedd.models or "lakehouse-static-en-v1" (got "b")',
    ],
    [
      '[pathwayd]\nmodel = "nope"',
      'pathwayd.model must name a model of embedd.models or "lakehouse-static-en-v1" (got "nope")',
    ],
    ["max_held_bytes = 1024", "max_held_bytes must be at least max_json_bytes (got 1024 and 4194304)"],
    ["[embedd]\nqueue = 5", "embedd.queue must be at least embedd.max_texts (got 5 and 2048)"],
    [
      "[embedd]\ntimeout_ms = 5",
      "embedd.timeout_ms must be at least embedd.provider_timeout_ms (got 5 and 20000)",
    ],
  ])("%j is refused in one line", (text, line) => {
    expect(refusal(text)).toBe(line);
  });

  test("that is no TOML is refused with the place", () => {
    expect(refusal("a = = 1")).toStartWith("lakehouse.toml, line 1, column 5: not valid TOML: ");
  });

  test("refuses a variable of the environment that names no setting", () => {
    expect(refusal("", { LAKEHOUSE_GATEWAY_BINDS: "x" })).toBe(
      "environment variable LAKEHOUSE_GATEWAY_BINDS names no setting (did you mean LAKEHOUSE_GATEWAY_BIND?)",
    );
    expect(refusal("", { LAKEHOUSE_GATEWAY_TIMEOUT_MS: "soon" })).toBe(
      'gateway.timeout_ms must be a whole number from 1 to 3600000 (got "soon")',
    );
  });
});
