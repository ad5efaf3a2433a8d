/** A budget of tokens, spent on whole hits. */
import type { MatrixFound, MatrixHit } from "./schema.ts";

/** UTF-8 bytes of a token, about: four letters of English, or a little more than one sign of Chinese. */
const BYTES_PER_TOKEN = 4;

/** An estimate that no tokenizer is needed for. */
export function tokensOf(text: string | null): number {
  return text === null ? 0 : Math.ceil(Buffer.byteLength(text) / BYTES_PER_TOKEN);
}

/** Takes hits in their order as long as they fit; one that does not is left out whole, and the next is tried. */
export function fit(
  hits: MatrixHit[],
  budget_tokens: number | undefined,
): Pick<MatrixFound, "results" | "budget"> {
  if (budget_tokens === undefined) return { results: hits };
  const results: MatrixHit[] = [];
  const left_out: { corpus: string; id: string; tokens: number }[] = [];
  let spent = 0;
  for (const hit of hits) {
    const { corpus, id } = hit;
    const { tokens } = hit.provenance;
    if (spent + tokens > budget_tokens) left_out.push({ corpus, id, tokens });
    else {
      spent += tokens;
      results.push(hit);
    }
  }
  return { results, budget: { tokens: spent, left_out } };
}
