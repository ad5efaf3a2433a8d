/**
 * The 10,000 texts on which the tokenizer is compared with the reference: every script, emoji, control
 * characters, odd spaces, overlong words, special tokens. scripts/distill/fixture.py holds the same
 * generator in Python, so only hashes of the expected ids are committed.
 */

export const TEXTS = 10_000;

/** First and last code point of each range a text may draw from: all planes that hold characters. */
// biome-ignore format: a table reads better as one
const RANGES: readonly (readonly [number, number])[] = [
  [0x00, 0x1f], [0x20, 0x7e], [0x7f, 0xa0], [0xa1, 0xff], [0x100, 0x24f], [0x250, 0x2af], [0x2b0, 0x36f],
  [0x370, 0x3ff], [0x400, 0x52f], [0x530, 0x58f], [0x590, 0x5ff], [0x600, 0x6ff], [0x700, 0x8ff],
  [0x900, 0x97f], [0x980, 0xdff], [0xe00, 0xeff], [0xf00, 0xfff], [0x1000, 0x109f], [0x10a0, 0x10ff],
  [0x1100, 0x11ff], [0x1200, 0x139f], [0x13a0, 0x167f], [0x1680, 0x18af], [0x18b0, 0x1cff],
  [0x1d00, 0x1dff], [0x1e00, 0x1eff], [0x1f00, 0x1fff], [0x2000, 0x206f], [0x2070, 0x218f],
  [0x2190, 0x2bff], [0x2c00, 0x2e7f], [0x2e80, 0x2fff], [0x3000, 0x303f], [0x3040, 0x30ff],
  [0x3100, 0x33ff], [0x3400, 0x4dbf], [0x4e00, 0x9fff], [0xa000, 0xabff], [0xac00, 0xd7ff],
  [0xe000, 0xf8ff], [0xf900, 0xfaff], [0xfb00, 0xfdff], [0xfe00, 0xfe6f], [0xfe70, 0xfeff],
  [0xff00, 0xffff], [0x10000, 0x107ff], [0x10800, 0x10fff], [0x11000, 0x11fff], [0x12000, 0x16fff],
  [0x17000, 0x18fff], [0x1b000, 0x1bfff], [0x1d000, 0x1dfff], [0x1e000, 0x1efff], [0x1f000, 0x1f2ff],
  [0x1f300, 0x1f6ff], [0x1f700, 0x1ffff], [0x20000, 0x2ffff], [0x30000, 0x3ffff], [0xe0000, 0xe01ef],
  [0xf0000, 0x10ffff],
];

// biome-ignore format: a list reads better as one
const PIECES: readonly string[] = [
  "[CLS]", "[SEP]", "[MASK]", "[UNK]", "[PAD]", "[sep]", "[", "##ing", "\r\n", "\t", "  ", "\u00a0", "\u200b",
  "\ufeff", "\ufffd", "\u0000", "e\u0301", "İstanbul", "ΣΊΣΥΦΟΣ", "ẞtraße", "ﬁnance", "㎏", "한국어", "日本語のテキスト",
  "العربية", "עִבְרִית", "हिन्दी", "ภาษาไทย", "👩‍👩‍👧‍👦", "🇩🇪", "👍🏽", "1️⃣", "❤️", "don't", "U.S.A.", "3.14%", "user@example.com",
  "https://example.com/a?b=c#d", "snake_case_name", "camelCaseName", "C++", "—", "…", "“quoted”",
  "unbelievably", "antidisestablishmentarianism", "Zürich", "naïve", "2026-11-23T10:00:00Z", "$1,000.50",
];

/** Mulberry32: a number in [0, n) from 32 bits of state; integer arithmetic only, equal in any language. */
export function below(state: { seed: number }, n: number): number {
  state.seed = (state.seed + 0x6d2b79f5) | 0;
  let t = Math.imul(state.seed ^ (state.seed >>> 15), 1 | state.seed);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return ((t ^ (t >>> 14)) >>> 0) % n;
}

function character(state: { seed: number }, range: number): string {
  const [first, last] = RANGES[range] as readonly [number, number];
  return String.fromCodePoint(first + below(state, last - first + 1));
}

/** @param words the vocabulary, from which plain words are taken */
export function* texts(words: readonly string[]): Generator<string> {
  const state = { seed: 20261123 };
  for (let i = 0; i < TEXTS; i++) {
    // Each range is at home in some texts; the parts mix it with words, odd pieces and other ranges.
    const home = i % RANGES.length;
    const parts = 1 + below(state, 12);
    let text = "";
    for (let p = 0; p < parts; p++) {
      const kind = below(state, 10);
      if (kind < 3) {
        const length = 1 + below(state, 8);
        for (let c = 0; c < length; c++) text += character(state, home);
      } else if (kind < 6) {
        const word = words[1000 + below(state, 25_000)] as string;
        text += below(state, 3) === 0 ? word.toUpperCase() : word;
      } else if (kind < 8) {
        text += PIECES[below(state, PIECES.length)];
      } else if (kind < 9) {
        text += character(state, below(state, RANGES.length));
      } else {
        text += "a".repeat(below(state, 40) === 0 ? 101 : 1 + below(state, 3));
      }
      if (below(state, 3) !== 0) text += " ";
    }
    yield text;
  }
}

/** FNV-1a over token ids, 16 bits at a time. */
export function hashOfIds(ids: Iterable<number>): number {
  let hash = 0x811c9dc5;
  for (const id of ids) hash = Math.imul(hash ^ id, 0x01000193);
  return hash >>> 0;
}
