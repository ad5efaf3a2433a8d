/**
 * The words of one index's texts in memory, for ranking by BM25 in a time that common words don't spoil: FTS5
 * works out a rank for each row that has any word of a query. What a word is, FTS5 says, so both rank alike.
 * Derived, and filled in steps.
 */
import { Database } from "bun:sqlite";
import { Best, type Placed } from "./best.ts";
import { Bits, place } from "./bits.ts";
import { type ItemReader, TOKENIZER } from "./store.ts";

/** As FTS5 has them (Robertson and Zaragoza, 2009; sqlite.org/fts5.html#the_bm25_function). */
const K1 = 1.2;
const B = 0.75;
const LEAST_IDF = 1e-6;
/** Less than any part of a score. */
const SEED = Number.MIN_VALUE;
/** The lists are made anew once so many documents, and such a part of them, are no more. */
const DEAD_MIN = 1000;
const DEAD_SHARE = 0.3;
/** Words whose terms are remembered. */
const KNOWN_WORDS = 500_000;
const WORDS = /[\p{L}\p{N}\p{M}\p{Co}]+/gu;
/** Items whose texts are read in one go: what a search may have to wait for. */
const STEP_ITEMS = 50;
/** A ranking reads so many itself, so that it knows of what was just written. */
const READ_AT_ONCE = 5000;
const POSTING_BYTES = 16;

interface Posting {
  /** Rising. */
  documents: number[];
  /** How often each has the term. */
  counts: number[];
}

/** A term of a query. */
interface Asked {
  readonly posting: Posting;
  readonly idf: number;
}

export interface Worded {
  readonly key: number;
  readonly bm25: number;
}

/** Asks FTS5 which terms a word becomes. */
class Terms {
  readonly #db = new Database(":memory:");

  constructor() {
    this.#db.run(`CREATE VIRTUAL TABLE words USING fts5 (text, tokenize = '${TOKENIZER}')`);
    this.#db.run("CREATE VIRTUAL TABLE terms USING fts5vocab (words, instance)");
  }

  /** The terms of each word, in the words' order. */
  of(words: readonly string[]): string[][] {
    const terms = words.map((): string[] => []);
    if (words.length === 0) return terms;
    const insert = this.#db.query("INSERT INTO words (rowid, text) VALUES (?, ?)");
    const read = this.#db.query<never, []>("SELECT doc, term FROM terms ORDER BY doc, offset");
    this.#db.transaction(() => {
      for (const [at, word] of words.entries()) insert.run(at, word);
      for (const [at, term] of read.values() as [number, string][]) terms[at]?.push(term);
      this.#db.run("DELETE FROM words");
    })();
    return terms;
  }

  close(): void {
    this.#db.close();
  }
}

export class Words {
  readonly #terms = new Terms();
  readonly #reader: ItemReader;
  /** By term. */
  readonly #postings = new Map<string, Posting>();
  /** Those of a word's terms. */
  readonly #known = new Map<string, readonly Posting[]>();
  /** By document, so rising: its item's key, and how many terms it has. */
  #keys: number[] = [];
  #lengths: number[] = [];
  /** Documents that are no more. */
  #gone = new Bits(0);
  #dead = 0;
  /** Of the documents that are there. */
  #length = 0;
  #entries = 0;
  /** Every text up to this key is in. */
  #covers_key = 0;
  /** By document, all 0 between two rankings. */
  #scores = new Float64Array(0);

  constructor(reader: ItemReader) {
    this.#reader = reader;
  }

  get bytes(): number {
    return this.#entries * POSTING_BYTES;
  }

  /** Reads a few texts. @param last_key of the newest item that may be read @returns whether any are left */
  step(last_key: number, items = STEP_ITEMS): boolean {
    if (this.#covers_key >= last_key) return false;
    const rows = this.#reader.texts(this.#covers_key, last_key, items);
    this.#put(rows);
    this.#covers_key = rows.length < items ? last_key : (rows.at(-1)?.key as number);
    return this.#covers_key < last_key;
  }

  /** Whether all texts are in, the last few by now. */
  isWhole(last_key: number): boolean {
    return !this.step(last_key, READ_AT_ONCE);
  }

  #put(rows: readonly { readonly key: number; readonly text: string | null }[]): void {
    const texts = rows.map(({ text }) => wordsOf(text ?? ""));
    this.#learn(texts);
    for (const [at, { key, text }] of rows.entries()) {
      if (text === null) continue;
      const document = this.#keys.push(key) - 1;
      let length = 0;
      for (const word of texts[at] ?? [])
        for (const posting of this.#known.get(word) ?? []) {
          this.#enter(posting, document);
          length++;
        }
      this.#lengths.push(length);
      this.#length += length;
    }
  }

  #learn(texts: readonly string[][]): void {
    if (this.#known.size > KNOWN_WORDS) this.#known.clear();
    const fresh = new Set<string>();
    for (const words of texts) for (const word of words) if (!this.#known.has(word)) fresh.add(word);
    const words = [...fresh];
    for (const [at, terms] of this.#terms.of(words).entries())
      this.#known.set(
        words[at] as string,
        terms.map((term) => this.#postingOf(term)),
      );
  }

  #postingOf(term: string): Posting {
    const known = this.#postings.get(term);
    if (known) return known;
    const posting = { documents: [], counts: [] };
    this.#postings.set(term, posting);
    return posting;
  }

  #enter({ documents, counts }: Posting, document: number): void {
    const last = documents.length - 1;
    if (documents[last] === document) counts[last] = (counts[last] as number) + 1;
    else {
      documents.push(document);
      counts.push(1);
      this.#entries++;
    }
  }

  remove(key: number): void {
    const document = place(this.#keys, key);
    if (this.#keys[document] !== key || this.#gone.has(document)) return;
    this.#gone.set(document);
    this.#length -= this.#lengths[document] as number;
    this.#dead++;
    if (this.#dead >= DEAD_MIN && this.#dead >= DEAD_SHARE * this.#keys.length) this.#compact();
  }

  /**
   * The best by BM25 that have any of these words, of those that pass; among equals the older first. Terms are taken by
   * falling rarity: once the others together can't lift a document with none so far among the best, only those
   * that have one are looked at (MaxScore; Turtle and Flood, 1995). What is found is the same.
   * @param among the keys that may pass, where they are few
   */
  rank(
    words: readonly string[],
    count: number,
    passes: (key: number) => boolean,
    among?: readonly number[],
  ): Worded[] {
    if (this.#scores.length < this.#keys.length)
      this.#scores = new Float64Array(Math.ceil(this.#keys.length * 1.5));
    const touched = among ? this.#seed(among) : [];
    let is_closed = among !== undefined;
    const terms = this.#asked(words);
    for (const [at, term] of terms.entries()) {
      // Asked where that takes less time than it may save.
      if (!is_closed && term.posting.documents.length > touched.length) {
        const worst = this.#best(touched, count, passes)[count - 1];
        const rest = terms.slice(at).reduce((sum, { idf }) => sum + idf * (K1 + 1), 0);
        is_closed = worst !== undefined && -worst.cost > rest;
      }
      this.#add(term, touched, is_closed);
    }
    const best = this.#best(touched, count, passes);
    for (const document of touched) this.#scores[document] = 0;
    return best.map(({ item, cost }) => ({ key: this.#keys[item] as number, bm25: -cost }));
  }

  #best(touched: readonly number[], count: number, passes: (key: number) => boolean): readonly Placed[] {
    const best = new Best(count);
    for (const document of touched) {
      const score = this.#scores[document] as number;
      if (score > SEED && best.isWorthy(-score, document) && passes(this.#keys[document] as number))
        best.add(document, -score, document);
    }
    return best.list();
  }

  /** The terms of these words that any text has, the rarest first. */
  #asked(words: readonly string[]): Asked[] {
    const unknown = words.filter((it) => !this.#known.has(it));
    const known = words.flatMap((word) => this.#known.get(word) ?? []);
    const others = this.#terms.of(unknown).flatMap((terms) => terms.map((it) => this.#postings.get(it)));
    return [...known, ...others]
      .filter((posting) => posting !== undefined)
      .map((posting) => ({ posting, idf: this.#idf(posting) }))
      .sort((a, b) => b.idf - a.idf);
  }

  #idf({ documents }: Posting): number {
    const total = this.#keys.length - this.#dead;
    let having = documents.length;
    if (this.#dead > 0) for (const it of documents) if (this.#gone.has(it)) having--;
    const rarity = Math.log((total - having + 0.5) / (having + 0.5));
    return rarity > 0 ? rarity : LEAST_IDF;
  }

  /** Gives documents a score that is lost in any real one. */
  #seed(keys: readonly number[]): number[] {
    const documents = keys
      .map((key) => place(this.#keys, key))
      .filter((it, at) => this.#keys[it] === keys[at]);
    for (const it of documents) this.#scores[it] = SEED;
    return documents;
  }

  /** Adds a term's part to the scores. @param is_closed whether only to those that have one */
  #add({ posting: { documents, counts }, idf }: Asked, touched: number[], is_closed: boolean): void {
    const scores = this.#scores;
    const gone = this.#dead > 0 ? this.#gone : undefined;
    const mean = this.#length / (this.#keys.length - this.#dead);
    for (let at = 0; at < documents.length; at++) {
      const document = documents[at] as number;
      const before = scores[document] as number;
      if ((before === 0 && is_closed) || gone?.has(document)) continue;
      const often = counts[at] as number;
      const long = (this.#lengths[document] as number) / mean;
      if (before === 0) touched.push(document);
      scores[document] = before + (idf * often * (K1 + 1)) / (often + K1 * (1 - B + B * long));
    }
  }

  /** Leaves out the documents that are no more. */
  #compact(): void {
    const kept: number[] = [];
    const renumbered = this.#keys.map((_, document) =>
      this.#gone.has(document) ? -1 : kept.push(document) - 1,
    );
    this.#entries = 0;
    for (const [term, posting] of this.#postings) {
      const { documents, counts } = posting;
      const left = documents
        .keys()
        .filter((at) => !this.#gone.has(documents[at] as number))
        .toArray();
      posting.documents = left.map((at) => renumbered[documents[at] as number] as number);
      posting.counts = left.map((at) => counts[at] as number);
      this.#entries += left.length;
      if (left.length === 0) this.#postings.delete(term);
    }
    // Terms may be gone: what a word becomes is asked anew.
    this.#known.clear();
    this.#keys = kept.map((document) => this.#keys[document] as number);
    this.#lengths = kept.map((document) => this.#lengths[document] as number);
    this.#gone = new Bits(0);
    this.#dead = 0;
  }

  close(): void {
    this.#terms.close();
  }
}

export const wordsOf = (text: string): string[] => text.toLowerCase().match(WORDS) ?? [];
