import { describe, expect, test } from "bun:test";
import { appendFileSync, existsSync, readdirSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import fc from "fast-check";
import { LakeError } from "../../src/shared/errors.ts";
import { LockHeldError } from "../../src/shared/lock.ts";
import { ACTIVE, inDirectory, type Note, openAt } from "../support/journal.ts";

const linesOf = (path: string) => readFileSync(path, "utf8").split("\n").slice(0, -1);
const recordsOf = (applied: { record: Note }[]) => applied.map(({ record }) => record);

/** A line framed by the letter of the format, without the journal's own code. */
function framed(record: object, seq: number): string {
  const body = JSON.stringify(record).slice(0, -1);
  const checked = `${body}${body === "{" ? "" : ","}"_seq":${seq}`;
  return `${checked},"_crc":"${crc32(checked).toString(16).padStart(8, "0")}"}\n`;
}

describe("journal: what it writes", () => {
  test("is plain JSON lines framed by _seq and the CRC-32 of all before _crc", () =>
    inDirectory(async (directory) => {
      const { journal } = await openAt(directory);
      const records: Note[] = [
        { note: "é ✓ \u2028 \ud800" },
        {},
        { id: "a", note: 1 },
        { note: "second", id: "b" },
      ];
      for (const record of records) await journal.append(record);
      await journal.close();
      const lines = linesOf(join(directory, ACTIVE));
      expect(lines.map((line) => `${line}\n`)).toEqual([
        framed(records[0] as Note, 1),
        framed(records[1] as Note, 2),
        framed(records[2] as Note, 3),
        // The id stands first, so that replay finds it without parsing.
        framed({ id: "b", note: "second" }, 4),
      ]);
    }));

  test("never holds a caller's own _seq or _crc", () =>
    inDirectory(async (directory) => {
      const { journal } = await openAt(directory);
      for (const record of [{ _seq: 7 }, { _crc: "00000000" }, { _seq: undefined }])
        expect(() => journal.append(record)).toThrow("_seq and _crc belong to the journal");
      await journal.close();
      expect(readFileSync(join(directory, ACTIVE), "utf8")).toBe("");
    }));

  test("keeps a record to max_record_bytes, counted in UTF-8", () =>
    inDirectory(async (directory) => {
      const { journal } = await openAt(directory, { max_record_bytes: 20 });
      expect(await journal.append({ note: "123456789" })).toBe("appended");
      expect(() => journal.append({ note: "ééééé9" })).toThrow("at most 20 bytes");
      await journal.close();
    }));
});

describe("journal: order and acknowledgement", () => {
  test("acknowledges after applying, in the order of the appends", () =>
    inDirectory(async (directory) => {
      const { journal, applied } = await openAt(directory);
      const acknowledged: number[] = [];
      await Promise.all(
        Array.from({ length: 500 }, async (_, note) => {
          await journal.append({ note });
          expect(applied[note]?.record).toEqual({ note });
          acknowledged.push(note);
        }),
      );
      expect(acknowledged).toEqual(Array.from({ length: 500 }, (_, note) => note));
      expect(applied.map(({ seq }) => seq)).toEqual(acknowledged.map((note) => note + 1));
      await journal.close();
    }));

  test("refuses what would overfill the queue, by count and by bytes, and recovers", () =>
    inDirectory(async (directory) => {
      const { journal } = await openAt(directory, { queue_records: 3, queue_bytes: 300 });
      const waiting = [1, 2, 3].map((note) => journal.append({ note }));
      expect(() => journal.append({ note: 4 })).toThrow(LakeError);
      await Promise.all(waiting);
      const large = journal.append({ note: "x".repeat(400) });
      expect(() => journal.append({ note: 5 })).toThrow("wait for the disk");
      await large;
      await journal.append({ note: 6 });
      await journal.close();
      expect(linesOf(join(directory, ACTIVE)).map((line) => JSON.parse(line)._seq)).toEqual([1, 2, 3, 4, 5]);
    }));

  test("close waits for what was appended; after it nothing is accepted", () =>
    inDirectory(async (directory) => {
      const { journal, applied } = await openAt(directory);
      const appended = journal.append({ note: 1 });
      await journal.close();
      expect(await appended).toBe("appended");
      expect(applied).toHaveLength(1);
      expect(() => journal.append({ note: 2 })).toThrow("closing");
    }));
});

describe("journal: ids", () => {
  test("a repeat is a duplicate, at once, later and after a restart; the first wins", () =>
    inDirectory(async (directory) => {
      const first = await openAt(directory);
      const outcomes = ["a", "b", 'q"\\é', "a"].map((id, note) => first.journal.append({ id, note }));
      expect(await Promise.all(outcomes)).toEqual(["appended", "appended", "appended", "duplicate"]);
      expect(await first.journal.append({ id: "b", note: "again" })).toBe("duplicate");
      await first.journal.close();
      const second = await openAt(directory);
      for (const id of ["a", "b", 'q"\\é'])
        expect(await second.journal.append({ id, note: "again" })).toBe("duplicate");
      expect(await second.journal.append({ id: "c", note: "new" })).toBe("appended");
      expect(recordsOf(second.applied).map(({ note }) => note)).toEqual([0, 1, 2, "new"]);
      await second.journal.close();
    }));

  test("a repeat is answered only once the first is durable", () =>
    inDirectory(async (directory) => {
      const { journal, applied } = await openAt(directory);
      journal.append({ id: "a", note: 1 });
      expect(await journal.append({ id: "a", note: 2 })).toBe("duplicate");
      expect(recordsOf(applied)).toEqual([{ id: "a", note: 1 }]);
      await journal.close();
    }));

  test("only the last dedupe_records are remembered, after a restart too", () =>
    inDirectory(async (directory) => {
      const { journal } = await openAt(directory, { dedupe_records: 2 });
      for (const id of ["a", "b", "c"]) await journal.append({ id });
      await journal.close();
      const again = await openAt(directory, { dedupe_records: 2 });
      expect(await again.journal.append({ id: "b" })).toBe("duplicate");
      expect(await again.journal.append({ id: "a" })).toBe("appended");
      await again.journal.close();
    }));

  test("without a path they are idempotent too, and nothing is written", () =>
    inDirectory(async (directory) => {
      const { journal, applied } = await openAt(directory, { path: "" });
      expect(await journal.append({ id: "a", note: 1 })).toBe("appended");
      expect(await journal.append({ id: "a", note: 2 })).toBe("duplicate");
      expect(() => journal.append({ _seq: 1 })).toThrow("belong to the journal");
      expect(recordsOf(applied)).toEqual([{ id: "a", note: 1 }]);
      await journal.close();
      expect(readdirSync(directory)).toEqual([]);
    }));
});

describe("journal: replay", () => {
  const replayed = (directory: string, content: string, overrides = {}) => {
    writeFileSync(join(directory, ACTIVE), content);
    return openAt(directory, overrides);
  };

  test("1 valid, 1 corrupt, 1 valid: 2 applied, 1 reported and kept aside, and the same at the next start", () =>
    inDirectory(async (directory) => {
      const content = `${framed({ note: 1 }, 1)}{"note": broken\n${framed({ note: 3 }, 3)}`;
      for (let start = 0; start < 2; start++) {
        const { journal, applied } = await replayed(directory, content);
        expect(recordsOf(applied)).toEqual([{ note: 1 }, { note: 3 }]);
        expect(journal.report()).toEqual({ records: 2, segments: 1, corrupt: 1, torn: 0, gaps: 0 });
        expect(readFileSync(join(directory, `${ACTIVE}.corrupt`), "utf8")).toBe('{"note": broken\n');
        await journal.append({ note: 4 });
        await journal.close();
        expect(linesOf(join(directory, ACTIVE)).at(-1)).toContain('"_seq":4');
      }
    }));

  test("unframed lines count at the head of a file, and nowhere else", () =>
    inDirectory(async (directory) => {
      const legacy = '{"note":"old 1","id":"x"}\n{"note": "old 2"}\n';
      const { journal, applied } = await replayed(
        directory,
        `${legacy}${framed({ note: 3 }, 3)}{"note":"late"}\n`,
      );
      expect(applied).toEqual([
        { seq: 1, record: { note: "old 1", id: "x" } },
        { seq: 2, record: { note: "old 2" } },
        { seq: 3, record: { note: 3 } },
      ]);
      expect(journal.report()).toMatchObject({ corrupt: 1, gaps: 0 });
      expect(await journal.append({ id: "x" })).toBe("duplicate");
      await journal.close();
    }));

  test("an unframed line that does not validate, or that lost its frame, is corrupt", () =>
    inDirectory(async (directory) => {
      const lines = [
        '{"other":1}',
        "[1]",
        "null",
        "",
        '{"note":1,"_seq":5}',
        '{"note":1,"_crc":"x"}',
        '{"note":"\xff"}',
      ];
      writeFileSync(join(directory, ACTIVE), Buffer.from(`${lines.join("\n")}\n`, "latin1"));
      const { journal, applied } = await openAt(directory);
      expect(applied).toEqual([]);
      expect(journal.report()).toMatchObject({ corrupt: lines.length });
      await journal.close();
    }));

  test("missing sequence numbers are gaps, unless a corrupt line stands for them; a repeated one is corrupt", () =>
    inDirectory(async (directory) => {
      const content = [
        framed({ note: 1 }, 1),
        framed({ note: 5 }, 5),
        framed({ note: 5 }, 5),
        framed({ note: 9 }, 9),
      ];
      const { journal, applied } = await replayed(directory, content.join(""));
      expect(applied.map(({ seq }) => seq)).toEqual([1, 5, 9]);
      expect(journal.report()).toMatchObject({ corrupt: 1, gaps: 2 });
      await journal.close();
    }));

  test("a torn tail is moved to .torn, and the file goes on behind the last whole line", () =>
    inDirectory(async (directory) => {
      const whole = framed({ note: 1 }, 1);
      const { journal } = await replayed(directory, `${whole}{"note":2,"_se`);
      expect(journal.report()).toEqual({ records: 1, segments: 1, corrupt: 0, torn: 1, gaps: 0 });
      expect(readFileSync(join(directory, ACTIVE), "utf8")).toBe(whole);
      await journal.append({ note: "next" });
      await journal.close();
      expect(readFileSync(join(directory, `${ACTIVE}.torn`), "utf8")).toBe('{"note":2,"_se\n');
      expect(readFileSync(join(directory, ACTIVE), "utf8")).toBe(whole + framed({ note: "next" }, 2));
    }));

  test("a whole last line that lacks only its newline is kept", () =>
    inDirectory(async (directory) => {
      const content = framed({ note: 1 }, 1) + framed({ note: 2 }, 2);
      const { journal, applied } = await replayed(directory, content.slice(0, -1));
      expect(applied).toHaveLength(2);
      expect(journal.report()).toMatchObject({ corrupt: 0, torn: 0 });
      await journal.append({ note: 3 });
      await journal.close();
      expect(readFileSync(join(directory, ACTIVE), "utf8")).toBe(content + framed({ note: 3 }, 3));
    }));

  test("a line longer than a record may be is corrupt, whatever its length", () =>
    inDirectory(async (directory) => {
      const long = "x".repeat(3_000_000);
      const content = `${framed({ note: 1 }, 1)}${long}\n${framed({ note: 3 }, 3)}`;
      const { journal, applied } = await replayed(directory, content, { max_record_bytes: 1000 });
      expect(applied).toHaveLength(2);
      expect(journal.report()).toMatchObject({ corrupt: 1, gaps: 0 });
      expect(readFileSync(join(directory, `${ACTIVE}.corrupt`), "utf8")).toBe(`${long}\n`);
      await journal.close();
    }));

  test("lines longer than the reader's buffer are whole", () =>
    inDirectory(async (directory) => {
      const { journal } = await openAt(directory, { max_record_bytes: 8_000_000 });
      const notes = [1, 1_500_000, 5_000_000, 20].map((length) => "y".repeat(length));
      for (const note of notes) await journal.append({ note });
      await journal.close();
      const again = await openAt(directory, { max_record_bytes: 8_000_000 });
      expect(recordsOf(again.applied).map(({ note }) => note)).toEqual(notes);
      await again.journal.close();
    }));

  test("apply_last applies the newest, across segments, in order", () =>
    inDirectory(async (directory) => {
      const options = { segment_bytes: 200, apply_last: 7 };
      const { journal } = await openAt(directory, options);
      for (let note = 1; note <= 30; note++) await journal.append({ note });
      await journal.close();
      const again = await openAt(directory, options);
      expect(again.applied.map(({ seq }) => seq)).toEqual([24, 25, 26, 27, 28, 29, 30]);
      expect(recordsOf(again.applied).map(({ note }) => note)).toEqual([24, 25, 26, 27, 28, 29, 30]);
      expect(again.journal.report()).toMatchObject({ records: 30, gaps: 0 });
      await again.journal.close();
    }));
});

describe("journal: segments", () => {
  test("a full segment takes the name of its first sequence number", () =>
    inDirectory(async (directory) => {
      const { journal } = await openAt(directory, { segment_bytes: 100 });
      for (let note = 1; note <= 5; note++) await journal.append({ note });
      expect(journal.report().segments).toBe(2);
      await journal.close();
      expect(readdirSync(directory).sort()).toEqual(["notes.1.jsonl", ACTIVE, "notes.lock"]);
      expect(linesOf(join(directory, "notes.1.jsonl"))).toHaveLength(3);
      const again = await openAt(directory, { segment_bytes: 100 });
      expect(recordsOf(again.applied)).toEqual([1, 2, 3, 4, 5].map((note) => ({ note })));
      await again.journal.close();
    }));

  test("a segment that is missing is a gap", () =>
    inDirectory(async (directory) => {
      const options = { segment_bytes: 100 };
      const { journal } = await openAt(directory, options);
      for (let note = 1; note <= 9; note++) await journal.append({ note });
      await journal.close();
      for (const [lost, left] of [
        ["notes.4.jsonl", 6],
        ["notes.1.jsonl", 3],
      ] as const) {
        await Bun.file(join(directory, lost)).delete();
        const again = await openAt(directory, options);
        expect(again.applied).toHaveLength(left);
        expect(again.journal.report().gaps).toBe(1);
        await again.journal.close();
      }
    }));

  test("keep_segments deletes the oldest, and their absence is no gap", () =>
    inDirectory(async (directory) => {
      const options = { segment_bytes: 100, keep_segments: 2 };
      const { journal } = await openAt(directory, options);
      for (let note = 1; note <= 30; note++) await journal.append({ note });
      const { records, segments } = journal.report();
      await journal.close();
      expect(segments).toBe(3);
      const again = await openAt(directory, options);
      expect(again.journal.report()).toEqual({ records, segments, corrupt: 0, torn: 0, gaps: 0 });
      expect(again.applied.at(-1)).toEqual({ seq: 30, record: { note: 30 } });
      expect(again.applied).toHaveLength(records);
      await again.journal.close();
    }));

  test("segments that hold nothing needed are counted, not read", () =>
    inDirectory(async (directory) => {
      const options = { segment_bytes: 100, apply_last: 2, dedupe_records: 2 };
      const { journal } = await openAt(directory, options);
      for (let note = 1; note <= 30; note++) await journal.append({ note });
      await journal.close();
      writeFileSync(join(directory, "notes.1.jsonl"), "never looked at\n");
      const again = await openAt(directory, options);
      expect(again.journal.report()).toMatchObject({ records: 30, corrupt: 0, gaps: 0 });
      expect(recordsOf(again.applied)).toEqual([{ note: 29 }, { note: 30 }]);
      await again.journal.close();
    }));
});

describe("journal: one owner", () => {
  test("a second one is refused while the first lives, and waits for one that leaves", () =>
    inDirectory(async (directory) => {
      const first = await openAt(directory);
      await expect(openAt(directory)).rejects.toBeInstanceOf(LockHeldError);
      const waiting = openAt(directory, { lock_wait_ms: 10_000 });
      await first.journal.append({ note: 1 });
      await first.journal.close();
      const second = await waiting;
      expect(second.applied).toHaveLength(1);
      await second.journal.close();
    }));
});

/** What a test does to a journal: appends (some with ids), restarts, and damage to the end of the file. */
const step = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant("append" as const),
      id: fc.option(fc.integer({ min: 0, max: 30 })),
      note: fc.jsonValue(),
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
