/** What stops a start: one line on standard error that a person can act on, and exit code 1. */
import { expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import packageJson from "../../package.json";
import { startProcesses } from "../support/processes.ts";

const MAIN = resolve(import.meta.dir, "../../src/main.ts");

async function start(args: string[], env: Record<string, string> = {}, files: Record<string, string> = {}) {
  const directory = mkdtempSync(join(tmpdir(), "lakehouse-"));
  for (const [name, text] of Object.entries(files)) writeFileSync(join(directory, name), text);
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith("LAKEHOUSE_"));
  const child = Bun.spawn([process.execPath, MAIN, ...args], {
    cwd: directory,
    env: { ...Object.fromEntries(inherited), LAKEHOUSE_GATEWAY_BIND: "127.0.0.1:0", ...env },
    stdout: "pipe",
    stderr: "pipe",
  });
  const deadline = setTimeout(() => child.kill(), 10_000);
  const [out, err, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  clearTimeout(deadline);
  rmSync(directory, { recursive: true, force: true });
  return { out: out.trim(), err: err.trim(), code };
}

test("a port in use is named", async () => {
  const taken = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response() });
  const bind = `127.0.0.1:${taken.port}`;
  const { err, code } = await start([], { LAKEHOUSE_GATEWAY_BIND: bind });
  taken.stop(true);
  expect([code, err]).toEqual([1, `gateway.bind can't be opened: ${bind} is in use by another program`]);
});

test("a port in use by another lake is not shared with it", async () => {
  const lake = await startProcesses("mounted");
  const bind = new URL(lake.url).host;
  const { err, code } = await start([], { LAKEHOUSE_GATEWAY_BIND: bind });
  await lake.stop();
  rmSync(lake.data_dir, { recursive: true, force: true });
  expect([code, err]).toEqual([1, `gateway.bind can't be opened: ${bind} is in use by another program`]);
});

test("a check refuses what a start would", async () => {
  const { err, code } = await start(["--check"], { LAKEHOUSE_GATEWAY_BIND: "0.0.0.0:0" });
  expect(code).toBe(1);
  expect(err).toStartWith("gateway.bind reaches beyond this machine");
});

test("a key for a scope that is none is not made", async () => {
  const { out, err, code } = await start(["key", "create", "--name", "a", "--scopes", "sql:read"]);
  expect([code, out]).toEqual([1, ""]);
  expect(err).toContain('the scope "sql:read" of "a" names no service');
});

test.each<[string, string[], Record<string, string>, RegExp]>([
  [
    "a bind beyond this machine without a key",
    [],
    { LAKEHOUSE_GATEWAY_BIND: "0.0.0.0:0" },
    /^gateway\.bind reaches beyond this machine \(got "0\.0\.0\.0:0"\) and no key is configured; make one with: /,
  ],
  [
    "a forwarded service that needs a mounted one",
    [],
    { LAKEHOUSE_GATEWAY_QUERYD_URL: "http://127.0.0.1:9" },
    /^gateway\.queryd_url forwards to a queryd that needs catalogd, which is mounted here/,
  ],
  [
    "a service at a port that nobody can know",
    ["gateway"],
    { LAKEHOUSE_STORAGED_BIND: "127.0.0.1:0" },
    /^gateway\.storaged_url must be set, since storaged\.bind takes a free port/,
  ],
  ["a file that is not there", ["--config", "nowhere.toml"], {}, /^--config names a file that is not there/],
  [
    "an unknown target",
    ["storagedd"],
    {},
    /^unknown target "storagedd" \(did you mean "storaged"\?\)\nusage: /,
  ],
  ["a second target", ["storaged", "queryd"], {}, /^one target at a time \(got storaged queryd\)\nusage: /],
  [
    "a key without scopes",
    ["key", "create", "--name", "bot"],
    {},
    /^key create needs a --name .* --scopes\n/,
  ],
  ["an unknown option", ["--prot", "1"], {}, /^Unknown option '--prot'/],
  ["an unknown setting", [], { LAKEHOUSE_GATEWAY_PORT: "1" }, /names no setting/],
])("%s is refused", async (_what, args, env, line) => {
  const { out, err, code } = await start(args, env);
  expect([code, out]).toEqual([1, ""]);
  expect(err).toMatch(line);
  expect(err).not.toContain("    at ");
});

test("--check validates the file and exits, opening nothing", async () => {
  const good = await start(["--check"], {}, { "lakehouse.toml": "[gateway]\nwitness = false\n" });
  expect([good.code, good.out]).toEqual([0, "configuration ok"]);
  const bad = await start(["--check"], {}, { "lakehouse.toml": "[gateway]\nwitness = 1\n" });
  expect([bad.code, bad.err]).toEqual([1, "gateway.witness must be true or false (got 1)"]);
  const broken = await start(["--check"], {}, { "lakehouse.toml": "[gateway]\nwitness = = 1\n" });
  expect([broken.code, broken.err]).toEqual([
    1,
    "lakehouse.toml, line 2, column 11: not valid TOML: invalid value",
  ]);
});

test("--help and --version answer and exit", async () => {
  const help = await start(["--help"]);
  expect([help.code, help.err]).toEqual([0, ""]);
  expect(help.out).toStartWith("usage: npm start -- [TARGET]");
  for (const word of ["gateway", "matrixd", "lakehouse.toml", "--config PATH", "LAKEHOUSE_<SECTION>_<KEY>"])
    expect(help.out).toContain(word);
  const version = await start(["--version"]);
  expect([version.code, version.out]).toEqual([0, packageJson.version]);
});

test("a new key's config line opens what it names", async () => {
  const { out, code } = await start(["key", "create", "--name", "bot", "--scopes", "observerd:read"]);
  expect(code).toBe(0);
  const key = /^key +(lh_bot_\S+)$/m.exec(out)?.[1] as string;
  const toml = out.slice(out.indexOf("[[keys]]")).replace(/^ +/gm, "");
  const { parseConfig } = await import("../../src/config.ts");
  const { KeyRing } = await import("../../src/shared/keys.ts");
  const ring = new KeyRing(parseConfig(toml, {}).keys, "lhs_x");
  const headers = new Headers({ authorization: `Bearer ${key}` });
  expect(ring.authorize(headers, "observerd:read").name).toBe("bot");
  expect(() => ring.authorize(headers, "observerd:write")).toThrow();
});
