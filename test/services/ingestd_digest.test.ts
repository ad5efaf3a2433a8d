import { describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import fc from "fast-check";
import { BodyDigest } from "../../src/services/ingestd/digest.ts";

const MIB = 1024 * 1024;

/** The definition, written plainly: whole MiBs, then the rest, which may be empty. */
function expected(bytes: Uint8Array): string {
  const outer = createHash("sha256");
  const whole = Math.floor(bytes.byteLength / MIB);
  for (let at = 0; at <= whole; at++)
    outer.update(
      createHash("sha256")
        .update(bytes.subarray(at * MIB, (at + 1) * MIB))
        .digest(),
    );
  return outer.digest("hex");
}

async function digestOf(bytes: Uint8Array, cuts: readonly number[]): Promise<string> {
  const digest = new BodyDigest();
  const ends = [...cuts.filter((it) => it < bytes.byteLength), bytes.byteLength].sort((a, b) => a - b);
  let at = 0;
  for (const end of ends) {
    // A chunk of its own that is overwritten after: no block may be read later than it was given.
    const chunk = bytes.slice(at, end);
    await digest.update(chunk);
    chunk.fill(0);
    at = end;
  }
  return digest.hex();
}

describe("a body's digest", () => {
  test("is by the MiB, however the body is cut, also past the blocks hashed at a time", async () => {
    const all = new Uint8Array(9 * MIB + 5);
    for (let at = 0; at < all.byteLength; at++) all[at] = (at * 31 + (at >> 20)) & 0xff;
    const size = fc.oneof(
      fc.constantFrom(0, 1, MIB - 1, MIB, MIB + 1, 9 * MIB),
      fc.nat({ max: all.byteLength }),
    );
    await fc.assert(
      fc.asyncProperty(
        size,
        fc.array(fc.nat({ max: all.byteLength }), { maxLength: 12 }),
        async (bytes, cuts) => {
          const body = all.subarray(0, bytes);
          expect(await digestOf(body, cuts)).toBe(expected(body));
        },
      ),
      { numRuns: 25 },
    );
  });

  test("differs where one byte of a block that was handed over differs", async () => {
    const body = new Uint8Array(2 * MIB);
    const other = body.slice();
    other[5] = 1;
    expect(await digestOf(other, [])).not.toBe(await digestOf(body, []));
  });
});
