/** Other people's programs that benchmarks compare with: installed when first needed, and kept for the next run. */
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const LIMIT_MS = 5 * 60_000;

/** What follows an option on the command line; undefined where the option is not there. */
export function option(name: string): string | undefined {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? undefined : process.argv[at + 1];
}

/** @returns the folder of a package of npm, @throws Error with npm's words */
export async function npmPackage(name: string, version: string): Promise<string> {
  const folder = await installed(`${name}@${version}`, async (into) => {
    writeFileSync(join(into, "package.json"), '{"private": true}');
    await succeed(["npm", "install", "--no-audit", "--no-fund", `${name}@${version}`], into);
  });
  return join(folder, "node_modules", name);
}

/** @returns the folder of a virtual environment of Python that holds the package @throws Error with pip's words */
export async function pythonPackage(name: string, version: string): Promise<string> {
  return installed(`${name}-${version}`, async (into) => {
    await succeed(["python3", "-m", "venv", "--clear", into], tmpdir());
    await succeed([join(into, "bin", "pip"), "install", "--quiet", `${name}==${version}`], into);
  });
}

/** The folder is kept under `--peers FOLDER`, or where temporary files are; a half-made one is made again. */
async function installed(name: string, install: (into: string) => Promise<void>): Promise<string> {
  const folder = join(option("peers") ?? join(tmpdir(), "lakehouse-bench-peers"), name.replaceAll("/", "_"));
  const whole = join(folder, "installed");
  if (existsSync(whole)) return folder;
  console.error(`installing ${name}`);
  mkdirSync(folder, { recursive: true });
  await install(folder);
  writeFileSync(whole, "");
  return folder;
}

async function succeed(command: string[], cwd: string): Promise<void> {
  const child = Bun.spawn(["nice", "-n", "10", ...command], {
    cwd,
    stdout: "ignore",
    stderr: "pipe",
    timeout: LIMIT_MS,
  });
  const said = await new Response(child.stderr).text();
  if ((await child.exited) !== 0) throw new Error(`${command.join(" ")}: ${said.trim().slice(-500)}`);
}
