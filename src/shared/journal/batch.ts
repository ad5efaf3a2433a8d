/** Records on their way to the disk, already as the bytes that will be written. */
import type { LakeError } from "../errors.ts";
import type { Appended } from "../journal.ts";
import { FRAME_BYTES, writeFrame } from "./frame.ts";

/** UTF-8 bytes of one UTF-16 code unit, at most. */
const UTF8_PER_UNIT = 3;

export class Batch<R> {
  bytes: Buffer;
  used_bytes = 0;
  readonly records: R[] = [];
  readonly #settled = Promise.withResolvers<Appended>();

  constructor(bytes: Buffer) {
    this.bytes = bytes;
    // Whoever appended hears of a failure; with nobody listening any more it must not end the process.
    this.#settled.promise.catch(() => {});
  }

  get appended(): Promise<Appended> {
    return this.#settled.promise;
  }

  /** Frames a record at the end of the batch. */
  add(record: R, text: string, seq: number): void {
    const needed = this.used_bytes + text.length * UTF8_PER_UNIT + FRAME_BYTES;
    if (needed > this.bytes.length) {
      const larger = Buffer.allocUnsafe(Math.max(this.bytes.length * 2, needed));
      this.bytes.copy(larger, 0, 0, this.used_bytes);
      this.bytes = larger;
    }
    const length = this.bytes.write(text, this.used_bytes, "utf8");
    this.used_bytes = writeFrame(this.bytes, this.used_bytes, length, seq);
    this.records.push(record);
  }

  acknowledge(): void {
    this.#settled.resolve("appended");
  }

  refuse(failure: LakeError): void {
    this.#settled.reject(failure);
  }
}
