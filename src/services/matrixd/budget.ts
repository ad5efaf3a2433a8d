/** A budget of tokens, spent on whole hits. */

/** UTF-8 bytes of a token, about: four letters of English, or a little more than one sign of Chinese. */
const BYTES_PER_TOKEN = 4;

/** An estimate that no tokenizer is needed for. */
export function tokensOf(text: string | null): number {
  return text === null ? 0 : Math.ceil(Buffer.byteLength(text) / BYTES_PER_TOKEN);
}

export interface Spent<T> {
  readonly kept: T[];
  readonly left_out: T[];
  readonly tokens: number;
}

/** Takes hits in their order as long as they fit; one that does not is left out whole, and the next is tried. */
export function spend<T extends { readonly tokens: number }>(
  hits: readonly T[],
  budget_tokens: number,
): Spent<T> {
  const kept: T[] = [];
  const left_out: T[] = [];
  let tokens = 0;
  for (const hit of hits) {
    if (tokens + hit.tokens > budget_tokens) {
      left_out.push(hit);
      continue;
    }
    tokens += hit.tokens;
    kept.push(hit);
  }
  return { kept, left_out, tokens };
}
