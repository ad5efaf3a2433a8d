/** SIGKILL at random moments and at every write and sync: nothing acknowledged is lost, doubled or reordered. */
import { expect, test } from "bun:test";
import { inDirectory } from "../support/journal.ts";
import { runWriter, Survivor } from "../support/journal_runs.ts";
import { testWithStrace } from "../support/strace.ts";

const KILLS = 200;
/** Runs at a time. */
const LANES = 4;
const START_MS = 80;
const RUN_MS = 25;
/** How long a slowed sync takes. */
const SLOWED_MS = 60;

test(`${KILLS} kills at random moments`, async () => {
  let kills = 0;
  let acked = 0;
  const lane = () =>
    inDirectory(async (root) => {
      let survivor = new Survivor(root);
      for (let run = 1; kills < KILLS; run++) {
        kills++;
        // One in four during the start, replay included; the others while it writes.
        const moment = run % 4 === 0 ? "spawned" : "open";
        const wait_ms = Math.random() * (moment === "spawned" ? START_MS : RUN_MS);
        const clients = 1 + Math.floor(Math.random() * 16);
        const { directory, first } = survivor;
        const options = { clients, segment_bytes: 20_000, stagger_turns: (run % 3) * 10 };
        const done = await runWriter({ directory, first, ...options }, [], (line, kill) => {
          if (line.startsWith(moment)) setTimeout(kill, wait_ms);
        });
        expect(done.was_killed).toBe(true);
        survivor.take(done);
        acked += done.acked.length;
        await survivor.check();
        if (run % 20 === 0) survivor = new Survivor(`${root}/${run}`);
      }
    });
  await Promise.all(Array.from({ length: LANES }, lane));
  expect(kills).toBe(KILLS);
  expect(acked).toBeGreaterThan(KILLS);
}, 180_000);

const SMALL = { clients: 3, count: 40, segment_bytes: 400 };
const paths = (directory: string) => ["-P", directory, "-P", `${directory}/notes.jsonl`];

/** Runs a writer that is killed at one boundary, then a second that sends again what had no answer. */
async function killedOnce(under: (directory: string) => string[], watch?: Parameters<typeof runWriter>[2]) {
  return inDirectory(async (directory) => {
    const survivor = new Survivor(directory);
    const killed = await runWriter({ directory, first: 0, ...SMALL }, under(directory), watch);
    survivor.take(killed);
    await survivor.check();
    survivor.take(await runWriter({ directory, first: survivor.first, ...SMALL }));
    await survivor.check();
    return killed;
  });
}

// The calls on the journal's files, one after the other, until a run has fewer of them.
for (const call of ["write", "rename", "fsync", "fdatasync"])
  testWithStrace(
    `a kill at every ${call}`,
    async () => {
      let kills = 0;
      for (let when = 1; ; when++) {
        const inject = `inject=${call}:signal=SIGKILL:when=${when}`;
        const run = await killedOnce((directory) => [
          ...["strace", "-f", "-qq", "-o", "/dev/null", ...paths(directory)],
          ...["-e", `trace=${call}`, "-e", inject],
        ]);
        if (!run.was_killed) break;
        kills++;
      }
      expect(kills).toBeGreaterThanOrEqual(call === "write" ? 14 : 2);
    },
    120_000,
  );

// strace counts each thread's syncs for itself, so the test above meets some of them only: here a slowed sync is
// met while it sleeps, once before it reaches the kernel and once after.
for (const side of ["enter", "exit"])
  testWithStrace(
    `a kill at every batch's sync, at its ${side}`,
    async () => {
      const batches = Array.from({ length: Math.ceil(SMALL.count / SMALL.clients) }, (_, batch) => batch);
      const kill = async (batch: number) => {
        const after = batch === 0 ? /^open/ : new RegExp(`^ack ${batch * SMALL.clients - 1}$`);
        const run = await killedOnce(
          (directory) => [
            ...["strace", "-f", "-qq", "-o", "/dev/null", ...paths(directory)],
            ...["-e", "trace=fdatasync", "-e", `inject=fdatasync:delay_${side}=${SLOWED_MS * 1000}`],
          ],
          (line, kill) => {
            if (after.test(line)) setTimeout(kill, SLOWED_MS / 3);
          },
        );
        expect(run.was_killed).toBe(true);
        return run.acked.length === batch * SMALL.clients;
      };
      // On a busy machine the kill may come late, and meet a later batch: then once more.
      const meet = async (batch: number) => {
        for (let tries = 0; tries < 10; tries++) if (await kill(batch)) return;
        expect().fail(`the sync of batch ${batch} was never met`);
      };
      const lane = async () => {
        for (let batch = batches.pop(); batch !== undefined; batch = batches.pop()) await meet(batch);
      };
      await Promise.all(Array.from({ length: LANES }, lane));
    },
    120_000,
  );
