/**
 * An index to storaged and back over HTTP, against tar, sha256sum and cp of the same files; erasing one item; and
 * searches while snapshots are taken. `--items N` sets how many items the index has.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startProcesses } from "../../test/support/processes.ts";
import { base64Of, randomVector, seeded, settled, vectorsAt } from "../../test/support/vectors.ts";
import { median, printRows, type Row } from "./row.ts";

const DIMENSION = 384;
const WORDS = 20;
const BATCH = 1000;
const RUNS = 5;
const SEARCHES = 300;
const NAME = "bench";
const KEY = "vectors/bench.tar";
/** It takes as long as rewriting the index. */
const ERASE_TARGET_MS_FOR_10_000 = 1000;

const given = process.argv.indexOf("--items");
const ITEMS = given < 0 ? 10_000 : Number(process.argv[given + 1]);
const ERASE_TARGET_MS = ERASE_TARGET_MS_FOR_10_000 * Math.max(1, ITEMS / 10_000);

export async function run(): Promise<Row[]> {
  const random = seeded(1);
  const lake = await startProcesses("mounted");
  const calls = vectorsAt(lake.url);
  try {
    await calls.create(NAME, DIMENSION);
    const word = () => Math.floor(random() * 1e6).toString(36);
    for (let from = 0; from < ITEMS; from += BATCH)
      await calls.add(
        NAME,
        Array.from({ length: BATCH }, (_, at) => ({
          id: `${from + at}`,
          vector: base64Of(randomVector(DIMENSION, random)),
          text: Array.from({ length: WORDS }, word).join(" "),
        })),
      );
    await settled(calls, NAME);
    const snapshot = () => calls.snapshot(NAME, { key: KEY });
    await snapshot();
    const folder = join(lake.data_dir, "vector", NAME);
    const reference_ms = await times(() => copyByHand(folder));
    const snapshot_ms = await times(snapshot);
    const restore_ms = await times(() => calls.restore({ key: KEY, name: "back", replace: true }));

    const query = base64Of(randomVector(DIMENSION, random));
    const searches = async () => {
      const taken_ms: number[] = [];
      for (let at = 0; at < SEARCHES; at++)
        taken_ms.push(await timed(() => calls.search(NAME, { vector: query })));
      return taken_ms.sort((a, b) => a - b)[Math.floor(0.99 * SEARCHES)] as number;
    };
    const idle = await searches();
    let is_over = false;
    const moving = (async () => {
      while (!is_over) await snapshot();
    })();
    const busy = await searches();
    is_over = true;
    await moving;
    let at = 0;
    const erase_ms = await times(() => calls.remove(NAME, { ids: [`${at++}`], erase: true }));
    const against = (ms: number) =>
      `${(ms / reference_ms).toFixed(1)} × (${ms.toFixed(0)} ms to ${reference_ms.toFixed(0)} ms)`;
    return [
      {
        what: `snapshot of ${ITEMS} items of ${DIMENSION} numbers, with texts, to storaged`,
        target: "≤ 5 × tar, sha256sum and sync of its files",
        measured: against(snapshot_ms),
        met: snapshot_ms <= 5 * reference_ms,
      },
      {
        what: "restore of it in another's place, judged and open",
        target: "≤ 10 × the same",
        measured: against(restore_ms),
        met: restore_ms <= 10 * reference_ms,
      },
      {
        what: "p99 of searches while snapshots are taken",
        target: "≤ 5 × idle",
        measured: `${(busy / idle).toFixed(1)} × (${busy.toFixed(1)} ms to ${idle.toFixed(1)} ms)`,
        met: busy <= 5 * idle,
      },
      {
        what: "one item erased from all its files",
        target: `at most ${ERASE_TARGET_MS} ms`,
        measured: `${erase_ms.toFixed(0)} ms`,
        met: erase_ms <= ERASE_TARGET_MS,
      },
    ];
  } finally {
    await lake.stop();
    rmSync(lake.data_dir, { recursive: true, force: true });
  }
}

/** What a person would do with the files of an index that stands still. */
async function copyByHand(folder: string): Promise<void> {
  const scratch = mkdtempSync(join(tmpdir(), "lakehouse-bench-"));
  try {
    const script = `tar -cf "$2/it.tar" -C "$1" . && sha256sum "$2/it.tar" && sync "$2/it.tar"`;
    const copying = Bun.spawn(["sh", "-c", script, "sh", folder, scratch], { stdout: "ignore" });
    if ((await copying.exited) !== 0) throw new Error("tar, sha256sum or sync failed");
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const from_ms = performance.now();
  await work();
  return performance.now() - from_ms;
}

async function times(work: () => Promise<unknown>): Promise<number> {
  const taken_ms: number[] = [];
  for (let at = 0; at < RUNS; at++) taken_ms.push(await timed(work));
  return median(taken_ms);
}

if (import.meta.main) printRows(await run());
