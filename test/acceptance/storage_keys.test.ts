import { afterAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ObjectList } from "../../src/services/storaged/schema.ts";
import { type Composition, startHouse } from "../support/house.ts";
import { RawClient } from "../support/raw_http.ts";
import { treeOf } from "../support/tree.ts";

const CONNECTIONS = 8;
const HOSTILE: Record<Composition, number> = { mounted: 10_000, forwarded: 2000 };

/** Pieces of targets, as raw bytes (Latin-1), put together at random. */
const PIECES = [
  ...[
    "..",
    ".",
    "%2e%2e",
    "%2E.",
    ".%2e",
    "%2e",
    "%252e%252e",
    "..%2f",
    "..%5c",
    "%c0%ae%c0%ae",
    "%e0%80%ae",
  ],
  ...["/", "//", "%2f", "%2F", "\\", "%5c", "%255c", "%00", "%2500", "a%00b", "%0a", "%0d%0a", "%7f", "%01"],
  ...[
    "%",
    "%%",
    "%4",
    "%zz",
    "%u002e",
    "%ff",
    "%fe%ff",
    "%ed%a0%80",
    "%c3",
    "%c3%28",
    "%f4%90%80%80",
    "%ef%bf%bd",
  ],
  ...["\xff", "\xc3", "\xc3\xa9", "e\xcc\x81", "%c3%a9", "e%cc%81", "%ef%bb%bf", "%e2%80%ae", "%f0%9f%98%80"],
  ...[
    "etc/passwd",
    "proc/self/environ",
    "warehouse",
    "WAREHOUSE",
    "%77arehouse",
    "storage",
    "lock",
    "objects",
  ],
  ...[
    "d_a",
    "f_a",
    "c_a",
    "t_1",
    "t_",
    ".lakehouse-tmp-1",
    "=2e=2e",
    "+a",
    "service.token",
    "con",
    "NUL.txt",
    "aux.",
  ],
  ...[
    "a",
    "A",
    "b",
    "trailing.",
    "trailing%20",
    "%20",
    ":",
    "*",
    "|",
    '"',
    "<",
    "~",
    "$HOME",
    "`id`",
    ";",
    "&",
    "+",
  ],
  ...[
    "?x",
    "?",
    "#",
    "%23",
    "%3f",
    "@",
    "http://evil",
    "file:///etc",
    "C:",
    "C:%5cWindows",
    "\\\\host\\share",
  ],
  ...[
    "n".repeat(255),
    "n".repeat(300),
    "%41".repeat(200),
    "%c3%a9".repeat(200),
    "x/".repeat(12),
    "n".repeat(1025),
  ],
] as const;

/** mulberry32, so that a failure can be had again. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

function hostileTarget(next: () => number): string {
  const pieces: string[] = [];
  const count = 1 + Math.floor(next() * 6);
  for (let i = 0; i < count; i++) {
    pieces.push(PIECES[Math.floor(next() * PIECES.length)] as string);
    if (next() < 0.5) pieces.push("/");
  }
  return pieces.join("");
}

for (const composition of ["mounted", "forwarded"] as const)
  describe(`hostile keys (${composition})`, () => {
    const jail = mkdtempSync(join(tmpdir(), "lakehouse-jail-"));
    const data_dir = join(jail, "a/b/c/data");
    afterAll(() => rmSync(jail, { recursive: true, force: true }), 60_000);

    test(`${HOSTILE[composition]} of them: none escapes, none is a 5xx, none is another's`, async () => {
      mkdirSync(data_dir, { recursive: true });
      writeFileSync(join(jail, "canary"), "untouched");
      const house = await startHouse(composition, {}, data_dir);
      // A query worker's own scratch may come up meanwhile.
      const inside = /^a\/b\/c\/data\/(storage\/objects\/|query\/\d+-)/;
      const outside = () => treeOf(jail).filter((it) => !inside.test(it));
      const before = outside();
      const next = random(20_261_123);
      const kept = new Map<string, string>();
      const statuses: Record<number, number> = {};
      const clients = Array.from({ length: CONNECTIONS }, () => new RawClient(house.url));
      let left = HOSTILE[composition];

      const attack = async (client: RawClient) => {
        while (left-- > 0) {
          const target = hostileTarget(next);
          const at = (verb: string) => Buffer.from(`/v1/storage/${verb}/${target}`, "latin1");
          // The body is the same for one target, so that two connections can't differ over it.
          const put = await client.send("PUT", at("put"), target);
          statuses[put.status] = (statuses[put.status] ?? 0) + 1;
          if (put.status >= 500) throw new Error(`${put.status} for ${JSON.stringify(target)}`);
          if (put.status === 200 || put.status === 201) {
            const { key } = JSON.parse(put.body.toString()) as { key: string };
            kept.set(key, target);
          }
          for (const [method, verb] of [
            ["GET", "get"],
            ["HEAD", "get"],
          ] as const) {
            const { status } = await client.send(method, at(verb));
            if (status >= 500) throw new Error(`${status} for ${method} ${JSON.stringify(target)}`);
            if (put.status < 300) expect([method, target, status]).toEqual([method, target, 200]);
          }
        }
      };
      await Promise.all(clients.map(attack));

      expect(outside()).toEqual(before);
      expect(readFileSync(join(jail, "canary"), "utf8")).toBe("untouched");
      expect(statuses[400]).toBeGreaterThan(0);
      expect(kept.size).toBeGreaterThan(100);
      expect(await allKeys(house.url)).toEqual([...kept.keys()].sort(byBytes));
      for (const key of kept.keys()) {
        const url = `${house.url}/v1/storage/get/${key.split("/").map(encodeURIComponent).join("/")}`;
        const body = await (await fetch(url)).text();
        // What the key was last stored as, by whichever of the spellings that mean it.
        expect(spelled(body)).toBe(key);
      }
      for (const client of clients) client.close();
      await house.stop();
    }, 120_000);
  });

/** The key a target means once a URL parser has resolved its dot segments: the contract, told again. */
function spelled(target: string): string {
  const { pathname } = new URL(`http://localhost/v1/storage/put/${Buffer.from(target, "latin1").toString()}`);
  return decodeURIComponent(pathname.slice("/v1/storage/put/".length));
}

async function allKeys(url: string): Promise<string[]> {
  const keys: string[] = [];
  for (let cursor: string | null = ""; cursor !== null; ) {
    const answer = await fetch(`${url}/v1/storage/list?limit=1000${cursor && `&cursor=${cursor}`}`);
    const page = (await answer.json()) as ObjectList;
    keys.push(...page.objects.map((it) => it.key));
    cursor = page.next_cursor;
  }
  return keys;
}

function byBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}
