/**
 * BERT's tokenization: characters are cleaned, lower-cased and stripped of accents, words are split at
 * spaces, punctuation and ideographs, and each word is cut greedily into the longest WordPieces of the
 * vocabulary (Devlin et al. 2018; Wu et al. 2016). Equal to Hugging Face's tokenizers, special tokens
 * written out in the text included: what they do to each character is a table made from them.
 */

const UNKNOWN = 100;
const SPECIAL: readonly (readonly [string, number])[] = [
  ["[PAD]", 0],
  ["[UNK]", UNKNOWN],
  ["[CLS]", 101],
  ["[SEP]", 102],
  ["[MASK]", 103],
];
/** The reference gives up on longer words: they become [UNK]. */
const MAX_WORD_CHARACTERS = 100;

const DROPPED = 1;
const SPACE = 2;
const IDEOGRAPH = 4;
const PUNCTUATION = 8;
const MAPPED = 16;

const HANGUL_FIRST = 0xac00;
const HANGUL_LAST = 0xd7a3;

/** The vocabulary as a trie whose edges lie in one open-addressed hash table. */
class Trie {
  readonly #from: Int32Array;
  readonly #character: Int32Array;
  readonly #to: Int32Array;
  readonly #token: Int32Array;
  readonly #shift: number;
  #nodes = 2;

  /** Node 0 begins words, node 1 begins continuations (`##`). */
  constructor(vocabulary: readonly string[]) {
    const characters = vocabulary.reduce((sum, token) => sum + token.length, 0);
    const bits = Math.ceil(Math.log2(characters * 1.5 + 16));
    this.#shift = 32 - bits;
    this.#from = new Int32Array(2 ** bits).fill(-1);
    this.#character = new Int32Array(2 ** bits);
    this.#to = new Int32Array(2 ** bits);
    this.#token = new Int32Array(characters + 2).fill(-1);
    vocabulary.forEach((token, id) => {
      const continues = token.length > 2 && token.startsWith("##");
      let node = continues ? 1 : 0;
      for (const character of continues ? token.slice(2) : token) node = this.#grow(node, character);
      this.#token[node] = id;
    });
  }

  #slot(node: number, code: number): number {
    const mask = this.#from.length - 1;
    let slot = (Math.imul(node, 0x9e3779b1) ^ Math.imul(code, 0x85ebca6b)) >>> this.#shift;
    while (this.#from[slot] !== -1 && (this.#from[slot] !== node || this.#character[slot] !== code)) {
      slot = (slot + 1) & mask;
    }
    return slot;
  }

  #grow(node: number, character: string): number {
    const code = character.codePointAt(0) as number;
    const slot = this.#slot(node, code);
    if (this.#from[slot] === -1) {
      this.#from[slot] = node;
      this.#character[slot] = code;
      this.#to[slot] = this.#nodes++;
    }
    return this.#to[slot] as number;
  }

  /** The node reached from `node` by a code point, or -1. */
  step(node: number, code: number): number {
    const slot = this.#slot(node, code);
    return this.#from[slot] === -1 ? -1 : (this.#to[slot] as number);
  }

  /** The id of the token that ends at a node, or -1. */
  token(node: number): number {
    return this.#token[node] as number;
  }
}

function readCharacters(text: string): { kinds: Uint8Array; replacements: Map<number, readonly number[]> } {
  const kinds = new Uint8Array(0x110000);
  const replacements = new Map<number, readonly number[]>();
  const flags: Record<string, number> = {
    dropped: DROPPED,
    spaces: SPACE,
    ideographs: IDEOGRAPH,
    punctuation: PUNCTUATION,
  };
  for (const line of text.trimEnd().split("\n")) {
    const [name, ...fields] = line.split(" ") as [string, ...string[]];
    if (name === "mapped") {
      for (const field of fields) {
        const [code, becomes] = field.split(":") as [string, string];
        const key = Number.parseInt(code, 16);
        kinds[key] = (kinds[key] as number) | MAPPED;
        replacements.set(
          key,
          becomes.split(",").map((hex) => Number.parseInt(hex, 16)),
        );
      }
      continue;
    }
    const flag = flags[name];
    if (flag === undefined) throw new Error(`characters.txt has an unknown table "${name}"`);
    let at = 0;
    for (let i = 0; i < fields.length; i += 2) {
      at += Number(fields[i]);
      for (const end = at + Number(fields[i + 1]); at < end; at++) kinds[at] = (kinds[at] as number) | flag;
    }
  }
  return { kinds, replacements };
}

export class Tokenizer {
  readonly #trie: Trie;
  readonly #kinds: Uint8Array;
  readonly #replacements: Map<number, readonly number[]>;
  readonly #word = new Int32Array(MAX_WORD_CHARACTERS);
  #wordLength = 0;
  #ids: Uint16Array = new Uint16Array(0);
  #count = 0;

  /** @param vocabulary the text of vocab.txt @param characters the text of characters.txt */
  constructor(vocabulary: string, characters: string) {
    this.#trie = new Trie(vocabulary.trimEnd().split("\n"));
    const { kinds, replacements } = readCharacters(characters);
    this.#kinds = kinds;
    this.#replacements = replacements;
  }

  /**
   * Writes the token ids of a text, without [CLS] and [SEP], and returns how many there are.
   * Stops when `ids` is full: what comes later in the text is left out.
   */
  encode(text: string, ids: Uint16Array): number {
    this.#ids = ids;
    this.#count = 0;
    this.#wordLength = 0;
    for (let i = 0; i < text.length && this.#count < ids.length; i++) {
      let code = text.charCodeAt(i);
      if (code === 0x5b) {
        const special = SPECIAL.find(([token]) => text.startsWith(token, i));
        if (special) {
          this.#endWord();
          this.#push(special[1]);
          i += special[0].length - 1;
          continue;
        }
      } else if (code >= 0xd800 && code <= 0xdfff) {
        // A lone surrogate has no UTF-8 form; it would reach the reference as U+FFFD, which it drops.
        code = text.codePointAt(i) as number;
        if (code <= 0xffff) continue;
        i++;
      }
      this.#read(code);
    }
    this.#endWord();
    return this.#count;
  }

  #read(code: number): void {
    const kind = this.#kinds[code] as number;
    if (kind === 0) {
      if (code >= HANGUL_FIRST && code <= HANGUL_LAST) this.#decomposeHangul(code - HANGUL_FIRST);
      else this.#append(code);
    } else if (kind === SPACE) {
      this.#endWord();
    } else if ((kind & MAPPED) !== 0) {
      for (const part of this.#replacements.get(code) as readonly number[]) {
        if ((kind & IDEOGRAPH) !== 0 || ((this.#kinds[part] as number) & PUNCTUATION) !== 0)
          this.#alone(part);
        else this.#append(part);
      }
    } else if ((kind & DROPPED) === 0) {
      this.#alone(code);
    }
  }

  #decomposeHangul(syllable: number): void {
    this.#append(0x1100 + Math.floor(syllable / 588));
    this.#append(0x1161 + Math.floor((syllable % 588) / 28));
    if (syllable % 28 !== 0) this.#append(0x11a7 + (syllable % 28));
  }

  #append(code: number): void {
    if (this.#wordLength < MAX_WORD_CHARACTERS) this.#word[this.#wordLength] = code;
    this.#wordLength++;
  }

  #alone(code: number): void {
    this.#endWord();
    this.#append(code);
    this.#endWord();
  }

  #push(id: number): void {
    if (this.#count < this.#ids.length) this.#ids[this.#count++] = id;
  }

  /** Cuts the word read so far into pieces; a word that can't be cut wholly is one [UNK]. */
  #endWord(): void {
    const length = this.#wordLength;
    if (length === 0) return;
    this.#wordLength = 0;
    if (length > MAX_WORD_CHARACTERS) {
      this.#push(UNKNOWN);
      return;
    }
    const before = this.#count;
    for (let start = 0; start < length; ) {
      let node = start === 0 ? 0 : 1;
      let piece = -1;
      let end = start;
      for (let at = start; at < length; at++) {
        node = this.#trie.step(node, this.#word[at] as number);
        if (node === -1) break;
        const token = this.#trie.token(node);
        if (token !== -1) {
          piece = token;
          end = at + 1;
        }
      }
      if (piece === -1) {
        this.#count = before;
        this.#push(UNKNOWN);
        return;
      }
      this.#push(piece);
      start = end;
    }
  }
}
