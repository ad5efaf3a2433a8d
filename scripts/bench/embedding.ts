/**
 * The built-in model's speed on one core, its load time and its memory, each in a process of its own;
 * the texts are sentences of eight to sixteen words. The reference is the same work less the table:
 * cutting the texts into tokens alone.
 */

import { StaticModel } from "../../src/services/embedd/static_model.ts";
import { median, printRows, type Row } from "./row.ts";

const TEXTS = 20_000;
const BATCH = 500;

function sentences(words: readonly string[]): string[] {
  let state = 1;
  const below = (n: number) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * n);
  };
  return Array.from({ length: TEXTS }, () =>
    Array.from({ length: 8 + below(9) }, () => words[below(words.length)] as string).join(" "),
  );
}

interface Measured {
  load_ms: number;
  texts_per_s: number;
  tokens_per_s: number;
  tokenized_per_s: number;
  grown_mib: number;
  /** One query of twelve words against 200 candidates. */
  soft_match_ms: number;
}

async function measure(): Promise<Measured> {
  const before = process.memoryUsage.rss();
  const start = performance.now();
  const model = await StaticModel.load({ max_tokens: 512 });
  const load_ms = performance.now() - start;
  model.embed(["warm"]);
  const grown_mib = (process.memoryUsage.rss() - before) / 2 ** 20;
  const vocabulary = await Bun.file(
    new URL("../../src/services/embedd/model/vocab.txt", import.meta.url),
  ).text();
  const texts = sentences(vocabulary.split("\n").filter((word) => /^[a-z]{2,}$/.test(word)));
  let tokens = 0;
  const embedding: number[] = [];
  const cutting: number[] = [];
  for (let round = 0; round < 5; round++) {
    let from = performance.now();
    tokens = 0;
    for (const text of texts) tokens += model.countTokens(text);
    cutting.push((TEXTS * 1000) / (performance.now() - from));
    from = performance.now();
    for (let i = 0; i < TEXTS; i += BATCH) model.embed(texts.slice(i, i + BATCH));
    embedding.push((TEXTS * 1000) / (performance.now() - from));
  }
  const softMatching = texts.slice(0, 50).map((query) => {
    const from = performance.now();
    model.softMatch(query, texts.slice(1000, 1200));
    return performance.now() - from;
  });
  const texts_per_s = median(embedding);
  return {
    load_ms,
    texts_per_s,
    tokens_per_s: (texts_per_s * tokens) / TEXTS,
    tokenized_per_s: median(cutting),
    grown_mib,
    soft_match_ms: median(softMatching),
  };
}

export async function run(): Promise<Row[]> {
  const runs: Measured[] = [];
  for (let i = 0; i < 3; i++) {
    const child = Bun.spawn([process.execPath, import.meta.path, "--measure"], { stdout: "pipe" });
    runs.push(JSON.parse(await new Response(child.stdout).text()) as Measured);
  }
  const middle = (name: keyof Measured) => median(runs.map((one) => one[name]));
  const texts = middle("texts_per_s");
  return [
    {
      what: "built-in model, short texts a second on one core",
      target: "≥ 20,000",
      measured: Math.round(texts).toLocaleString("en"),
      met: texts >= 20_000,
      detail: `${(middle("tokens_per_s") / 1e6).toFixed(2)}M tokens a second; ${(texts / middle("tokenized_per_s")).toFixed(2)} × cutting into tokens alone`,
    },
    {
      what: "built-in model, load with checksums",
      target: "≤ 150 ms",
      measured: `${middle("load_ms").toFixed(0)} ms`,
      met: middle("load_ms") <= 150,
    },
    {
      what: "built-in model, memory",
      target: "≤ 64 MiB",
      measured: `${middle("grown_mib").toFixed(0)} MiB`,
      met: middle("grown_mib") <= 64,
    },
    {
      what: "built-in model, soft matches of 200 short candidates",
      target: "≤ 15 ms",
      measured: `${middle("soft_match_ms").toFixed(1)} ms`,
      met: middle("soft_match_ms") <= 15,
    },
  ];
}

if (import.meta.main) {
  if (process.argv.includes("--measure")) console.log(JSON.stringify(await measure()));
  else printRows(await run());
}
