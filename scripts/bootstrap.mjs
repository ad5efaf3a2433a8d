/**
 * Runs `bun <arguments>` with the Bun of node_modules, and installs node_modules first where it is
 * missing or does not match the lockfile. Plain JavaScript, since it runs before anything is there:
 * under Node 20 or later with npm, or under Bun alone (`bun run` lends its own `node`).
 */
import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import { basename, dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const MODULES = join(ROOT, "node_modules");
const LOCKFILE = join(ROOT, "package-lock.json");
/** Written when an install is whole: the lockfile's digest, then the path of the Bun that runs here. */
const STAMP = join(MODULES, ".lakehouse");
const INSTALL_LOCK = join(ROOT, ".installing");
const INSTALL_WAIT_MS = 600_000;
const LOOK_AGAIN_MS = 200;
const PARENT_LOOK_MS = 250;
const SIGNALS = ["SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT", "SIGUSR2"];
const LOWEST_NODE = 20;

const digest = createHash("sha256").update(fs.readFileSync(LOCKFILE)).digest("hex");
try {
  if (Number.parseInt(process.versions.node, 10) < LOWEST_NODE)
    throw new Error(`Node ${LOWEST_NODE} or later is needed (this is ${process.versions.node}).`);
  run(installedBun() ?? (await alone(() => installedBun() ?? install())), process.argv.slice(2));
} catch (error) {
  console.error(error.message);
  process.exit(1);
}

/** The Bun of an install that matches the lockfile. */
function installedBun() {
  const [of, path] = read(STAMP).split("\n");
  const bun = join(ROOT, path ?? "");
  return of === digest && fs.existsSync(bun) ? bun : undefined;
}

function install() {
  if (!matchesLockfile()) {
    const [command, ...args] = installer();
    console.error(`Installing the packages of package-lock.json (${basename(command)}) …`);
    // Standard output belongs to what is run afterwards, whose first line may be read by a program.
    const { status, error } = spawnSync(command, args, { cwd: ROOT, stdio: ["ignore", 2, 2] });
    if (status !== 0)
      throw new Error(`The install failed${error ? `: ${error.message}` : `, with exit code ${status}`}.`);
  }
  const bun = findBun();
  linkForTools(bun);
  fs.writeFileSync(STAMP, `${digest}\n${relative(ROOT, bun)}\n`);
  return bun;
}

/** Whether npm itself has already installed exactly this lockfile: it leaves its own copy when it is done. */
function matchesLockfile() {
  const hidden = read(join(MODULES, ".package-lock.json"));
  if (hidden === "") return false;
  const have = JSON.parse(hidden).packages;
  const want = Object.entries(JSON.parse(read(LOCKFILE)).packages).filter(([path]) => path !== "");
  return want.every(
    ([path, { version, optional }]) => (have[path]?.version ?? (optional && version)) === version,
  );
}

/** npm where there is one, else Bun; both install exactly the lockfile, or nothing, and run no package's script. */
function installer() {
  const npm = process.env.npm_execpath ?? "";
  const npm_args = ["ci", "--ignore-scripts", "--no-audit", "--no-fund"];
  const bun_args = ["install", "--frozen-lockfile", "--ignore-scripts"];
  if (process.versions.bun) return [process.execPath, ...bun_args];
  if (/^npm(-cli)?\.c?js$/.test(basename(npm))) return [process.execPath, npm, ...npm_args];
  if (works("npm")) return ["npm", ...npm_args];
  if (works("bun")) return ["bun", ...bun_args];
  throw new Error("Neither npm nor bun was found; install Node 20 or later, or Bun, and try again.");
}

/** The package of this platform; there may be several (glibc and musl), of which one runs. */
function findBun() {
  const vendor = join(MODULES, "@oven");
  const packages = fs.existsSync(vendor) ? fs.readdirSync(vendor) : [];
  const places = packages.flatMap((name) =>
    ["bun", "bun.exe"].map((file) => join(vendor, name, "bin", file)),
  );
  places.push(join(MODULES, "bun", "bin", "bun.exe"));
  const bun = places.find((place) => fs.existsSync(place) && works(place));
  if (!bun)
    throw new Error(
      `No Bun for ${process.platform}-${process.arch} was installed; delete node_modules and try again.`,
    );
  return bun;
}

function works(command) {
  return spawnSync(command, ["--version"], { stdio: "ignore" }).status === 0;
}

/** `node_modules/.bin/bun`, which the package's own install script would have put in place. */
function linkForTools(bun) {
  for (const name of ["bun.exe", "bunx.exe"]) {
    const place = join(MODULES, "bun", "bin", name);
    if (place === bun || sameFile(place, bun)) continue;
    const aside = `${place}.${process.pid}`;
    try {
      fs.linkSync(bun, aside);
    } catch {
      fs.copyFileSync(bun, aside);
    }
    fs.renameSync(aside, place);
  }
}

function sameFile(a, b) {
  return fs.existsSync(a) && fs.statSync(a).ino === fs.statSync(b).ino;
}

/** One install at a time, so that two commands started together on a fresh clone don't undo each other's. */
async function alone(work) {
  const give_up_ms = Date.now() + INSTALL_WAIT_MS;
  while (!takeLock()) {
    if (Date.now() > give_up_ms)
      throw new Error(`Another install is under way; if not, delete ${INSTALL_LOCK}.`);
    await new Promise((wake) => setTimeout(wake, LOOK_AGAIN_MS));
  }
  try {
    return work();
  } finally {
    fs.rmSync(INSTALL_LOCK, { force: true });
  }
}

function takeLock() {
  try {
    fs.writeFileSync(INSTALL_LOCK, String(process.pid), { flag: "wx" });
    return true;
  } catch (error) {
    if (error.code !== "EEXIST") throw error;
    const holder = Number(read(INSTALL_LOCK));
    if (holder > 0 && !isAlive(holder)) fs.rmSync(INSTALL_LOCK, { force: true });
    return false;
  }
}

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === "EPERM";
  }
}

function read(path) {
  try {
    return fs.readFileSync(path, "utf8");
  } catch (error) {
    if (error.code === "ENOENT") return "";
    throw error;
  }
}

/** Signals go in, the exit code or the signal that ended it comes out. */
function run(bun, args) {
  const child = spawn(bun, args, { stdio: "inherit" });
  for (const signal of SIGNALS) process.on(signal, () => child.kill(signal));
  if (process.env.npm_lifecycle_event) stopWithParent(child);
  child.on("error", (error) => {
    console.error(`${bun} did not start: ${error.message}`);
    process.exit(1);
  });
  child.on("exit", (code, signal) => {
    if (signal === null) process.exit(code);
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  });
}

/** npm passes a SIGTERM on to the shell between us, which dies of it without telling us. */
function stopWithParent(child) {
  const parent = process.ppid;
  const watch = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(watch);
    child.kill("SIGTERM");
  }, PARENT_LOOK_MS);
}
