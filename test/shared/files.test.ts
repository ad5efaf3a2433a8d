import { afterAll, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { DurableTree, makeDirectory } from "../../src/shared/files.ts";

const scratch = mkdtempSync(join(tmpdir(), "lakehouse-files-"));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

async function newTree(): Promise<{ root: string; tree: DurableTree; touch(path: string): Promise<string> }> {
  const root = join(mkdtempSync(join(scratch, "t-")), "root");
  await makeDirectory(root);
  const tree = new DurableTree(root);
  const touch = async (path: string) => {
    await (await tree.create(join(root, path))).close();
    return dirname(join(root, path));
  };
  return { root, tree, touch };
}

describe("a durable tree", () => {
  test("makes the directories a file needs, again where a hand has removed them", async () => {
    const { root, touch } = await newTree();
    await touch("a/b/one");
    rmSync(join(root, "a"), { recursive: true });
    await touch("a/b/two");
    expect(existsSync(join(root, "a/b/two"))).toBe(true);
  });

  test("makes a file once, and none beneath a file", async () => {
    const { touch } = await newTree();
    await touch("a/file");
    await expect(touch("a/file")).rejects.toMatchObject({ code: "EEXIST" });
    await expect(touch("a/file/beneath")).rejects.toThrow();
    await expect(touch("a/file/far/beneath")).rejects.toThrow();
  });

  test("prunes what is empty, up to what is not, and never its root", async () => {
    const { root, tree, touch } = await newTree();
    await touch("a/kept");
    const deep = await touch("a/b/c/file");
    tree.prune(deep);
    expect(existsSync(deep)).toBe(true);
    rmSync(join(deep, "file"));
    tree.prune(deep);
    expect(existsSync(join(root, "a/b"))).toBe(false);
    expect(existsSync(join(root, "a/kept"))).toBe(true);
    rmSync(join(root, "a/kept"));
    tree.prune(join(root, "a"));
    expect(existsSync(root)).toBe(true);
    tree.prune(root);
    tree.prune(dirname(root));
    expect(existsSync(root)).toBe(true);
  });

  test("syncs the directory that is left where one was pruned meanwhile", async () => {
    const { root, tree, touch } = await newTree();
    const gone = await touch("a/b/file");
    rmSync(join(root, "a"), { recursive: true });
    await tree.sync(gone);
    rmSync(root, { recursive: true });
    await expect(tree.sync(gone)).rejects.toMatchObject({ code: "ENOENT" });
  });

  test("answers every one of many who wait for the same directory", async () => {
    const { tree, touch } = await newTree();
    const directory = await touch("a/file");
    await Promise.all(Array.from({ length: 200 }, () => tree.sync(directory)));
    await tree.sync(directory);
  });
});

test("a directory is made below a file that is in the way: never", async () => {
  const file = join(scratch, "in-the-way");
  writeFileSync(file, "");
  await expect(makeDirectory(join(file, "a/b"))).rejects.toThrow();
  mkdirSync(join(scratch, "there"));
  await makeDirectory(join(scratch, "there"));
});
