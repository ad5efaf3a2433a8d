/** The segment that is appended to: its descriptors, its syncs, and its end as a closed one. */
import { closeSync, existsSync, ftruncateSync, openSync, renameSync } from "node:fs";
import { basename } from "node:path";
import { syncDirectory } from "../files.ts";
import { type JournalFiles, type Segment, syncData, writeAll } from "./segments.ts";

/**
 * How many syncs run at once. The second shares the file system's commit with the first, or is next in line: with
 * two, a record waits for one sync instead of the rest of another and then its own.
 */
export const SYNCS_AT_ONCE = 2;

export class ActiveSegment {
  readonly #files: JournalFiles;
  /**
   * One for each sync that may run: Linux tells a failed write-back once for each open descriptor, and both syncs
   * must hear of it.
   */
  #fds: number[];
  #turn = 0;
  #size_bytes: number;
  #first_seq: number;

  /** @param fd open for appending; taken over */
  constructor(files: JournalFiles, fd: number, size_bytes: number, first_seq: number) {
    this.#files = files;
    this.#fds = [fd];
    this.#size_bytes = size_bytes;
    this.#first_seq = first_seq;
    this.#openOthers();
  }

  get size_bytes(): number {
    return this.#size_bytes;
  }

  get first_seq(): number {
    return this.#first_seq;
  }

  write(bytes: Uint8Array, length: number): void {
    writeAll(this.#fds[0] as number, bytes, length);
    this.#size_bytes += length;
  }

  /** Makes all that was written before durable. */
  sync(): Promise<void> {
    this.#turn = (this.#turn + 1) % this.#fds.length;
    return syncData(this.#fds[this.#turn] as number);
  }

  /**
   * Closes the segment under its own name and begins another; both names are durable when this resolves. No sync
   * may be under way.
   */
  async rotate(next_seq: number): Promise<Segment> {
    const closed = { path: this.#files.closed(this.#first_seq), first_seq: this.#first_seq };
    if (existsSync(closed.path)) throw new Error(`a segment named ${basename(closed.path)} is there already`);
    await this.sync();
    const { active } = this.#files;
    renameSync(active, closed.path);
    if (existsSync(`${active}.corrupt`)) renameSync(`${active}.corrupt`, `${closed.path}.corrupt`);
    const fd = openSync(active, "ax", 0o644);
    this.close();
    this.#fds = [fd];
    this.#openOthers();
    this.#first_seq = next_seq;
    this.#size_bytes = 0;
    await syncDirectory(this.#files.directory);
    return closed;
  }

  /** Cuts off what was written after the first `size_bytes`. */
  truncate(size_bytes: number): void {
    ftruncateSync(this.#fds[0] as number, size_bytes);
    this.#size_bytes = size_bytes;
  }

  close(): void {
    for (const fd of this.#fds) closeSync(fd);
  }

  #openOthers(): void {
    while (this.#fds.length < SYNCS_AT_ONCE) this.#fds.push(openSync(this.#files.active, "a"));
  }
}
