/**
 * Power cuts: the system calls of a real run are recorded, and at every point of it the disk is rebuilt without any
 * byte or name that was not synced. What had been acknowledged by then must be there. A kill alone can't show this:
 * the page cache outlives the process.
 */
import { expect } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { inDirectory, openAt } from "../support/journal.ts";
import { checkNotes, runWriter, Survivor } from "../support/journal_runs.ts";
import { PowerCutDisk } from "../support/power_cut.ts";
import { parseTrace, RECORD, RECORDED_CALLS, type SystemCall, testWithStrace } from "../support/strace.ts";

const WRITER = { count: 300, clients: 12, segment_bytes: 4000, stagger_turns: 20 };
/** Of the unsynced bytes, what else may have reached the disk. */
const SHARES = [0.01, 0.37, 0.62, 1];

/** A run that is killed within a sync; then one whose syncs are slowed by 3 ms each, so that some overlap for sure. */
const INJECTIONS = ["inject=fdatasync:signal=SIGKILL:when=8", "inject=fdatasync:delay_enter=3000"];

/** Records both runs; the second sends again what had no answer in the first. */
async function record(directory: string): Promise<SystemCall[]> {
  const survivor = new Survivor(join(directory, "lake"));
  const calls: SystemCall[] = [];
  for (const [run, inject] of INJECTIONS.entries()) {
    const trace = join(directory, `trace.${run}`);
    const strace = [
      "strace",
      ...RECORD,
      "-o",
      trace,
      "-e",
      `trace=${RECORDED_CALLS.join(",")}`,
      "-e",
      inject,
    ];
    const done = await runWriter({ directory: survivor.directory, first: survivor.first, ...WRITER }, strace);
    expect(done.was_killed).toBe(run === 0);
    survivor.take(done);
    const before = calls.length;
    for (const call of parseTrace(readFileSync(trace, "utf8")))
      calls.push({ ...call, began_after: call.began_after + before });
  }
  return calls;
}

/** How many notes were acknowledged by this call: the writer tells each on its standard output. */
function ackedBy(call: SystemCall): number {
  return call.name === "write" ? (call.data.toString().match(/^ack \d+$/gm) ?? []).length : 0;
}

/** Syncs that began before the one before them ended. */
function overlapping(calls: readonly SystemCall[]): number {
  let before = -1;
  let count = 0;
  for (const [index, { name, began_after }] of calls.entries()) {
    if (name !== "fdatasync") continue;
    if (began_after <= before) count++;
    before = index;
  }
  return count;
}

async function notesIn(directory: string) {
  const { journal, applied } = await openAt(directory, { dedupe_records: 100_000 });
  const { corrupt, gaps } = journal.report();
  await journal.close();
  expect({ corrupt, gaps }).toEqual({ corrupt: 0, gaps: 0 });
  return applied;
}

testWithStrace(
  "every acknowledged note survives a power cut at every point of a recorded run",
  () =>
    inDirectory(async (directory) => {
      const calls = await record(directory);
      const disk = new PowerCutDisk(join(directory, "lake"));
      let acked = 0;
      let cuts = 0;
      let left: Awaited<ReturnType<typeof notesIn>> = [];
      const cut = async (leave: (at: string) => void) => {
        const at = join(directory, `cut.${++cuts}`);
        leave(at);
        const notes = await notesIn(at);
        checkNotes(notes, acked);
        return notes;
      };
      for (const [index, call] of calls.entries()) {
        acked += ackedBy(call);
        if (disk.apply(call)) {
          left = await cut((at) => disk.leave(at));
          if (left.length > 0) for (const share of SHARES) await cut((at) => disk.leaveSome(at, share));
        } else if (acked > left.length) expect().fail(`call ${index} acknowledged what is not durable`);
      }
      expect(overlapping(calls)).toBeGreaterThan(0);
      expect(acked).toBeGreaterThanOrEqual(WRITER.count);
      expect(left.length).toBeGreaterThanOrEqual(WRITER.count);
      expect(cuts).toBeGreaterThan(100);
    }),
  120_000,
);

testWithStrace(
  "the same check finds the loss where the syncs are left out of the record",
  () =>
    inDirectory(async (directory) => {
      const disk = new PowerCutDisk(join(directory, "lake"));
      let acked = 0;
      for (const call of await record(directory)) {
        acked += ackedBy(call);
        disk.apply(call.name === "fdatasync" ? { ...call, result: -1 } : call);
      }
      disk.leave(join(directory, "cut"));
      expect((await notesIn(join(directory, "cut"))).length).toBeLessThan(acked);
    }),
  60_000,
);
