/** An index's folder put in another's place, and killed at each system call on the way: it is the old one or the new. */
import { expect, test } from "bun:test";
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { openRoot } from "../../src/services/vectord/folders.ts";
import { testWithStrace } from "../support/strace.ts";

const FOLDERS = resolve(import.meta.dir, "../../src/services/vectord/folders.ts");
const CALLS = "rename,fsync,unlink,unlinkat,rmdir";
const MOST_CALLS = 40;

function inRoot<T>(work: (root: string) => T): T {
  const root = mkdtempSync(join(tmpdir(), "lakehouse-install-"));
  try {
    return work(root);
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

function put(root: string, folder: string, content: string): void {
  mkdirSync(join(root, folder));
  writeFileSync(join(root, folder, "items.sqlite"), content);
}

const contentOf = (root: string, name: string) => readFileSync(join(root, name, "items.sqlite"), "utf8");

for (const is_there of [true, false])
  testWithStrace(
    `${is_there ? "over an index" : "where there was none"}`,
    async () => {
      const seen = new Set<string>();
      for (let when = 1; when <= MOST_CALLS; when++) {
        const was_killed = inRoot((root) => {
          if (is_there) put(root, "a", "old");
          put(root, ".moving-1", "new");
          const script = `import { installFolder } from ${JSON.stringify(FOLDERS)}; const [root] = process.argv.slice(-1); installFolder(root, root + "/.moving-1", "a");`;
          const { exitCode, signalCode } = Bun.spawnSync([
            ...[
              "strace",
              "-f",
              "-qq",
              "-o",
              "/dev/null",
              "-P",
              root,
              "-P",
              join(root, "a"),
              "-P",
              join(root, ".next-a"),
            ],
            ...["-P", join(root, ".moving-1")],
            ...["-e", `trace=${CALLS}`, "-e", `inject=${CALLS}:signal=SIGKILL:when=${when}`],
            ...[process.execPath, "-e", script, root],
          ]);
          const [name, ...others] = openRoot(root);
          expect([name, ...others].filter((it) => it !== undefined)).toEqual(name === undefined ? [] : ["a"]);
          expect(readdirSync(root)).toEqual(name === undefined ? [] : ["a"]);
          if (is_there) expect(name).toBe("a");
          seen.add(name === undefined ? "none" : contentOf(root, "a"));
          const ended = exitCode === 0;
          if (ended) expect(contentOf(root, "a")).toBe("new");
          else expect(signalCode === "SIGKILL" || exitCode === 137).toBe(true);
          return !ended;
        });
        if (!was_killed) break;
        expect(when).toBeLessThan(MOST_CALLS);
      }
      expect([...seen].sort()).toEqual(is_there ? ["new", "old"] : ["new", "none"]);
    },
    120_000,
  );

test("a start ends what was begun, removes what was not, and follows no link", () => {
  inRoot((root) => {
    put(root, "a", "old");
    put(root, ".next-a", "new");
    put(root, ".next-b", "new");
    put(root, ".gone-1", "old");
    put(root, ".moving-1", "half");
    inRoot((elsewhere) => {
      put(elsewhere, "c", "not ours");
      symlinkSync(join(elsewhere, "c"), join(root, "c"));
      symlinkSync(join(elsewhere, "c"), join(root, ".next-d"));
      expect(openRoot(root)).toEqual(["a", "b"]);
      expect([contentOf(root, "a"), contentOf(root, "b"), contentOf(elsewhere, "c")]).toEqual([
        "old",
        "new",
        "not ours",
      ]);
    });
  });
});
