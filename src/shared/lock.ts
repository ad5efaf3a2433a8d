/** An exclusive lock on a file, by flock(2): the kernel releases it when its holder dies, however it dies. */
import { dlopen, read } from "bun:ffi";
import { closeSync, ftruncateSync, openSync, readFileSync, writeSync } from "node:fs";

const LOCK_EX = 2;
const LOCK_NB = 4;
const RETRY_MS = 20;
const IS_DARWIN = process.platform === "darwin";
const EWOULDBLOCK = IS_DARWIN ? 35 : 11;
const ERRNO = IS_DARWIN ? "__error" : "__errno_location";

/** glibc's name first, then musl's. */
const LIBRARIES = IS_DARWIN
  ? ["libSystem.B.dylib"]
  : ["libc.so.6", `libc.musl-${process.arch === "arm64" ? "aarch64" : "x86_64"}.so.1`];

export interface FileLock {
  release(): void;
}

/** Another process holds the lock and did not let go in time. */
export class LockHeldError extends Error {
  override readonly name = "LockHeldError";
}

/**
 * Takes the lock on `path`, creating the file where it is missing.
 * @param wait_ms how long to wait for a holder that may be leaving
 * @throws LockHeldError when it is still held then; a system error where the file can't be locked at all
 */
export async function lockFile(path: string, wait_ms: number): Promise<FileLock> {
  const fd = openSync(path, "a+", 0o644);
  try {
    const deadline_ms = performance.now() + wait_ms;
    while (!tryLock(fd)) {
      if (performance.now() >= deadline_ms)
        throw new LockHeldError(
          `${path} is held by process ${readFileSync(path, "utf8").trim() || "unknown"}`,
        );
      await Bun.sleep(RETRY_MS);
    }
    ftruncateSync(fd, 0);
    writeSync(fd, `${process.pid}\n`);
  } catch (error) {
    closeSync(fd);
    throw error;
  }
  return { release: () => closeSync(fd) };
}

let libc: ReturnType<typeof load> | undefined;

function load() {
  const symbols = {
    flock: { args: ["i32", "i32"], returns: "i32" },
    [ERRNO]: { args: [], returns: "ptr" },
  } as const;
  let last: unknown;
  for (const library of LIBRARIES)
    try {
      const { flock, [ERRNO]: errno } = dlopen(library, symbols).symbols;
      return { flock, errno: errno as unknown as () => Parameters<typeof read.i32>[0] };
    } catch (error) {
      last = error;
    }
  throw new Error(`no C library to lock files with (tried ${LIBRARIES.join(", ")})`, { cause: last });
}

function tryLock(fd: number): boolean {
  libc ??= load();
  if (libc.flock(fd, LOCK_EX | LOCK_NB) === 0) return true;
  const errno = read.i32(libc.errno(), 0);
  if (errno === EWOULDBLOCK) return false;
  throw new Error(`flock failed with errno ${errno}`);
}
