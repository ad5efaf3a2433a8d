/** README.md's first hour and the documents' commands are run as they stand; the table of settings is the schema's. */
import { expect, test } from "bun:test";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { withConfigTable } from "../scripts/config_table.ts";
import { inBothCompositions, startHouse } from "./support/house.ts";
import { ROOT, read, repositoryFiles } from "./support/source.ts";

const HOUR_WAIT_MS = 60_000;
const ADDRESS = "http://127.0.0.1:3210";
const BLOCK_END = "--- end of a block ---";

test("the table of settings is what the schema says: after a change, run bun scripts/config_table.ts", () => {
  const readme = read("README.md");
  expect(withConfigTable(readme)).toBe(readme);
});

test("every decision is in the index, by its title", () => {
  const index = read("docs/decisions/README.md");
  const notes = repositoryFiles().filter((path) => /^docs\/decisions\/\d{4}-/.test(path));
  const missing = notes.filter((path) => {
    const title = /^# (.*)$/m.exec(read(path))?.[1];
    return !index.includes(`(${path.slice("docs/decisions/".length)}) | ${title} |`);
  });
  expect(notes.length).toBeGreaterThan(3);
  expect(missing).toEqual([]);
});

test("every smoke is in its index", () => {
  const index = read("test/smoke/README.md");
  const smokes = repositoryFiles().flatMap((path) => /^test\/smoke\/(\w+)\.test\.ts$/.exec(path)?.[1] ?? []);
  expect(smokes.filter((name) => !index.includes(`| \`${name}\` |`))).toEqual([]);
});

test("every file that a document points to is there", () => {
  const documents = repositoryFiles().filter((path) => path.endsWith(".md"));
  const broken = documents.flatMap((document) =>
    [...read(document).matchAll(/\]\((?!https?:)([^)#]+)/g)]
      .map(([, target]) => target as string)
      .filter((target) => !existsSync(resolve(ROOT, dirname(document), target)))
      .map((target) => `${document}: ${target}`),
  );
  expect(broken).toEqual([]);
});

inBothCompositions("the first hour", (start) => {
  test(
    "works as it stands",
    async () => {
      const { url } = await start();
      const blocks = firstHour();
      expect(blocks.length).toBeGreaterThan(8);
      const script = blocks.map(({ code }) => `${code}\nprintf '\\n%s\\n' '${BLOCK_END}'`).join("\n");
      const child = Bun.spawn(
        ["bash", "-u", "-c", `curl() { command curl -sS "$@"; }\n${script.replaceAll(ADDRESS, url)}`],
        {
          cwd: ROOT,
          stdio: ["ignore", "pipe", "pipe"],
        },
      );
      const [stdout, stderr] = await Promise.all([
        new Response(child.stdout).text(),
        new Response(child.stderr).text(),
      ]);
      expect(stderr).toBe("");
      const outputs = stdout.split(BLOCK_END);
      for (const [at, { promises }] of blocks.entries())
        for (const promise of promises) expect(outputs[at]).toContain(promise);
    },
    HOUR_WAIT_MS,
  );
});

test("every metric is told in docs/operating.md", async () => {
  const house = await startHouse("mounted");
  try {
    const text = await (await fetch(`${house.url}/metrics`)).text();
    const names = [...text.matchAll(/^# HELP lakehouse_(\w+)/gm)].map(([, name]) => name as string);
    expect(names.length).toBeGreaterThan(20);
    expect(names.filter((name) => !read("docs/operating.md").includes(`\`${name}\``))).toEqual([]);
  } finally {
    await house.stop();
    rmSync(house.data_dir, { recursive: true, force: true });
  }
});

for (const document of ["docs/vectors.md", "docs/memory.md", "docs/retrieval.md"])
  test(
    `the commands of ${document} work, one after the other, on a new lake`,
    async () => {
      const house = await startHouse("mounted");
      const folder = mkdtempSync(join(tmpdir(), "lakehouse-document-"));
      try {
        const blocks = [...read(document).matchAll(/^```sh\n([\s\S]*?)^```$/gm)].map(([, code]) => code);
        expect(blocks.length).toBeGreaterThan(0);
        const script = blocks.join("\n").replaceAll("localhost:3210", new URL(house.url).host);
        const curl = 'curl() { command curl --fail-with-body -w "\\n" "$@" || echo "refused: $*"; }';
        const child = Bun.spawn(["bash", "-u", "-c", `${curl}\n${script}`], { cwd: folder, stderr: "pipe" });
        const output = await new Response(child.stdout).text();
        expect(output.split("\n").filter((line) => /^refused|urn:lakehouse:problem/.test(line))).toEqual([]);
        expect([await child.exited, await new Response(child.stderr).text()]).toEqual([0, ""]);
      } finally {
        await house.stop();
        for (const made of [folder, house.data_dir]) rmSync(made, { recursive: true, force: true });
      }
    },
    HOUR_WAIT_MS,
  );

/** The shell blocks of the first hour, with what each promises to show. */
function firstHour(): { code: string; promises: string[] }[] {
  const chapter = /^## A first hour$([\s\S]*?)^## /m.exec(read("README.md"))?.[1] ?? "";
  return [...chapter.matchAll(/^```sh\n([\s\S]*?)^```$/gm)].map(([, code = ""]) => ({
    code,
    promises: [...code.matchAll(/^# → (.*)$/gm)].map(([, promise]) => promise as string),
  }));
}
