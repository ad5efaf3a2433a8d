import { describe, expect, test } from "bun:test";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { LakeError } from "../../src/shared/errors.ts";
import { LockHeldError } from "../../src/shared/lock.ts";
import { ACTIVE, framed, inDirectory, linesOf, type Note, openAt, recordsOf } from "../support/journal.ts";

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
