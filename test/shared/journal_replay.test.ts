import { describe, expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ACTIVE, framed, inDirectory, linesOf, openAt, recordsOf } from "../support/journal.ts";

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
