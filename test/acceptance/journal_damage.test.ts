/** A cut at each byte of the last 64 KiB leaves the exact valid prefix; a flip of each byte of 1,000 records is found. */
import { expect, test } from "bun:test";
import { closeSync, existsSync, openSync, readFileSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import { RecentIds } from "../../src/shared/journal/recent_ids.ts";
import { Replay } from "../../src/shared/journal/replay.ts";
import { createLog } from "../../src/shared/log.ts";
import { ACTIVE, inDirectory, type Note, openAt } from "../support/journal.ts";

const LAST_BYTES = 64 * 1024;
const RECORDS_PAST_64_KIB = 600;
/** Memory where there is some, since hundreds of thousands of files are written. */
const ROOT = existsSync("/dev/shm") ? "/dev/shm" : undefined;

async function write(directory: string, first: number, records: number): Promise<Buffer> {
  const { journal } = await openAt(directory);
  for (let note = first; note < first + records; note++)
    await journal.append({
      ...(note % 3 === 0 ? {} : { id: `id-${note}` }),
      note,
      text: ["plain", "é ✓ 😀", 'quote " and \\', ""][note % 4],
      nested: { list: [note, null, true, -0.5e-7], "": {} },
    });
  await journal.close();
  return readFileSync(join(directory, ACTIVE));
}

/** What a start makes of the file, without the lock and the syncs around it. */
async function replay(path: string) {
  const fd = openSync(path, "a+");
  const applied: { note: Note; seq: number }[] = [];
  const reader = new Replay<Note>(
    {
      max_record_bytes: 4096,
      ids: new RecentIds(0),
      log: createLog("silent"),
      apply: (note, seq) => applied.push({ note, seq }),
      apply_last: 1,
      adopt: (value) => value as Note,
    },
    0,
  );
  await reader.readActive(path, fd);
  closeSync(fd);
  reader.finish();
  return { ...reader.faults, records: reader.records, last: applied.at(-1) };
}

test(
  "a cut at each byte of the last 64 KiB leaves the exact valid prefix",
  () =>
    inDirectory(async (directory) => {
      const content = await write(directory, 1, RECORDS_PAST_64_KIB);
      expect(content.length).toBeGreaterThan(LAST_BYTES);
      const path = join(directory, ACTIVE);
      const whole_from = content.length - LAST_BYTES;
      let wrong = "";
      for (let size = content.length - 1; size >= whole_from && wrong === ""; size--) {
        const fd = openSync(path, "w");
        writeSync(fd, content, 0, size);
        closeSync(fd);
        const { records, corrupt, torn, gaps, last } = await replay(path);
        // A line that lacks only its newline is whole.
        const end = content[size] === 0x0a ? size + 1 : content.lastIndexOf("\n", size - 1) + 1;
        const expected = linesBefore(content, end);
        const is_cut_clean = end === size || end === size + 1;
        const left = readFileSync(path);
        if (
          records !== expected ||
          last?.note.note !== expected ||
          last.seq !== expected ||
          corrupt + gaps > 0 ||
          torn !== (is_cut_clean ? 0 : 1) ||
          !left.equals(content.subarray(0, end))
        )
          wrong = `cut at ${size}: ${JSON.stringify({ records, expected, corrupt, torn, gaps, last, left: left.length })}`;
        if (torn > 0) rmSync(`${path}.torn`);
      }
      expect(wrong).toBe("");
    }, ROOT),
  120_000,
);

const prefix = new Map<number, number>();
function linesBefore(content: Buffer, end: number): number {
  let lines = prefix.get(end);
  if (lines === undefined) {
    lines = 0;
    for (let at = content.indexOf(10); at !== -1 && at < end; at = content.indexOf(10, at + 1)) lines++;
    prefix.set(end, lines);
  }
  return lines;
}

test(
  "a flip of each byte of 1,000 records is found, and no altered record is taken for one",
  () =>
    inDirectory(async (directory) => {
      const journals = 50;
      const records = 20;
      let flips = 0;
      for (let journal = 0; journal < journals; journal++) {
        const at = join(directory, String(journal));
        const content = await write(at, journal * records, records);
        const path = join(at, ACTIVE);
        for (let offset = 0; offset < content.length; offset++) {
          // Of one byte a single bit, of the next any of them.
          const flipped = Buffer.from(content);
          flipped[offset] =
            (content[offset] as number) ^ (offset % 2 ? 1 << (offset % 8) : 1 + ((offset * 167) % 255));
          const fd = openSync(path, "w");
          writeSync(fd, flipped, 0, flipped.length);
          closeSync(fd);
          const found = await replay(path);
          flips++;
          if (found.corrupt + found.torn === 0 || found.records >= records)
            expect().fail(`a flip at ${offset} of ${content.length} was not found: ${JSON.stringify(found)}`);
        }
      }
      expect(flips).toBeGreaterThan(journals * records * 100);
    }, ROOT),
  240_000,
);
