/** Entry: arguments, configuration, listener, signals, drain. */
import { existsSync, readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { compose, type Target } from "./compose.ts";
import { type Config, ConfigError, parseConfig } from "./config.ts";
import { listen } from "./listen.ts";
import { serviceNames } from "./services/index.ts";
import { createKey } from "./shared/keys.ts";
import { createLog } from "./shared/log.ts";

const USAGE = `bun src/main.ts [all|gateway|${serviceNames.join("|")}] [--config PATH] [--check]
bun src/main.ts key create --name NAME --scopes SCOPE[,SCOPE…]`;
const DEFAULT_CONFIG = "lakehouse.toml";

async function main(argv: string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: argv,
    allowPositionals: true,
    options: {
      config: { type: "string" },
      check: { type: "boolean", default: false },
      name: { type: "string" },
      scopes: { type: "string" },
    },
  });
  if (positionals[0] === "key") return keyCommand(positionals[1], values.name, values.scopes);
  const target = (positionals[0] ?? "all") as Target;
  if (positionals.length > 1 || !["all", "gateway", ...serviceNames].includes(target)) return refuse(USAGE);
  const config = readConfig(values.config);
  if (values.check) {
    console.log("configuration ok");
    return 0;
  }
  await serve(config, target);
  return 0;
}

function readConfig(path: string | undefined): Config {
  const chosen = path ?? DEFAULT_CONFIG;
  if (path !== undefined && !existsSync(path))
    throw new ConfigError(`--config names a file that is not there (got "${path}")`);
  return parseConfig(existsSync(chosen) ? readFileSync(chosen, "utf8") : "", process.env);
}

async function serve(config: Config, target: Target): Promise<void> {
  const log = createLog(config.log_level, { target });
  const listener = listen(await compose(config, target, log), config);
  console.log(`listening ${listener.url}`);
  if (target === "all" || target === "gateway") console.log(welcome(listener.url, config.keys.length > 0));
  await stopSignal();
  const deadline = setTimeout(() => process.exit(1), config.drain_ms);
  await listener.stop();
  clearTimeout(deadline);
}

/** Where to go next: the docs, and one line that works as it stands. */
function welcome(url: string, with_keys: boolean): string {
  const key = with_keys ? ` -H "x-api-key: $KEY"` : "";
  const event = `{"endpoint":"hello","success":true}`;
  return `docs      ${url}/swagger
try       curl ${url}/v1/observer/event${key} -H 'content-type: application/json' -d '${event}'`;
}

/** Listens on, so that a Ctrl-C which a terminal and npm both deliver doesn't cut what is being finished. */
function stopSignal(): Promise<void> {
  return new Promise((resolve) => {
    process.on("SIGTERM", resolve);
    process.on("SIGINT", resolve);
  });
}

function keyCommand(verb: string | undefined, name = "", scopes = ""): number {
  if (verb !== "create" || !/^[a-z0-9-]{1,64}$/.test(name) || scopes === "") return refuse(USAGE);
  const { key, sha256 } = createKey(name);
  const list = scopes.split(",").map((scope) => JSON.stringify(scope.trim()));
  console.log(
    `key     ${key}\nconfig  [[keys]]\n        name = "${name}"\n        sha256 = "${sha256}"\n        scopes = [${list.join(", ")}]`,
  );
  return 0;
}

function refuse(line: string): number {
  console.error(line);
  return 1;
}

try {
  process.exitCode = await main(process.argv.slice(2));
  process.exit();
} catch (error) {
  if (!(error instanceof ConfigError)) throw error;
  process.exit(refuse(error.message));
}
