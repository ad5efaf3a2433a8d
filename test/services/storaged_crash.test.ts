/** What a kill, a full disk or a failing one leaves: the old object or the new one, whole, and nothing else. */
import { afterAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { LocalStore } from "../../src/services/storaged/local.ts";
import { treeOf } from "../support/tree.ts";

const WRITER = resolve(import.meta.dir, "../support/store_writer.ts");
const PART = "new ".repeat(16_384);
const NEW = PART.repeat(4);
const STEPS = [
  `replace:old/k:${PART}:4`,
  `create:fresh/er/k:${PART}:4`,
  `replace:warehouse/t/k:${PART}:4`,
  "remove:old/gone",
];

const scratch = mkdtempSync(join(tmpdir(), "lakehouse-crash-"));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

async function* chunks(text: string) {
  yield Buffer.from(text);
}

async function newRoot(): Promise<string> {
  const root = join(mkdtempSync(join(scratch, "data-")), "storage");
  const store = await LocalStore.open(root, 0);
  for (const key of ["old/k", "old/gone"]) await store.replace(key, chunks("old"));
  await store.close();
  return root;
}

/** Runs the writer under a command; answers what it acknowledged. */
async function write(
  root: string,
  steps: string[],
  under: string[] = [],
): Promise<{ said: string; killed: boolean }> {
  const writer = Bun.spawn([...under, process.execPath, WRITER, root, ...steps], {
    stdout: "pipe",
    stderr: "pipe",
  });
  const said = await new Response(writer.stdout).text();
  const code = await writer.exited;
  if (code !== 0 && code !== 137 && writer.signalCode !== "SIGKILL")
    throw new Error(`the writer ended with ${code}: ${await new Response(writer.stderr).text()}`);
  return { said, killed: code !== 0 };
}

async function textOf(store: LocalStore, key: string): Promise<string | undefined> {
  try {
    return await new Response((await store.read(key)).body).text();
  } catch (error) {
    if ((error as { code?: string }).code === "not_found") return undefined;
    throw error;
  }
}

/** Opens the store as the next process would, and judges what it finds. */
async function judge(root: string, said: string): Promise<void> {
  const store = await LocalStore.open(root, 0);
  const expected: Record<string, [before: string | undefined, after: string | undefined]> = {
    "old/k": ["old", NEW],
    "fresh/er/k": [undefined, NEW],
    "warehouse/t/k": [undefined, NEW],
    "old/gone": ["old", undefined],
  };
  const found: string[] = [];
  for (const [key, [before, after]] of Object.entries(expected)) {
    const text = await textOf(store, key);
    if (said.includes(`done ${key}\n`)) expect(text === after).toBe(true);
    else expect(text === before || text === after).toBe(true);
    if (text !== undefined) found.push(key);
  }
  const files = treeOf(root).filter((it) => !it.endsWith("/") && it !== "lock");
  expect(files).toHaveLength(found.length);
  expect(files.filter((it) => /t_|tmp/.test(it))).toEqual([]);
  const directories = treeOf(root).filter((it) => /^(objects|warehouse)\/./.test(it) && it.endsWith("/"));
  for (const it of directories) expect(files.some((file) => file.startsWith(it))).toBe(true);
  await store.close();
}

describe.skipIf(Bun.which("strace") === null)("killed at a system call", () => {
  // How many of each a run of the steps makes, a few past the last.
  for (const [call, most] of [
    ["fsync", 16],
    ["/^rename", 3],
    ["/^link", 2],
    ["/^unlink", 3],
    ["/^utimensat", 4],
    ["/^mkdir", 6],
    ["/^rmdir", 1],
  ] as const)
    test(`${call.replace("/^", "")}: whole objects, no temporaries`, async () => {
      let kills = 0;
      for (let when = 1; when <= most; when++) {
        const root = await newRoot();
        const { said, killed } = await write(root, STEPS, [
          ...["strace", "-f", "-qq", "-o", "/dev/null", "-e", `trace=${call}`],
          ...["-e", `inject=${call}:signal=SIGKILL:when=${when}`],
        ]);
        await judge(root, said);
        if (killed) kills++;
      }
      expect(kills).toBeGreaterThan(0);
    }, 60_000);

  test("an object is synced before it has its name, and its name before the acknowledgement", async () => {
    const root = await newRoot();
    const trace = join(scratch, "order.trace");
    await write(root, STEPS, [
      ...["strace", "-f", "-qq", "-y", "-s", "64", "-o", trace],
      ...["-e", "trace=fsync,fdatasync,/^rename,/^link,/^unlink,write"],
    ]);
    const calls = finishedCalls(readFileSync(trace, "utf8"));
    const at = (pattern: RegExp, from = 0) => {
      const found = calls.findIndex((it, index) => index >= from && pattern.test(it));
      if (found === -1) throw new Error(`no call like ${pattern} from ${from} on`);
      return found;
    };
    for (const [key, directory, publish] of [
      ["old/k", "d_old", "rename"],
      ["fresh/er/k", "d_er", "link"],
      ["warehouse/t/k", "warehouse/t", "rename"],
    ] as const) {
      const named = at(new RegExp(`^${publish}\\w*\\(.*${directory}/`));
      const acknowledged = at(new RegExp(`^write\\(1.*done ${key}`));
      const synced = at(new RegExp(`^fsync\\(\\d+<[^>]*${directory}/(t_|\\.lakehouse-tmp-)`));
      expect(synced).toBeLessThan(named);
      expect(at(new RegExp(`^fsync\\(\\d+<[^>]*${directory}>`), named)).toBeLessThan(acknowledged);
    }
    // Directories that were made are on disk, too, by their parents.
    for (const parent of ["storage/objects", "d_fresh"])
      expect(at(new RegExp(`^fsync\\(\\d+<[^>]*${parent}>`))).toBeLessThan(at(/^write\(1.*done fresh/));
    const gone = at(/^unlink\w*\(.*f_gone/);
    expect(at(/^fsync\(\d+<[^>]*d_old>/, gone)).toBeLessThan(at(/^write\(1.*done old\/gone/));
  }, 30_000);

  for (const errno of ["EIO", "ENOSPC"])
    test(`${errno} on sync: no acknowledgement, whole objects, no temporaries`, async () => {
      const root = await newRoot();
      const keys = Array.from({ length: 40 }, (_, i) => `sync/${i}`);
      // Counted for each thread, so from some object on every sync fails.
      const { said } = await write(
        root,
        keys.map((it) => `create:${it}:whole:1`),
        [
          ...["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=fsync"],
          ...["-e", `inject=fsync:error=${errno}:when=10+`],
        ],
      );
      const done = keys.filter((it) => said.includes(`done ${it}\n`));
      expect(done.length).toBeGreaterThan(0);
      expect(said).toEndWith(`failed sync/39 ${errno === "EIO" ? "EIO" : "unavailable"}\n`);
      const store = await LocalStore.open(root, 0);
      for (const key of keys)
        expect(["whole", done.includes(key) ? "whole" : undefined]).toContain(await textOf(store, key));
      expect(treeOf(root).filter((it) => it.includes("t_"))).toEqual([]);
      await store.close();
    }, 30_000);
});

const CAN_MOUNT = Bun.which("unshare") !== null && Bun.spawnSync(["unshare", "-rm", "true"]).exitCode === 0;

describe.skipIf(!CAN_MOUNT)("a disk of 1 MiB", () => {
  test("refuses what it can't hold with a clear code, and keeps what it held", async () => {
    const disk = join(scratch, "disk");
    mkdirSync(disk);
    const steps = [
      "replace:k:small:1",
      `replace:k:${PART}:64`,
      `create:new/k:${PART}:64`,
      "replace:k2:small:1",
    ];
    const script = `mount -t tmpfs -o size=1m tmpfs "$0" && "$@" && find "$0/storage" -type f -o -type d -empty | sort`;
    const { said } = await write(join(disk, "storage"), steps, ["unshare", "-rm", "sh", "-c", script, disk]);
    expect(said.split("\n")).toEqual([
      "done k",
      "failed k unavailable",
      "failed new/k unavailable",
      "done k2",
      ...["lock", "objects/f_k", "objects/f_k2", "warehouse"].map((it) => join(disk, "storage", it)).sort(),
      "",
    ]);
  }, 30_000);
});

/** strace's lines without their process, calls that were cut in two told at their end. */
function finishedCalls(trace: string): string[] {
  const begun = new Map<string, string>();
  const calls: string[] = [];
  for (const line of trace.split("\n")) {
    const [, pid = "", rest = ""] = /^(\d+) +(.*)$/.exec(line) ?? [];
    const unfinished = /^(.*) <unfinished \.\.\.>$/.exec(rest);
    const resumed = /^<\.\.\. \w+ resumed>(.*)$/.exec(rest);
    if (unfinished) begun.set(pid, unfinished[1] as string);
    else calls.push(resumed ? `${begun.get(pid)}${resumed[1]}` : rest);
  }
  return calls;
}
