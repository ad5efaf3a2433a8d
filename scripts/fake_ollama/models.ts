/** What the stand-in says: models, vectors and words that follow from the request and from nothing else. */

export interface FakeModel {
  readonly name: string;
  readonly dimension: number;
  /** Tokens it reads; a token is a word here. */
  readonly context: number;
  readonly can_chat: boolean;
  readonly family: string;
  readonly parameter_size: string;
  readonly size: number;
}

const model = (
  name: string,
  dimension: number,
  context: number,
  family: string,
  parameter_size: string,
  size: number,
): FakeModel => ({
  name: `${name}:latest`,
  dimension,
  context,
  can_chat: family === "llama",
  family,
  parameter_size,
  size,
});

export const MODELS: readonly FakeModel[] = [
  model("all-minilm", 384, 256, "bert", "23M", 45_960_996),
  model("nomic-embed-text", 768, 2048, "nomic-bert", "137M", 274_302_450),
  model("llama3.2", 3072, 4096, "llama", "3.2B", 2_019_393_189),
];

/** A name without a tag means its latest. */
export function findModel(name: string): FakeModel | undefined {
  return MODELS.find((it) => it.name === (name.includes(":") ? name : `${name}:latest`));
}

/** The same moment in every answer, so that two answers can be compared. */
export const CREATED_AT = "2026-01-01T00:00:00.000000Z";

/** As /api/tags lists it. */
export function asTag({ name, family, parameter_size, size }: FakeModel) {
  return {
    name,
    model: name,
    modified_at: CREATED_AT,
    size,
    digest: new Bun.CryptoHasher("sha256").update(name).digest("hex"),
    details: {
      parent_model: "",
      format: "gguf",
      family,
      families: [family],
      parameter_size,
      quantization_level: "F16",
    },
  };
}

export function wordsOf(text: string): string[] {
  return text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [];
}

/** The sum of a direction for each word, of unit length: texts that share words are near to each other. */
export function vectorOf(words: readonly string[], dimension: number): number[] {
  const sum = new Float64Array(dimension);
  for (const word of words.length === 0 ? [""] : words) {
    let state = Number(Bun.hash(word) & 0xffffffffn);
    for (let at = 0; at < dimension; at++) {
      // Numerical Recipes' linear congruential generator, for its high bits.
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      sum[at] = (sum[at] as number) + state / 2 ** 31 - 1;
    }
  }
  return normalized(sum);
}

export function normalized(vector: ArrayLike<number>): number[] {
  const values = Array.from(vector);
  const length = Math.hypot(...values);
  return values.map((it) => Math.fround(it / length));
}

/** The pieces of an answer to a prompt, as a stream has them. */
export function reply(prompt: string): string[] {
  const words = wordsOf(prompt);
  const told = words.length === 0 ? "nothing" : words.slice(0, 24).join(" ");
  return `You said ${words.length} words: ${told}.`.split(/(?= )/);
}
