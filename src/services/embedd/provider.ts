/** What a provider of vectors does: one batch at a time, in its own words as errors of ours. */

/** The vectors of one batch. */
export interface Batch {
  readonly vectors: readonly Float32Array[];
  /** Tokens of each text; where the provider tells only their sum, shared out by length. */
  readonly tokens: readonly number[];
  /** Positions of the texts that were longer than the model reads. */
  readonly truncated: readonly number[];
}

export interface Provider {
  /** What it is called in errors: `Ollama at http://…`. */
  readonly title: string;
  /** Texts of one call, at most. */
  readonly batch_texts: number;
  /** Calls at a time. */
  readonly parallel: number;
  /**
   * @throws LakeError `invalid` where a text is at fault, so that the others are tried without it;
   * `queue_full`; else `unavailable`
   */
  embed(texts: readonly string[], signal: AbortSignal): Promise<Batch>;
  /** Why it can't be used, where it is known. */
  readonly fault: string | undefined;
  close(): void;
}

/** Shares a batch's tokens out by the length of the texts, so that the sum stays. */
export function shareOut(total: number, texts: readonly string[]): number[] {
  const characters = texts.reduce((sum, { length }) => sum + length, 0);
  let before = 0;
  let given = 0;
  return texts.map(({ length }) => {
    before += length;
    const upto = characters === 0 ? 0 : Math.round((total * before) / characters);
    const share = upto - given;
    given = upto;
    return share;
  });
}

/** A common measure where nothing tells the tokens. */
const CHARACTERS_PER_TOKEN = 4;

export function guessTokens(texts: readonly string[]): number {
  return texts.reduce((sum, { length }) => sum + Math.ceil(length / CHARACTERS_PER_TOKEN), 0);
}
