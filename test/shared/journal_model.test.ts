import { expect, test } from "bun:test";
import { appendFileSync, existsSync, readFileSync, truncateSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { ACTIVE, inDirectory, type Note, openAt, recordsOf } from "../support/journal.ts";

/** What a test does to a journal: appends (some with ids), restarts, and damage to the end of the file. */
const step = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant("append" as const),
      id: fc.option(fc.integer({ min: 0, max: 30 })),
      note: fc.jsonValue().map((value) => JSON.parse(JSON.stringify(value))), // JSON has no -0
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("restart" as const) }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant("tear" as const), bytes: fc.integer({ min: 1, max: 60 }) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant("rubbish" as const),
      text: fc.constantFrom("\0\0\0\0", "{", '{"a":1}'),
    }),
  },
);

test("journal: against a model, over appends, restarts, torn tails and rubbish at the end", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { maxLength: 60 }),
      fc.integer({ min: 80, max: 2000 }),
      async (steps, segment_bytes) => {
        await inDirectory(async (directory) => {
          const options = { segment_bytes, dedupe_records: 10 };
          const active = join(directory, ACTIVE);
          let model: Note[] = [];
          let opened = await openAt(directory, options);
          const restart = async (damage: () => void) => {
            await opened.journal.close();
            damage();
            opened = await openAt(directory, options);
            expect(opened.journal.report()).toMatchObject({ corrupt: 0, gaps: 0 });
          };
          for (const it of steps) {
            if (it.kind === "append") {
              const record: Note = it.id === null ? { note: it.note } : { id: String(it.id), note: it.note };
              const is_repeat = model
                .filter(({ id }) => id !== undefined)
                .slice(-10)
                .some(({ id }) => id !== undefined && id === record.id);
              expect(await opened.journal.append(record)).toBe(is_repeat ? "duplicate" : "appended");
              if (!is_repeat) model.push(JSON.parse(JSON.stringify(record)));
            } else if (it.kind === "restart") await restart(() => {});
            else if (it.kind === "rubbish") await restart(() => appendFileSync(active, it.text));
            else
              await restart(() => {
                const content = readFileSync(active);
                const kept = content.subarray(0, Math.max(0, content.length - it.bytes));
                const lost = content.toString("utf8").split("\n").length - 1 - wholeLines(kept);
                model = model.slice(0, model.length - lost);
                truncateSync(active, kept.length);
              });
            expect(recordsOf(opened.applied)).toEqual(model);
          }
          await opened.journal.close();
          expect(existsSync(`${active}.corrupt`)).toBe(false);
        });
      },
    ),
    { numRuns: 60 },
  );
});

/** Lines that a cut left whole: all that end in a newline, and a last one that lacks only that. */
function wholeLines(kept: Buffer): number {
  const lines = kept.toString("utf8").split("\n");
  const last = lines.pop() as string;
  return lines.length + (/"_crc":"[0-9a-f]{8}"\}$/.test(last) ? 1 : 0);
}
