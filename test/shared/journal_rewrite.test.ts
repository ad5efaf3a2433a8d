/** Rewriting a journal: what is replaced is in no file, everything else is as it was, and appends go on meanwhile. */
import { afterEach, expect, test } from "bun:test";
import { appendFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openJournal } from "../../src/shared/journal.ts";
import { createLog } from "../../src/shared/log.ts";
import { Metrics } from "../../src/shared/metrics.ts";

interface Note {
  readonly id: string;
  readonly text: string;
}
const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

async function open(folder: string, segment_bytes = 1000) {
  const applied = new Map<number, string>();
  const journal = await openJournal<Note>({
    path: join(folder, "notes.jsonl"),
    durability: "fsync",
    segment_bytes,
    dedupe_records: 1000,
    queue_records: 10_000,
    queue_bytes: 1_000_000,
    max_record_bytes: 10_000,
    lock_wait_ms: 1000,
    log: createLog("silent"),
    metrics: new Metrics(),
    apply: ({ text }, seq) => applied.set(seq, text),
    adopt: () => undefined,
  });
  return { journal, applied };
}
function folder(): string {
  const made = mkdtempSync(join(tmpdir(), "lakehouse-"));
  folders.push(made);
  return made;
}
const holding = (path: string, text: string) =>
  readdirSync(path).filter((name) => readFileSync(join(path, name), "utf8").includes(text));
const without = (secret: string, seqs: number[]) => ({
  seqs: new Set(seqs),
  replace: ({ id }: Note): Note => ({ id, text: "gone" }),
  isConcerned: (line: Buffer) => line.includes(secret),
});

test("records of closed and active segments are replaced in place while others are appended", async () => {
  const path = folder();
  const { journal, applied } = await open(path);
  for (let at = 1; at <= 60; at++)
    await journal.append({ id: `${at}`, text: at % 7 === 0 ? `secret ${at}` : `plain ${at}` });
  const seqs = [...applied].filter(([, text]) => text.startsWith("secret")).map(([seq]) => seq);
  expect(holding(path, "secret").length).toBeGreaterThan(2);
  const appends = Array.from({ length: 50 }, (_, at) =>
    journal.append({ id: `m${at}`, text: `meanwhile ${at}` }),
  );
  await Promise.all([
    journal.rewrite(without("secret", seqs)),
    journal.rewrite(without("secret", seqs)),
    ...appends,
  ]);
  expect(holding(path, "secret")).toEqual([]);
  await journal.append({ id: "last", text: "last" });
  expect(await journal.append({ id: "7", text: "secret again" })).toBe("duplicate");
  await journal.close();

  const again = await open(path);
  expect(again.journal.report()).toMatchObject({ records: 111, corrupt: 0, torn: 0, gaps: 0 });
  const wanted = new Map([...applied].map(([seq, text]) => [seq, seqs.includes(seq) ? "gone" : text]));
  expect(again.applied).toEqual(wanted);
  await again.journal.close();
});

test("damaged lines that hold it go, in the segment and beside it; others stay", async () => {
  const path = folder();
  const { journal } = await open(path, 100_000);
  for (let at = 1; at <= 5; at++) await journal.append({ id: `${at}`, text: `secret ${at}` });
  await journal.close();
  const file = join(path, "notes.jsonl");
  writeFileSync(
    file,
    readFileSync(file, "utf8").replace("secret 2", "secreT 2").replace("secret 4", "secret X"),
  );
  appendFileSync(file, '{"id":"6","text":"secret and torn');
  const { journal: second, applied } = await open(path, 100_000);
  expect(second.report()).toMatchObject({ corrupt: 2, torn: 1 });
  await second.rewrite(without("secret", [...applied.keys()]));
  expect(holding(path, "secret")).toEqual([]);
  expect(holding(path, "secreT").length).toBe(2);
  await second.close();
});

test("a journal in memory has nothing to rewrite", async () => {
  const journal = await openJournal<Note>({
    path: "",
    durability: "os",
    segment_bytes: 4096,
    dedupe_records: 10,
    queue_records: 10,
    queue_bytes: 1000,
    max_record_bytes: 1000,
    lock_wait_ms: 0,
    log: createLog("silent"),
    metrics: new Metrics(),
    apply: () => {},
    adopt: () => undefined,
  });
  await journal.append({ id: "1", text: "secret" });
  expect(await journal.rewrite(without("secret", [1]))).toBeUndefined();
  await journal.close();
});
