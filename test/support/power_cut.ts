/**
 * What a disk holds after a power cut, by the letter of POSIX: a file's bytes up to its last completed sync, under
 * the names of its directory's last completed sync. Fed with the system calls of a recorded run.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import type { SystemCall } from "./strace.ts";

interface Inode {
  content: Buffer;
  durable: Buffer;
  /** When the newest of its syncs began: of two at once the older may end last. */
  synced_at: number;
}

export class PowerCutDisk {
  readonly #directory: string;
  readonly #names = new Map<string, Inode>();
  #durable_names = new Map<string, Inode>();
  /** The contents as they were when each call completed, for syncs that began before a later write. */
  readonly #history: Map<Inode, Buffer>[] = [];

  /** @param directory whose files are followed; others are none of its business */
  constructor(directory: string) {
    this.#directory = directory;
  }

  /** @returns whether the call changed what a power cut would leave */
  apply(call: SystemCall): boolean {
    const changed = call.result >= 0 && this.#apply(call);
    this.#history.push(new Map([...this.#inodes()].map((inode) => [inode, inode.content])));
    return changed;
  }

  /** Writes what is left when no unsynced byte and no unsynced name survives. */
  leave(directory: string): void {
    mkdirSync(directory, { recursive: true });
    for (const [name, inode] of this.#durable_names) writeFileSync(join(directory, name), inode.durable);
  }

  /** Writes what is left when every name and some of the unsynced bytes survive. @param share of them, from 0 to 1 */
  leaveSome(directory: string, share: number): void {
    mkdirSync(directory, { recursive: true });
    for (const [name, { content, durable }] of this.#names) {
      const unsynced = Math.max(0, content.length - durable.length);
      writeFileSync(
        join(directory, name),
        content.subarray(0, durable.length + Math.floor(unsynced * share)),
      );
    }
  }

  #apply(call: SystemCall): boolean {
    if (call.name === "fsync" && call.path === this.#directory) {
      this.#durable_names = new Map(this.#names);
      return true;
    }
    if (dirname(call.path) !== this.#directory) return false;
    const name = basename(call.path);
    const inode = this.#names.get(name);
    if (call.name === "openat") {
      if (!inode && call.args.includes("O_CREAT"))
        this.#names.set(name, { content: Buffer.alloc(0), durable: Buffer.alloc(0), synced_at: 0 });
      return false;
    }
    if (!inode) throw new Error(`${call.name} of ${name}, which nothing created`);
    if (call.name === "write")
      inode.content = Buffer.concat([inode.content, call.data.subarray(0, call.result)]);
    else if (call.name === "ftruncate")
      inode.content = inode.content.subarray(0, Number(/\d+$/.exec(call.args)?.[0]));
    else if (call.name === "rename") {
      this.#names.delete(name);
      this.#names.set(basename(call.data.toString()), inode);
    } else if (call.name === "unlink") this.#names.delete(name);
    else if (call.name === "fsync" || call.name === "fdatasync") {
      if (call.began_after < inode.synced_at) return false;
      inode.synced_at = call.began_after;
      // Only what was there when the sync began is sure to be on the disk.
      inode.durable = this.#history[call.began_after - 1]?.get(inode) ?? Buffer.alloc(0);
      return true;
    }
    return false;
  }

  #inodes(): Set<Inode> {
    return new Set([...this.#names.values(), ...this.#durable_names.values()]);
  }
}
