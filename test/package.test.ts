/** What this program is made of: each package, pinned, with the reason it is here. */
import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import packageJson from "../package.json";
import lockfile from "../package-lock.json";
import { codeAmong, importsOf, ROOT, read, repositoryFiles } from "./support/source.ts";

const DEPENDENCIES: Record<string, string> = {
  "@duckdb/node-api": "the SQL engine, and the reader and writer of CSV, JSON and Parquet",
  "@elysiajs/swagger": "derives the OpenAPI document from the routes' schemas; its page is not used",
  "@sinclair/typebox": "validates the settings, with the same schemas as the routes",
  avsc: "encodes and decodes Avro, the format of Iceberg's manifests",
  bun: "the runtime, so that a machine with only Node and npm can run the program",
  elysia: "routes, with schemas that validate and document them",
  "fastest-levenshtein": "the nearest name, for messages that ask whether it was meant",
  hyparquet: "decodes Parquet footers, for row counts and column bounds without reading the data",
  pino: "logs as JSON lines",
  "prom-client": "metrics in Prometheus' text format",
  "smol-toml": "reads lakehouse.toml",
  "swagger-ui-dist": "the API's page, from our own disk",
  usearch: "the HNSW graph over vectors, with its builds for each platform inside the package",
};

const DEV_DEPENDENCIES: Record<string, string> = {
  "@biomejs/biome": "formats and lints",
  "@types/bun": "the runtime's types",
  "fast-check": "property tests of what has state",
  ollama: "Ollama's own client, which the stand-in for Ollama must satisfy",
  openai: "OpenAI's own client, which our /embeddings must satisfy",
  "playwright-core": "drives a real Chromium over the API's page; downloads no browser of its own",
  typescript: "checks the types",
  "vega-datasets": "real data of many shapes, for the demo and the tests",
};

/**
 * Builds for other platforms that the registry did not offer where the lockfile was made: pinned by version,
 * as their parent pins them, but without a digest. `npm ci` refuses a lockfile that leaves them out.
 */
const WITHOUT_DIGEST = [
  ...["android-arm64", "android-x64", "darwin-arm64", "darwin-x64", "linux-arm64-musl", "linux-x64-musl"].map(
    (platform) => `@biomejs/cli-${platform}`,
  ),
  ...["win32-arm64", "win32-x64"].map((platform) => `@biomejs/cli-${platform}`),
  ...["darwin-arm64", "darwin-x64", "linux-arm64", "linux-arm64-musl", "win32-arm64", "win32-x64"].map(
    (platform) => `@duckdb/node-bindings-${platform}`,
  ),
];

/** Packages whose files are read, never imported, and who reads them. */
const READ_AS_FILES = [
  ["swagger-ui-dist", "src/docs.ts"],
  ["vega-datasets", "scripts/demo/lake.ts"],
] as const;

/** Packages that are called by name on a command line, never imported. */
const COMMANDS = ["bun", "@biomejs/biome", "typescript", "@types/bun"];

test("the packages are these, each for a reason", () => {
  expect(Object.keys(packageJson.dependencies)).toEqual(Object.keys(DEPENDENCIES));
  expect(Object.keys(packageJson.devDependencies)).toEqual(Object.keys(DEV_DEPENDENCIES));
});

test("every version is pinned exactly, and the lockfile agrees", () => {
  const asked = { ...packageJson.dependencies, ...packageJson.devDependencies };
  const locked = lockfile.packages as Record<string, { version?: string }>;
  for (const [name, version] of Object.entries(asked)) {
    expect(`${name} ${version}`).toMatch(/ \d+\.\d+\.\d+(-[\w.]+)?$/);
    expect(`${name} ${locked[`node_modules/${name}`]?.version}`).toBe(`${name} ${version}`);
  }
  const { dependencies, devDependencies } = lockfile.packages[""];
  expect({ dependencies, devDependencies }).toEqual({
    dependencies: packageJson.dependencies,
    devDependencies: packageJson.devDependencies,
  });
});

test("the runtime is the one that is pinned", () => {
  expect(Bun.version).toBe(packageJson.dependencies.bun);
});

test("there is one lockfile; it names no registry, and every package in it has its digest", () => {
  const others = ["bun.lock", "bun.lockb", "yarn.lock", "pnpm-lock.yaml", "npm-shrinkwrap.json"];
  expect(others.filter((name) => existsSync(join(ROOT, name)))).toEqual([]);
  expect(read("package-lock.json").match(/https?:\/\/[^"]*(registry|\.tgz)[^"]*|"resolved"/g)).toBeNull();
  const packages = Object.entries(lockfile.packages as Record<string, { integrity?: string }>);
  const bare = packages.filter(([path, { integrity }]) => path !== "" && !integrity?.startsWith("sha512-"));
  expect(bare.map(([path]) => path.replace("node_modules/", ""))).toEqual(WITHOUT_DIGEST);
});

test("the lockfile holds the builds of every platform, so that it installs on each", () => {
  const packages = lockfile.packages as Record<string, { optionalDependencies?: Record<string, string> }>;
  for (const [path, { optionalDependencies = {} }] of Object.entries(packages))
    for (const name of Object.keys(optionalDependencies))
      expect(`${path} needs ${`node_modules/${name}` in packages}`).toEndWith("true");
});

test("no package runs a script of its own at install", () => {
  expect(read(".npmrc")).toMatch(/^ignore-scripts=true$/m);
  expect(packageJson).not.toHaveProperty("trustedDependencies");
  for (const hook of ["preinstall", "install", "postinstall", "prepare"])
    expect(packageJson.scripts).not.toHaveProperty(hook);
});

test("every package is used, and nothing else is imported", () => {
  const used = new Map<string, Set<string>>();
  for (const path of codeAmong(repositoryFiles()))
    for (const { target, is_file } of importsOf(path)) {
      if (is_file || /^(node|bun):|^bun$/.test(target)) continue;
      const name = target.split("/", target.startsWith("@") ? 2 : 1).join("/");
      used.set(name, (used.get(name) ?? new Set()).add(path));
    }
  const named = new Set([...used.keys(), ...READ_AS_FILES.map(([name]) => name), ...COMMANDS]);
  expect([...named].sort()).toEqual([...Object.keys(DEPENDENCIES), ...Object.keys(DEV_DEPENDENCIES)].sort());
  for (const [name, reader] of READ_AS_FILES) expect(read(reader)).toContain(`${name}/`);
  for (const [name, paths] of used)
    if (name in DEV_DEPENDENCIES) expect([...paths].filter((path) => path.startsWith("src/"))).toEqual([]);
});
