/** Entry: arguments, configuration, listener, signals, drain. */
import { existsSync, readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import packageJson from "../package.json";
import { compose, place } from "./compose.ts";
import { type Config, ConfigError, parseConfig } from "./config.ts";
import { listen } from "./listen.ts";
import { serviceNames, type Target } from "./services/index.ts";
import { createKey } from "./shared/keys.ts";
import { LockHeldError } from "./shared/lock.ts";
import { createLog } from "./shared/log.ts";
import { suggest } from "./shared/wording.ts";

const DEFAULT_CONFIG = "lakehouse.toml";
const TARGETS = ["all", "gateway", ...serviceNames];
const USAGE = `usage: npm start -- [TARGET] [--config PATH] [--check]
       npm start -- key create --name NAME --scopes SCOPE[,SCOPE…]
       npm start -- --help | --version

TARGET is one of ${TARGETS.join(", ")}; "all" by default: every service in one process.
Settings are read from ${DEFAULT_CONFIG} in the folder it is started in, where there is one, or from PATH; a variable
LAKEHOUSE_<SECTION>_<KEY> goes before the file, as LAKEHOUSE_GATEWAY_BIND=127.0.0.1:8080. Without either the defaults
serve, which the repository's lakehouse.toml lists. --check judges the settings and ends.`;

/** A second signal within this is the same one: a terminal and npm both deliver a Ctrl-C. */
const SAME_SIGNAL_MS = 1000;

async function main(argv: string[]): Promise<number> {
  const { values, positionals } = readArguments(argv);
  if (values.help || values.version) {
    console.log(values.help ? USAGE : packageJson.version);
    return 0;
  }
  const [target = "all", ...more] = positionals;
  if (target === "key") return keyCommand(more[0], values.name, values.scopes);
  if (!TARGETS.includes(target)) return misused(`unknown target "${target}"${suggest(target, TARGETS)}`);
  if (more.length > 0) return misused(`one target at a time (got ${positionals.join(" ")})`);
  const config = readConfig(values.config);
  if (values.check) {
    place(config, target as Target);
    console.log("configuration ok");
    return 0;
  }
  return serve(config, target as Target);
}

function readArguments(argv: string[]) {
  try {
    return parseArgs({
      args: argv,
      allowPositionals: true,
      options: {
        config: { type: "string" },
        check: { type: "boolean", default: false },
        name: { type: "string" },
        scopes: { type: "string" },
        help: { type: "boolean", short: "h", default: false },
        version: { type: "boolean", default: false },
      },
    });
  } catch (error) {
    throw new ConfigError(`${(error as Error).message.split(". ")[0]}\n${USAGE}`);
  }
}

function readConfig(path: string | undefined): Config {
  const chosen = path ?? DEFAULT_CONFIG;
  if (path !== undefined && !existsSync(path))
    throw new ConfigError(`--config names a file that is not there (got "${path}")`);
  return parseConfig(existsSync(chosen) ? readFileSync(chosen, "utf8") : "", process.env, chosen);
}

/** @returns the exit code: 0 where all that was under way has been finished */
async function serve(config: Config, target: Target): Promise<number> {
  const log = createLog(config.log_level, { target });
  const listener = listen(await compose(config, target, log), config, log);
  const { first, second } = stopSignals();
  console.log(`listening ${listener.url}`);
  if (target === "all" || target === "gateway") console.log(welcome(listener.url, config.keys.length > 0));
  const signal = await first;
  log.info({ signal, drain_ms: config.drain_ms }, "stopping");
  const late = Promise.withResolvers<string>();
  const deadline = setTimeout(() => late.resolve("drain_ms has passed"), config.drain_ms);
  const cut = await Promise.race([
    listener.stop().then(() => undefined),
    second.then(() => "a second signal came"),
    late.promise,
  ]);
  clearTimeout(deadline);
  if (cut === undefined) return 0;
  log.error({ reason: cut, cut: listener.underWay() }, "stopped before all was finished");
  return 1;
}

/** Where to go next: the docs, and one line that works as it stands. */
function welcome(url: string, with_keys: boolean): string {
  const key = with_keys ? ` -H "x-api-key: $KEY"` : "";
  const event = `{"endpoint":"hello","success":true}`;
  return `docs      ${url}/swagger
try       curl ${url}/v1/observer/event${key} -H 'content-type: application/json' -d '${event}'`;
}

function stopSignals(): { first: Promise<string>; second: Promise<void> } {
  const first = Promise.withResolvers<string>();
  const second = Promise.withResolvers<void>();
  let first_ms = 0;
  for (const signal of ["SIGTERM", "SIGINT"] as const)
    process.on(signal, () => {
      if (first_ms === 0) first_ms = performance.now();
      else if (performance.now() - first_ms > SAME_SIGNAL_MS) second.resolve();
      first.resolve(signal);
    });
  return { first: first.promise, second: second.promise };
}

function keyCommand(verb: string | undefined, name = "", scopes = ""): number {
  if (verb !== "create" || !/^[a-z0-9-]{1,64}$/.test(name) || scopes === "")
    return misused("key create needs a --name of a-z, 0-9 and -, and --scopes");
  const { key, sha256 } = createKey(name);
  const list = scopes.split(",").map((scope) => JSON.stringify(scope.trim()));
  parseConfig("", {
    LAKEHOUSE_KEYS: `[{"name":"${name}","sha256":"${sha256}","scopes":[${list.join(",")}]}]`,
  });
  console.log(
    `key     ${key}\nconfig  [[keys]]\n        name = "${name}"\n        sha256 = "${sha256}"\n        scopes = [${list.join(", ")}]`,
  );
  return 0;
}

function misused(how: string): number {
  return refuse(`${how}\n${USAGE}`);
}

function refuse(line: string): number {
  console.error(line);
  return 1;
}

try {
  process.exitCode = await main(process.argv.slice(2));
  process.exit();
} catch (error) {
  const { code, message } = error as NodeJS.ErrnoException;
  if (error instanceof LockHeldError)
    process.exit(refuse(`${message}; stop it, or give this one another LAKEHOUSE_DATA_DIR`));
  // The system's own refusals (EACCES, ENOSPC, …) tell a person enough in their one line.
  if (!(error instanceof ConfigError || code !== undefined)) throw error;
  process.exit(refuse(message));
}
