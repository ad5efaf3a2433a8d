/**
 * Writes src/services/matrixd/english/common_words.txt: stems of common English words, the most common first, out of
 * the built-in model's vocabulary, which stands in order of frequency. `bun scripts/matrix/common_words.ts`
 */
import { resolve } from "node:path";
import { stemOf } from "../../src/services/matrixd/terms.ts";

const VOCABULARY = resolve(import.meta.dir, "../../src/services/embedd/model/vocab.txt");
const OUT = resolve(import.meta.dir, "../../src/services/matrixd/english/common_words.txt");
const WORDS = 3000;

const vocabulary = (await Bun.file(VOCABULARY).text()).split("\n");
const stems = new Set(vocabulary.filter((token) => /^[a-z]{2,}$/.test(token)).map(stemOf));
await Bun.write(OUT, `${[...stems].slice(0, WORDS).join("\n")}\n`);
