import { afterAll, describe, expect, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { MAX_KEY_BYTES } from "../../src/services/storaged/keys.ts";
import { Layout } from "../../src/services/storaged/layout.ts";
import { LocalStore } from "../../src/services/storaged/local.ts";
import { treeOf } from "../support/tree.ts";

const scratch = mkdtempSync(join(tmpdir(), "lakehouse-store-"));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));
const newRoot = () => join(mkdtempSync(join(scratch, "data-")), "storage");

async function* chunks(...parts: (string | Uint8Array)[]): AsyncGenerator<Uint8Array> {
  for (const part of parts) yield typeof part === "string" ? Buffer.from(part) : part;
}

const textOf = async (store: LocalStore, key: string) => new Response((await store.read(key)).body).text();

/** Keys that fold, clash, or are refused on one file system or another, and what is near them. */
const segment = fc.oneof(
  fc.constantFrom("a", "A", "b", "é", "é", "ﬁ", "fi", "ß", "SS", "con", "CON.txt", "nul", "aux."),
  fc.constantFrom(
    "x.",
    "x ",
    " x",
    "...",
    "~",
    "t_1",
    "f_a",
    "d_a",
    "c_a",
    "=41",
    "+a",
    "%41",
    "lock",
    "objects",
  ),
  fc.constantFrom(
    "warehous",
    "Warehouse",
    "warehouse",
    ".lakehouse-tmp-1",
    "a\nb",
    "\u0001",
    "😀",
    "\u202e",
    "x:y*?",
  ),
  fc.constantFrom(
    "n".repeat(240),
    "n".repeat(241),
    "N".repeat(130),
    "é".repeat(60),
    `${"n".repeat(239)}.`,
    `${"n".repeat(239)}.z`,
  ),
  fc.string({ unit: "binary", minLength: 1, maxLength: 12 }),
);
const key = fc
  .array(segment, { minLength: 1, maxLength: 4 })
  .map((it) => it.join("/"))
  .filter((it) => isKey(it) && !it.startsWith("warehouse/"));

function isKey(text: string): boolean {
  const parts = text.split("/");
  if (!text.isWellFormed() || /[\0\\\ufffd]/.test(text) || Buffer.byteLength(text) > MAX_KEY_BYTES)
    return false;
  return parts.every((it) => it !== "" && it !== "." && it !== "..");
}

/** What the most folding of file systems makes of a path. */
const folded = (path: string) => path.normalize("NFKD").toLowerCase();

describe("the layout", () => {
  test("gives no two keys paths that any file system takes for one", () => {
    const layout = new Layout("/lake");
    fc.assert(
      fc.property(key, key, (a, b) => {
        fc.pre(a !== b);
        const [one, other] = [folded(layout.pathOf(a)), folded(layout.pathOf(b))];
        expect(one).not.toBe(other);
        // A file can't be another's directory.
        expect(one.startsWith(`${other}/`)).toBe(false);
      }),
      { numRuns: 5000 },
    );
  });

  test("makes names that every file system takes", () => {
    const layout = new Layout("/lake");
    fc.assert(
      fc.property(key, (it) => {
        const path = layout.pathOf(it);
        expect(path.startsWith("/lake/objects/")).toBe(true);
        for (const name of path.split("/").slice(3))
          expect(name).toMatch(/^[fdc]_[a-z0-9_.=+-]{0,252}(?<!\.)$/);
        expect(path.length).toBeLessThan(3700);
      }),
      { numRuns: 2000 },
    );
  });
});

describe("the local store", () => {
  test("does as a map does, whatever the keys", async () => {
    const order = (a: string, b: string) => Buffer.compare(Buffer.from(a), Buffer.from(b));
    const action = fc.oneof(
      { weight: 4, arbitrary: fc.record({ do: fc.constant("put" as const), key, value: fc.string() }) },
      { weight: 2, arbitrary: fc.record({ do: fc.constant("create" as const), key, value: fc.string() }) },
      { weight: 2, arbitrary: fc.record({ do: fc.constant("remove" as const), key }) },
      {
        weight: 1,
        arbitrary: fc.record({
          do: fc.constant("list" as const),
          key,
          cut: fc.nat(8),
          limit: fc.integer({ min: 1, max: 5 }),
          delimiter: fc.constantFrom("", "/", "a", "é"),
        }),
      },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(action, { maxLength: 40 }), async (actions) => {
        const root = newRoot();
        const store = await LocalStore.open(root, 0);
        const model = new Map<string, string>();
        for (const it of actions) {
          if (it.do === "put") {
            const { created } = await store.replace(it.key, chunks(it.value));
            expect(created).toBe(!model.has(it.key));
            model.set(it.key, it.value);
          } else if (it.do === "create") {
            const done = store.create(it.key, chunks(it.value));
            if (model.has(it.key)) await expect(done).rejects.toMatchObject({ code: "precondition_failed" });
            else model.set(it.key, it.value);
            await done.catch(() => {});
          } else if (it.do === "remove") {
            await store.remove(it.key);
            model.delete(it.key);
          } else await sameList(store, model, it.key.slice(0, it.cut), it.delimiter, it.limit);
        }
        for (const [key, value] of model) expect(await textOf(store, key)).toBe(value);
        await sameList(store, model, "", "", 1000);
        for (const key of [...model.keys()].sort(order)) await store.remove(key);
        expect(treeOf(root)).toEqual(["lock", "objects/", "warehouse/"]);
        await store.close();
        rmSync(root, { recursive: true });
      }),
      { numRuns: 60 },
    );
  }, 60_000);

  async function sameList(
    store: LocalStore,
    model: Map<string, string>,
    prefix: string,
    delimiter: string,
    limit: number,
  ) {
    if (!prefix.isWellFormed()) return;
    const expected = new Set<string>();
    for (const it of model.keys()) {
      if (!it.startsWith(prefix)) continue;
      const at = delimiter === "" ? -1 : it.indexOf(delimiter, prefix.length);
      expected.add(at === -1 ? `key ${it}` : `prefix ${it.slice(0, at + delimiter.length)}`);
    }
    const seen: string[] = [];
    for (let cursor: string | undefined, pages = 0; ; pages++) {
      expect(pages).toBeLessThanOrEqual(expected.size);
      const page = await store.list({ prefix, delimiter, limit, cursor });
      const found = [
        ...page.objects.map((it) => `key ${it.key}`),
        ...page.prefixes.map((it) => `prefix ${it}`),
      ];
      expect(found.length).toBeLessThanOrEqual(limit);
      seen.push(...found);
      if (page.next_cursor === null) break;
      cursor = page.next_cursor;
    }
    const bytes = (it: string) => Buffer.from(it.slice(it.indexOf(" ") + 1));
    const sorted = [...expected].sort((a, b) => Buffer.compare(bytes(a), bytes(b)));
    // Within a page objects and prefixes stand apart, so only pages of one show the common order.
    if (limit === 1 || delimiter === "") expect(seen).toEqual(sorted);
    else expect(seen.sort()).toEqual(sorted.sort());
  }

  test("goes on from a cursor while keys come and go", async () => {
    const store = await LocalStore.open(newRoot(), 0);
    for (const it of ["a", "b/1", "b/2", "c", "d"]) await store.replace(it, chunks(it));
    const first = await store.list({ prefix: "", delimiter: "", limit: 2, cursor: undefined });
    expect(first.objects.map((it) => it.key)).toEqual(["a", "b/1"]);
    await store.remove("b/1");
    await store.remove("c");
    for (const it of ["A", "b/11"]) await store.replace(it, chunks(it));
    const cursor = first.next_cursor ?? undefined;
    const second = await store.list({ prefix: "", delimiter: "", limit: 10, cursor });
    expect(second.objects.map((it) => it.key)).toEqual(["b/11", "b/2", "d"]);
    await store.close();
  });

  test("lists the lake's keys among the others, in one order", async () => {
    const store = await LocalStore.open(newRoot(), 0);
    const keys = ["wa", "warehouse", "warehouse-2", "warehouse/t/1", "warehouse/t.x", "warehouse0", "x"];
    for (const it of keys.toReversed()) await store.replace(it, chunks(it));
    const list = async (prefix: string, delimiter = "") => {
      const page = await store.list({ prefix, delimiter, limit: 100, cursor: undefined });
      return [...page.objects.map((it) => it.key), ...page.prefixes];
    };
    expect(await list("")).toEqual([
      "wa",
      "warehouse",
      "warehouse-2",
      "warehouse/t.x",
      "warehouse/t/1",
      "warehouse0",
      "x",
    ]);
    expect(await list("warehouse/")).toEqual(["warehouse/t.x", "warehouse/t/1"]);
    expect(await list("ware", "/")).toEqual(["warehouse", "warehouse-2", "warehouse0", "warehouse/"]);
    expect(await list("warehouse/t", "/")).toEqual(["warehouse/t.x", "warehouse/t/"]);
    await store.close();
  });

  test("serves no link that was put in its place", async () => {
    const root = newRoot();
    const store = await LocalStore.open(root, 0);
    const secret = join(scratch, "secret");
    writeFileSync(secret, "secret");
    symlinkSync(secret, join(root, "warehouse/link"));
    await expect(store.read("warehouse/link")).rejects.toMatchObject({ code: "not_found" });
    await expect(store.head("warehouse/link")).rejects.toMatchObject({ code: "not_found" });
    expect((await store.list({ prefix: "", delimiter: "", limit: 9, cursor: undefined })).objects).toEqual(
      [],
    );
    await store.replace("warehouse/link", chunks("mine"));
    expect(await Bun.file(secret).text()).toBe("secret");
    await store.close();
  });

  test("keeps directories that writes need while deletes clear them", async () => {
    const root = newRoot();
    const store = await LocalStore.open(root, 0);
    const work = Array.from({ length: 16 }, async (_, i) => {
      for (let round = 0; round < 15; round++) {
        await store.replace(`deep/er/still/${i}`, chunks("x"));
        expect((await store.head(`deep/er/still/${i}`)).size).toBe(1);
        await store.remove(`deep/er/still/${i}`);
      }
    });
    await Promise.all(work);
    expect(treeOf(root)).toEqual(["lock", "objects/", "warehouse/"]);
    await store.close();
  });

  test("gives every version an ETag of its own, also those of one size", async () => {
    const store = await LocalStore.open(newRoot(), 0);
    const tags = new Set<string>();
    for (let i = 0; i < 200; i++) tags.add((await store.replace("k", chunks(`${i % 10}`))).info.etag);
    expect(tags.size).toBe(200);
    await store.close();
  });

  test("keeps its ETags over a restart, clears what a dead process left, and nothing else", async () => {
    const root = newRoot();
    const first = await LocalStore.open(root, 0);
    const { info } = await first.replace("kept/t_1", chunks("x"));
    await first.replace("warehouse/kept", chunks("x"));
    await first.close();
    const before = treeOf(root);
    mkdirSync(join(root, "objects/d_half/d_made"), { recursive: true });
    writeFileSync(join(root, "objects/d_half/t_0199"), "half");
    writeFileSync(join(root, "objects/d_kept/t_0199"), "half");
    writeFileSync(join(root, "warehouse/.lakehouse-tmp-0199"), "half");
    const second = await LocalStore.open(root, 0);
    expect(treeOf(root)).toEqual(before);
    expect(await second.head("kept/t_1")).toEqual(info);
    await second.close();
  });

  test("is kept by one process at a time", async () => {
    const root = newRoot();
    const store = await LocalStore.open(root, 0);
    await expect(LocalStore.open(root, 0)).rejects.toMatchObject({ name: "LockHeldError" });
    await store.close();
    await (await LocalStore.open(root, 0)).close();
  });

  test("a body that fails leaves the version before it", async () => {
    const root = newRoot();
    const store = await LocalStore.open(root, 0);
    await store.replace("k", chunks("before"));
    const before = treeOf(root);
    async function* failing() {
      yield Buffer.alloc(100_000);
      throw new Error("the sender is gone");
    }
    for (const key of ["k", "new/k"])
      await expect(store.replace(key, failing())).rejects.toThrow("the sender is gone");
    await store.replace("k2", chunks(""));
    await store.remove("k2");
    expect(await textOf(store, "k")).toBe("before");
    expect(treeOf(root)).toEqual(before);
    await store.close();
  });

  test("a body given up after a part of it closes its file", async () => {
    const root = newRoot();
    const store = await LocalStore.open(root, 0);
    await store.replace("large", chunks(new Uint8Array(3_000_000)));
    const reader = ((await store.read("large")).body as ReadableStream<Uint8Array>).getReader();
    await reader.read();
    await reader.cancel();
    if (existsSync("/proc/self/fd")) expect(openFiles(join(root, "objects"))).toEqual([]);
    await store.close();
  });
});

function openFiles(under: string): string[] {
  const paths = readdirSync("/proc/self/fd").flatMap((fd) => {
    try {
      return [readlinkSync(`/proc/self/fd/${fd}`)];
    } catch {
      return []; // closed since it was listed
    }
  });
  return paths.filter((it) => it.startsWith(under));
}
