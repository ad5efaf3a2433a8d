/** A failed write or sync: that batch and every later one is refused until a restart, and nothing acknowledged is lost. */
import { expect } from "bun:test";
import { inDirectory } from "../support/journal.ts";
import { runWriter, Survivor } from "../support/journal_runs.ts";
import { testWithStrace } from "../support/strace.ts";

const WRITER = { clients: 4, count: 40, segment_bytes: 400, stagger_turns: 20 };
const MOST_CALLS = 30;

for (const [call, error] of [
  ["fdatasync", "EIO"],
  ["fdatasync", "ENOSPC"],
  ["write", "EIO"],
  ["write", "ENOSPC"],
  ["fsync", "EIO"],
  ["rename", "ENOSPC"],
] as const)
  testWithStrace(
    `${error} on ${call}: no later acknowledgement`,
    async () => {
      let failures = 0;
      for (let when = 1; when <= MOST_CALLS; when++) {
        const was_reached = await inDirectory(async (directory) => {
          const survivor = new Survivor(directory);
          const run = await runWriter({ directory, first: 0, ...WRITER }, [
            ...["strace", "-f", "-qq", "-o", "/dev/null", "-P", directory, "-P", `${directory}/notes.jsonl`],
            ...["-e", `trace=${call}`, "-e", `inject=${call}:error=${error}:when=${when}`],
          ]);
          survivor.take(run);
          for (const refused of run.refused) {
            expect(refused.code).toBe("unavailable");
            expect(refused.acked_before).toBe(run.acked.length);
          }
          await survivor.check();
          survivor.take(await runWriter({ directory, first: survivor.first, ...WRITER }));
          await survivor.check();
          return run.refused.length > 0 || !run.was_closed;
        });
        if (!was_reached) break;
        failures++;
      }
      expect(failures).toBeGreaterThan(0);
    },
    120_000,
  );
