/**
 * What a caller says of focus and chunk beside their texts. Their weights are set by hand, not fitted: in the labelled
 * sets a path names its source, and a fit would believe nothing else.
 */
import type { Focus, RelevanceChunk } from "./schema.ts";

/** Each counts only where both sides say something. */
export interface Given {
  /** From -1, no folder in common, to 1, the same file. */
  path?: number;
  /** The share of the focus' symbols that the chunk has. */
  symbols?: number;
  /** From -1, no tag in common, to 1, all. */
  tags?: number;
  /** 1 where both are code, or both are not; else -1. */
  kind?: number;
}

export const GIVEN_WEIGHTS: Readonly<Required<Given>> = { path: 1.5, symbols: 1.5, tags: 1, kind: 0.25 };

const CODE = /\.(?:[cm]?[jt]sx?|py|go|rs|java|kt|swift|c|h|cc|cpp|hpp|cs|rb|php|sh|sql|scala|zig)$/i;

export function givenSignals(focus: Focus, chunk: RelevanceChunk): Given {
  const out: Given = {};
  if (focus.path !== undefined && chunk.path !== undefined) {
    out.path = nearness(focus.path, chunk.path);
    out.kind = CODE.test(focus.path) === CODE.test(chunk.path) ? 1 : -1;
  }
  if (focus.symbols !== undefined && focus.symbols.length > 0) {
    const text = `${chunk.text}\n${(chunk.symbols ?? []).join("\n")}`;
    out.symbols = focus.symbols.filter((symbol) => text.includes(symbol)).length / focus.symbols.length;
  }
  if (
    focus.tags !== undefined &&
    focus.tags.length > 0 &&
    chunk.tags !== undefined &&
    chunk.tags.length > 0
  ) {
    const shared = focus.tags.filter((tag) => chunk.tags?.includes(tag)).length;
    out.tags = (2 * shared) / Math.min(focus.tags.length, chunk.tags.length) - 1;
  }
  return out;
}

/** The share of leading segments in common, from -1 to 1. */
function nearness(a: string, b: string): number {
  const [left, right] = [segments(a), segments(b)];
  let shared = 0;
  while (shared < Math.min(left.length, right.length) && left[shared] === right[shared]) shared++;
  return (2 * shared) / Math.max(left.length, right.length, 1) - 1;
}

const segments = (path: string) => path.split("/").filter((segment) => segment !== "" && segment !== ".");
