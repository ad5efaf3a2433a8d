/** What a change must pass: `npm run check`, or some of its steps by name (`npm run lint`). */
import { resolve } from "node:path";

const ROOT = resolve(import.meta.dir, "..");
const bin = (name: string) => resolve(ROOT, "node_modules/.bin", name);
/** Bun's own 5 s are a matter of the machine's pace, which is no test. */
const bun_test = [process.execPath, "test", "--timeout", "60000"];

const steps: Record<string, string[]> = {
  format: [bin("biome"), "format"],
  lint: [bin("biome"), "lint", "--error-on-warnings"],
  types: [bin("tsc"), "--noEmit"],
  tidy: [...bun_test, "./test/tidy.test.ts", "./test/package.test.ts"],
  tests: [...bun_test, "--path-ignore-patterns=test/smoke/**", "--path-ignore-patterns=test/interop/**"],
};

const asked = process.argv.slice(2);
const unknown = asked.filter((name) => !Object.hasOwn(steps, name));
if (unknown.length > 0) {
  console.error(`no step is called ${unknown.join(", ")} (there are: ${Object.keys(steps).join(", ")})`);
  process.exit(1);
}

// The tests hold the tidy step's files too, so a run of everything need not do them twice.
const chosen = asked.length > 0 ? asked : Object.keys(steps).filter((name) => name !== "tidy");
const failed: string[] = [];
for (const name of chosen) {
  console.log(`\n── ${name}`);
  const { exitCode } = Bun.spawnSync(steps[name] as string[], {
    cwd: ROOT,
    stdio: ["ignore", "inherit", "inherit"],
  });
  if (exitCode !== 0) failed.push(name);
}
console.log(failed.length === 0 ? `\nAll well: ${chosen.join(", ")}` : `\nFailed: ${failed.join(", ")}`);
process.exit(failed.length === 0 ? 0 : 1);
