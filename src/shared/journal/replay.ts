/**
 * Reads a journal back. A framed line counts where its checksum holds; an unframed one, as an older system wrote
 * them, only at the head of a file and where it validates. Everything else is counted, told with its offset and
 * kept in `<file>.corrupt`; a tail torn by a crash is cut off into `<file>.torn`.
 */
import { closeSync, ftruncateSync, openSync, readSync, writeSync } from "node:fs";
import { basename } from "node:path";
import type { Log } from "../log.ts";
import { FRAME_BYTES, idStart, MISMATCH, NEWLINE, readFrame, UNFRAMED } from "./frame.ts";
import type { RecentIds } from "./recent_ids.ts";
import { type LineVisitor, scanLines } from "./scan.ts";
import { type Segment, syncData, writeAll } from "./segments.ts";

const COPY_BYTES = 64 * 1024;
const WARNINGS_PER_FILE = 20;
const utf8 = new TextDecoder("utf-8", { fatal: true });

export interface ReplayOptions<R> {
  readonly max_record_bytes: number;
  readonly ids: RecentIds;
  readonly log: Log;
  apply(record: R, seq: number): void;
  /** Only so many of the newest records are applied. */
  readonly apply_last: number;
  /** The record that an unframed line's object stands for; undefined where it is none. */
  adopt(value: object, seq: number): R | undefined;
}

/** What stands between the journal and a clean bill of health. */
export interface Faults {
  /** Lines that are not what was written. */
  corrupt: number;
  /** Tails cut off. */
  torn: number;
  /** Places where sequence numbers are missing, and no corrupt line stands for them. */
  gaps: number;
}

interface Location {
  readonly path: string;
  readonly offset: number;
  readonly length: number;
  readonly seq: number;
}

export class Replay<R> implements LineVisitor {
  readonly faults: Faults = { corrupt: 0, torn: 0, gaps: 0 };
  records = 0;
  /** The active segment's first sequence number, once it has one. */
  active_first_seq: number | undefined;
  /** The newest sequence number given out, counting those that corrupt lines stand for. */
  last_seq: number;
  readonly #options: ReplayOptions<R>;
  /** The newest records' places, a ring, where not all are applied as they are read. */
  readonly #newest: Location[] = [];
  #path = "";
  #fd = -1;
  #corrupt_fd = -1;
  #file_corrupt = 0;
  /** Corrupt lines since the last good one: they stand for as many sequence numbers. */
  #unaccounted = 0;
  #is_at_head = true;
  #is_active = false;
  #torn: { offset: number; length: number } | undefined;
  #lacks_newline = false;

  /** @param last_seq the sequence number before the first to be read */
  constructor(options: ReplayOptions<R>, last_seq: number) {
    this.#options = options;
    this.last_seq = last_seq;
  }

  /** Reads a closed segment. */
  readSegment({ path }: Segment): void {
    const fd = openSync(path, "r");
    try {
      this.#read(path, fd, false);
    } finally {
      closeSync(fd);
    }
  }

  /** Reads the active segment and makes it fit to be appended to. @param fd open for reading and appending */
  async readActive(path: string, fd: number): Promise<void> {
    this.#read(path, fd, true);
    if (this.#torn) {
      await this.#cut(this.#torn.offset, this.#torn.length);
      this.faults.torn++;
    }
    if (this.#lacks_newline) writeSync(fd, "\n");
  }

  /** Applies what was left for the end, and tells the last sequence number. */
  finish(): number {
    const { apply_last } = this.#options;
    const oldest = this.#newest.length < apply_last ? 0 : this.records % apply_last;
    const ordered = [...this.#newest.slice(oldest), ...this.#newest.slice(0, oldest)];
    let fd = -1;
    let path = "";
    for (const place of ordered) {
      if (place.path !== path) {
        if (fd !== -1) closeSync(fd);
        fd = openSync(place.path, "r");
        path = place.path;
      }
      const bytes = Buffer.allocUnsafe(place.length);
      readSync(fd, bytes, 0, place.length, place.offset);
      this.#apply(bytes, 0, place.length, place.seq);
    }
    if (fd !== -1) closeSync(fd);
    this.#newest.length = 0;
    return this.#next_seq - 1;
  }

  line(bytes: Buffer, start: number, end: number, offset: number, has_newline: boolean): void {
    const seq = readFrame(bytes, start, end);
    const place = { offset, length: end - start };
    if (seq > 0) this.#framed(bytes, start, end, seq, place);
    else if (seq === UNFRAMED && this.#is_at_head && this.#isLegacy(bytes, start, end))
      this.#good(bytes, start, end, this.#next_seq, offset);
    else if (has_newline || !this.#is_active)
      this.#corrupt(place, seq === MISMATCH ? "its checksum does not match" : "it is not a record");
    else {
      this.#torn = place;
      return;
    }
    this.#lacks_newline = !has_newline;
  }

  overlong(offset: number, length: number, has_newline: boolean): void {
    if (!has_newline && this.#is_active) this.#torn = { offset, length };
    else this.#corrupt({ offset, length }, "it is longer than a record may be");
  }

  #read(path: string, fd: number, is_active: boolean): void {
    this.#path = path;
    this.#fd = fd;
    this.#is_active = is_active;
    this.#is_at_head = true;
    this.#lacks_newline = false;
    this.#file_corrupt = 0;
    try {
      scanLines(fd, this.#options.max_record_bytes + FRAME_BYTES, this);
    } finally {
      if (this.#corrupt_fd !== -1) closeSync(this.#corrupt_fd);
      this.#corrupt_fd = -1;
    }
    const untold = this.#file_corrupt - WARNINGS_PER_FILE;
    if (untold > 0)
      this.#options.log.warn({ file: basename(path), lines: untold }, "more corrupt journal lines");
  }

  #framed(
    bytes: Buffer,
    start: number,
    end: number,
    seq: number,
    place: { offset: number; length: number },
  ): void {
    this.#is_at_head = false;
    if (seq <= this.last_seq) {
      this.#corrupt(place, `its _seq ${seq} was there before`);
      return;
    }
    const missing = seq - this.last_seq - 1;
    if (missing > this.#unaccounted) {
      this.faults.gaps++;
      this.#options.log.warn(
        { file: basename(this.#path), offset: place.offset, after_seq: this.last_seq, missing },
        "gap in the journal",
      );
    }
    this.#good(bytes, start, end, seq, place.offset);
  }

  /** The sequence number of a line that does not tell its own. */
  get #next_seq(): number {
    return this.last_seq + this.#unaccounted + 1;
  }

  #isLegacy(bytes: Buffer, start: number, end: number): boolean {
    let value: unknown;
    try {
      value = JSON.parse(utf8.decode(bytes.subarray(start, end)));
    } catch {
      return false; // Told by the caller as a corrupt line.
    }
    if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
    if (Object.hasOwn(value, "_seq") || Object.hasOwn(value, "_crc")) return false;
    if (this.#options.adopt(value, this.#next_seq) === undefined) return false;
    const { id } = value as { id?: unknown };
    if (typeof id === "string") this.#options.ids.add(id);
    return true;
  }

  #good(bytes: Buffer, start: number, end: number, seq: number, offset: number): void {
    this.last_seq = seq;
    this.#unaccounted = 0;
    if (this.#is_active) this.active_first_seq ??= seq;
    const id_start = idStart(bytes, start);
    if (id_start !== -1) this.#options.ids.addQuoted(bytes, id_start);
    const { apply_last } = this.#options;
    if (apply_last === Number.POSITIVE_INFINITY) this.#apply(bytes, start, end, seq);
    else if (apply_last > 0)
      this.#newest[this.records % apply_last] = { path: this.#path, offset, length: end - start, seq };
    this.records++;
  }

  #apply(bytes: Buffer, start: number, end: number, seq: number): void {
    const record = JSON.parse(bytes.toString("utf8", start, end));
    if (record._crc === undefined) {
      this.#options.apply(this.#options.adopt(record, seq) as R, seq);
      return;
    }
    delete record._crc;
    delete record._seq;
    this.#options.apply(record as R, seq);
  }

  #corrupt(place: { offset: number; length: number }, reason: string): void {
    this.faults.corrupt++;
    this.#unaccounted++;
    if (++this.#file_corrupt <= WARNINGS_PER_FILE)
      this.#options.log.warn(
        { file: basename(this.#path), offset: place.offset, bytes: place.length, reason },
        "corrupt journal line kept aside",
      );
    // Written anew at every start, since the line itself stays where it is.
    if (this.#corrupt_fd === -1) this.#corrupt_fd = openSync(`${this.#path}.corrupt`, "w");
    copyRange(this.#fd, this.#corrupt_fd, place.offset, place.length);
  }

  /** Moves the file's tail aside; it is safe there before it is gone here. */
  async #cut(offset: number, length: number): Promise<void> {
    this.#options.log.warn(
      { file: basename(this.#path), offset, bytes: length },
      "torn journal tail cut off",
    );
    const aside = openSync(`${this.#path}.torn`, "a");
    try {
      copyRange(this.#fd, aside, offset, length);
      await syncData(aside);
    } finally {
      closeSync(aside);
    }
    ftruncateSync(this.#fd, offset);
  }
}

/** Copies bytes from one file to the end of another, and a newline. */
function copyRange(from: number, to: number, offset: number, length: number): void {
  const bytes = Buffer.allocUnsafe(Math.min(length + 1, COPY_BYTES));
  for (let copied = 0; copied < length; ) {
    const read = readSync(from, bytes, 0, Math.min(bytes.length, length - copied), offset + copied);
    if (read === 0) break;
    writeAll(to, bytes, read);
    copied += read;
  }
  bytes[0] = NEWLINE;
  writeAll(to, bytes, 1);
}
