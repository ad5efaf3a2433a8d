/**
 * The sentence encoder that a benchmark is given beside the built-in model: `--onnx FOLDER`, a folder as
 * docs/embeddings.md tells how to make one; and how near its vectors are to the reference's, where these lie
 * beside a retrieval set (scripts/distill/retrieval_sets.py).
 */
import { resolve } from "node:path";
import { dot, embed } from "../../test/support/embedd.ts";
import { type SetFile, textOf } from "./retrieval_sets.ts";
import type { Row } from "./row.ts";

/** What the encoder is called in the lake's settings. */
export const ENCODER = "transformer";
const BATCH = 32;
const COMPARED = 512;
/** Texts that the reference read whole, too: it cuts at 256 tokens. */
const COMPARED_CHARS = 800;
const SAME_COSINE = 0.999;

/** What follows a flag on the command line. */
export function option(flag: string): string | undefined {
  const at = process.argv.indexOf(flag);
  return at === -1 ? undefined : process.argv[at + 1];
}

/** The settings that add the encoder; undefined, and a word about it, where none is named. */
export function encoderSettings(): Record<string, string> | undefined {
  const folder = option("--onnx");
  if (folder === undefined) {
    console.error("transformer: not measured; name the folder of a sentence encoder with --onnx FOLDER");
    return undefined;
  }
  return {
    LAKEHOUSE_EMBEDD_MODELS: JSON.stringify([{ name: ENCODER, provider: "onnx", path: resolve(folder) }]),
    // Quality is measured, and an encoder on a busy processor takes its time.
    LAKEHOUSE_EMBEDD_TIMEOUT_MS: "240000",
    LAKEHOUSE_EMBEDD_PROVIDER_TIMEOUT_MS: "240000",
  };
}

/** No rows where the reference's vectors of this set are not there. */
export async function referenceRows(lake: { url: string }, { name, path, parts }: SetFile): Promise<Row[]> {
  const file = Bun.file(path.replace(/\.json$/, ".teacher.f32"));
  if (!(await file.exists())) return [];
  const reference = new Float32Array(await file.arrayBuffer());
  const texts = (parts[0]?.documents ?? []).map((it, at) => ({ at, text: textOf(it) }));
  const compared = texts.filter(({ text }) => text.trim() && text.length < COMPARED_CHARS).slice(0, COMPARED);
  let lowest = 1;
  for (let from = 0; from < compared.length; from += BATCH) {
    const some = compared.slice(from, from + BATCH);
    const asked = some.map(({ text }) => text);
    const { vectors, dimension } = await embed(lake, asked, { model: ENCODER });
    for (const [i, { at }] of some.entries()) {
      const expected = reference.subarray(at * dimension, (at + 1) * dimension);
      lowest = Math.min(lowest, dot(vectors[i] as number[], expected));
    }
  }
  return [
    {
      what: `the encoder by ONNX against its reference, ${compared.length} texts of ${name}`,
      target: `cosine > ${SAME_COSINE}`,
      measured: `at least ${lowest.toFixed(6)}`,
      met: lowest > SAME_COSINE,
    },
  ];
}
