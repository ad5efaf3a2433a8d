/** Vectors as text: many numbers, so they are written in slices that let other requests through. */

/** Some milliseconds of writing. */
const SLICE_NUMBERS = 16_384;

/** The JSON of each vector: numbers, or little-endian f32 in base64. */
export async function vectorsAsJson(
  vectors: readonly Float32Array[],
  encoding: "float" | "base64",
): Promise<string[]> {
  const written: string[] = [];
  let numbers = 0;
  for (const vector of vectors) {
    written.push(encoding === "base64" ? `"${toBase64(vector)}"` : `[${vector.join(",")}]`);
    numbers += vector.length;
    if (numbers < SLICE_NUMBERS) continue;
    numbers = 0;
    await new Promise((resolve) => setImmediate(resolve));
  }
  return written;
}

/** Little-endian on every machine that Bun runs on. */
function toBase64(vector: Float32Array): string {
  return Buffer.from(vector.buffer, vector.byteOffset, vector.byteLength).toString("base64");
}

/** @param text base64 of a whole number of f32 */
export function fromBase64(text: string): Float32Array {
  return new Float32Array(Uint8Array.from(Buffer.from(text, "base64")).buffer);
}
