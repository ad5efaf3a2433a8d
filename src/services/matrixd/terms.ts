/** What a text is made of, for comparing texts without a model: its words, cut to stems, and its identifiers. */

/** English words that say nothing of a text's matter. */
const STOPWORDS = new Set(
  `a about above after again all also an and any are as at be because been before being below between both but by can
  could did do does doing down during each few for from further get had has have having he her here him his how i if in
  into is it its just let like may me more most must my no nor not now of off on once one only or other our out over own
  same set she should so some such than that the their them then there these they this those through to too under until
  up use used uses using very via was we were what when where which while who whom why will with within without would
  you your`
    .split(/\s+/)
    .filter((word) => word !== ""),
);
/** A text is read so far; a chunk of a search is far shorter. */
const MAX_CHARS = 16_000;
const MAX_TERM_CHARS = 64;
/** Longer runs without a space are no names: data, addresses. */
const MAX_RUN_CHARS = 256;

export interface Terms {
  /** Stems of the words, how often each is there. */
  readonly words: ReadonlyMap<string, number>;
  /** Names as they are written, lower-cased: camelCase, snake_case, kebab-case, dotted, in backquotes, or Capitalised within a sentence. */
  readonly identifiers: ReadonlySet<string>;
}

export function termsOf(text: string): Terms {
  const read = text.slice(0, MAX_CHARS);
  const words = new Map<string, number>();
  for (const [whole] of read.matchAll(/[\p{L}\p{N}_]+/gu))
    for (const part of partsOf(whole)) {
      const word = part.toLowerCase();
      if (word.length < 2 || word.length > MAX_TERM_CHARS || STOPWORDS.has(word)) continue;
      const stem = stemOf(word);
      words.set(stem, (words.get(stem) ?? 0) + 1);
    }
  return { words, identifiers: identifiersOf(read) };
}

/** Every pattern here reads a text in one go: what a text is made of must not decide how long that takes. */
function identifiersOf(text: string): Set<string> {
  const found = new Set<string>();
  const add = (name: string) => {
    const known = name.replace(/^[^\p{L}\p{N}@_]+|[^\p{L}\p{N}_]+$/gu, "").toLowerCase();
    if (known.length > 1 && known.length <= MAX_TERM_CHARS && !STOPWORDS.has(known)) found.add(known);
  };
  for (const [run] of text.matchAll(/[@\p{L}\p{N}_$][\p{L}\p{N}_$./:-]*/gu)) {
    if (run.length > MAX_RUN_CHARS) continue;
    if (/[\p{L}\p{N}_$][-./:]+[\p{L}_$]/u.test(run)) add(run);
    for (const part of run.split(/[-./:@$]+/))
      if (/\p{Ll}\p{Lu}|[\p{L}\p{N}]_[\p{L}\p{N}]/u.test(part)) add(part);
  }
  for (const [, name = ""] of text.matchAll(/`([^`\s]{2,64})`/g)) add(name);
  // Within a sentence a capital begins a name; at its beginning it says nothing.
  for (const [, name = ""] of text.matchAll(/(?<=[\p{Ll}\p{N},;] )(\p{Lu}[\p{L}\p{N}]+)/gu)) add(name);
  return found;
}

/** A camelCase or snake_case name's words; of any other word itself. */
function partsOf(word: string): string[] {
  if (!/_|\p{Ll}\p{Lu}|\p{Lu}{2}\p{Ll}/u.test(word)) return [word];
  return word
    .split(/_+|(?<=\p{Ll}|\p{N})(?=\p{Lu})|(?<=\p{Lu})(?=\p{Lu}\p{Ll})/u)
    .filter((part) => part !== "");
}

/** Cuts an English inflection (the first steps of Porter, 1980): plural, past and -ing of the same word become one. */
export function stemOf(word: string): string {
  let stem = word;
  if (stem.length > 4 && stem.endsWith("ies")) stem = `${stem.slice(0, -3)}y`;
  else if (stem.length > 3 && /[^sui]s$/.test(stem)) stem = stem.slice(0, -1);
  const cut = /^(.*[aeiouy].{1,})(?:ing|ed)$/.exec(stem)?.[1];
  if (cut !== undefined && cut.length > 2) stem = /([^aeiouls])\1$/.test(cut) ? cut.slice(0, -1) : cut;
  return stem.length > 4 && stem.endsWith("e") ? stem.slice(0, -1) : stem;
}
