/**
 * How well relevance tells a source's own chunks from its neighbours' that are near in embedding space, beside the
 * plain cosine and BM25, each with the threshold that did best on the training half. No paths are given, which
 * would tell the source. `--fit` prints weights and threshold fitted on the training half; those in the code are such.
 * `--sets FOLDER` adds LoCoMo's conversations, on which nothing was fitted.
 */
import { join } from "node:path";
import { StaticModel } from "../../src/services/embedd/static_model.ts";
import {
  COMPANY_SIGNALS,
  DEFAULT_THRESHOLD,
  type Fitted,
  judgeRelevance,
  logistic,
  MODEL,
  type RelevanceModel,
  signalsOf,
  TEXT_SIGNALS,
  withCompany,
} from "../../src/services/matrixd/relevance.ts";
import { fit } from "./logistic.ts";
import { type Case, cases, halvesOf } from "./relevance_cases.ts";
import { type Chunk, neighbourhoods } from "./relevance_sources.ts";
import { printRows, type Row } from "./row.ts";

const ROUNDS_OF_FITTING = 4;
const RESAMPLES = 1000;
const FEW = 5;
/** The last signal of the company's. */
const OF_ALL = TEXT_SIGNALS.length + COMPANY_SIGNALS.length - 1;

type Scorer = (it: Case) => readonly number[];

interface Quality {
  readonly f1: number;
  readonly precision: number;
  readonly recall: number;
}

async function ours(
  half: readonly Case[],
  model: RelevanceModel = MODEL,
  with_paths = false,
): Promise<Scorer> {
  const scores = new Map<Case, number[]>();
  for (const it of half) {
    const path = (chunk: Chunk) => (with_paths ? { path: chunk.path } : {});
    const focus = { text: it.focus.text, ...path(it.focus) };
    const chunks = it.chunks.map((chunk, at) => ({ id: String(at), text: chunk.text, ...path(chunk) }));
    const judged = await judgeRelevance(focus, chunks, it.vectors, model);
    scores.set(
      it,
      judged.map(({ score }) => score),
    );
  }
  return (it) => scores.get(it) as number[];
}

/** As ours, of calls with few chunks each. */
async function inFews(half: readonly Case[]): Promise<Scorer> {
  const scores = new Map<Case, number[]>();
  for (const it of half) {
    const own: number[] = [];
    for (let from = 0; from < it.chunks.length; from += FEW) {
      const chunks = it.chunks.slice(from, from + FEW).map(({ text }, at) => ({ id: String(at), text }));
      const vectors = { focus: it.vectors.focus, chunks: it.vectors.chunks.slice(from, from + FEW) };
      own.push(...(await judgeRelevance({ text: it.focus.text }, chunks, vectors)).map(({ score }) => score));
    }
    scores.set(it, own);
  }
  return (it) => scores.get(it) as number[];
}

function quality(half: readonly Case[], scorer: Scorer, threshold: number): Quality {
  let [kept, right, wanted] = [0, 0, 0];
  for (const it of half)
    for (const [at, score] of scorer(it).entries()) {
      const is_kept = score >= threshold;
      if (is_kept) kept++;
      if (it.labels[at]) wanted++;
      if (is_kept && it.labels[at]) right++;
    }
  return { f1: (2 * right) / (kept + wanted), precision: right / kept, recall: right / wanted };
}

/** The threshold with the highest F1, out of a hundred that cut the scores into equal parts. */
function tuned(half: readonly Case[], scorer: Scorer): number {
  const sorted = half.flatMap(scorer).sort((a, b) => a - b);
  const cuts = Array.from(
    { length: 100 },
    (_, at) => sorted[Math.floor((at * sorted.length) / 100)] as number,
  );
  const f1s = cuts.map((cut) => quality(half, scorer, cut).f1);
  return cuts[f1s.indexOf(Math.max(...f1s))] as number;
}

const perQuery =
  (scorer: Scorer): Scorer =>
  (it) => {
    const scores = scorer(it);
    const highest = Math.max(...scores, 1e-9);
    return scores.map((score) => score / highest);
  };

/** A baseline in the better of two forms, its scores as they are or divided by the focus' highest. */
function baseline(training: readonly Case[], scorer: Scorer): { scorer: Scorer; threshold: number } {
  const forms = [scorer, perQuery(scorer)].map((form) => ({
    scorer: form,
    threshold: tuned(training, form),
  }));
  const f1s = forms.map((it) => quality(training, it.scorer, it.threshold).f1);
  return forms[f1s.indexOf(Math.max(...f1s))] as { scorer: Scorer; threshold: number };
}

/** How often ours is above the other when the test's sources are drawn again, with repetition. */
function certainty(
  test: readonly Case[],
  [our, our_threshold]: [Scorer, number],
  [other, other_threshold]: [Scorer, number],
): number {
  const sources = [
    ...Map.groupBy(test, ({ neighbourhood, source }) => `${neighbourhood} ${source}`).values(),
  ];
  let state = 1;
  const random = () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
  let above = 0;
  for (let sample = 0; sample < RESAMPLES; sample++) {
    const drawn = sources.flatMap(() => sources[Math.floor(random() * sources.length)] as Case[]);
    if (quality(drawn, our, our_threshold).f1 > quality(drawn, other, other_threshold).f1) above++;
  }
  return above / RESAMPLES;
}

async function fitted(training: readonly Case[]): Promise<RelevanceModel> {
  const labels = training.flatMap((it) => it.labels);
  const known = await Promise.all(
    training.map((it) =>
      signalsOf(
        { text: it.focus.text },
        it.chunks.map(({ text }, at) => ({ id: String(at), text })),
        it.vectors,
      ),
    ),
  );
  const alone = fit(
    known.flatMap(({ signals }) => signals),
    labels,
  );
  const first = known.map(({ signals }) => signals.map((it) => logistic(alone, it)));
  const next = (scores: readonly number[][]) =>
    known.map(({ signals, company }, at) => withCompany(signals, company, scores[at] as number[]));
  let together: Fitted = fit(next(first).flat(), labels, OF_ALL);
  // The rounds share one set of weights, so it is fitted on what the rounds before make of it.
  for (let round = 0; round < ROUNDS_OF_FITTING; round++) {
    let scores = first;
    for (let step = 0; step < 2; step++)
      scores = next(scores).map((rows) => rows.map((row) => logistic(together, row)));
    together = fit(next(scores).flat(), labels, OF_ALL);
  }
  const short = ({ bias, weights }: Fitted) => ({
    bias: Number(bias.toFixed(2)),
    weights: weights.map((it) => Number(it.toFixed(2))),
  });
  return { alone: short(alone), together: short(together) };
}

const show = ({ f1, precision, recall }: Quality) =>
  `F1 ${f1.toFixed(3)} (precision ${precision.toFixed(2)}, recall ${recall.toFixed(2)})`;

async function conversations(folder: string, model: StaticModel): Promise<Case[]> {
  const { conversations: all } = (await Bun.file(join(folder, "locomo_dev.json")).json()) as {
    conversations: { conversation: string; documents: { session: string; text: string }[] }[];
  };
  const chunks = all.flatMap(({ conversation, documents }) =>
    [...Map.groupBy(documents, ({ session }) => session)].flatMap(([session, turns]) =>
      Array.from({ length: Math.ceil(turns.length / 4) }, (_, at) => ({
        source: conversation,
        path: session,
        text: turns
          .slice(at * 4, at * 4 + 4)
          .map(({ text }) => text)
          .join(" "),
      })),
    ),
  );
  return cases("conversations", chunks, model);
}

function argument(name: string): string | undefined {
  const at = process.argv.indexOf(name);
  return at === -1 ? undefined : process.argv[at + 1];
}

export async function run(folder: string | undefined = argument("--sets")): Promise<Row[]> {
  const model = await StaticModel.load({ max_tokens: 512 });
  const { training, test } = halvesOf(neighbourhoods(), model);
  const scorer = await ours([...training, ...test]);
  const others = {
    "the plain cosine": baseline(training, ({ cosines }) => cosines),
    BM25: baseline(training, ({ bm25 }) => bm25),
  };
  const unseen = folder === undefined ? [] : await conversations(folder, model);
  const scorer_unseen = await ours(unseen);
  const result = quality(test, scorer, DEFAULT_THRESHOLD);
  const pairs = test.reduce((sum, it) => sum + it.chunks.length, 0);
  const rows = Object.entries(others).map(([name, it]): Row => {
    const theirs = quality(test, it.scorer, it.threshold);
    const each = [...Map.groupBy(test, ({ neighbourhood }) => neighbourhood)].map(
      ([kind, own]) =>
        `${kind} ${quality(own, scorer, DEFAULT_THRESHOLD).f1.toFixed(3)} against ${quality(own, it.scorer, it.threshold).f1.toFixed(3)}`,
    );
    const sure = certainty(test, [scorer, DEFAULT_THRESHOLD], [it.scorer, it.threshold]);
    const also =
      unseen.length === 0
        ? ""
        : `; LoCoMo's conversations, of which nothing was fitted: ${quality(unseen, scorer_unseen, DEFAULT_THRESHOLD).f1.toFixed(3)} against ${quality(unseen, it.scorer, it.threshold).f1.toFixed(3)}`;
    return {
      what: `relevance on ${pairs} held-out pairs of ${new Set(test.map(({ source }) => source)).size} unseen sources, without paths, against ${name}`,
      target: `F1 above ${theirs.f1.toFixed(3)}`,
      measured: `F1 ${result.f1.toFixed(3)}`,
      met: result.f1 > theirs.f1,
      detail: `ours ${show(result)}; ${name} ${show(theirs)}; above it in ${(100 * sure).toFixed(1)} % of ${RESAMPLES} resamples of the sources; ${each.join(", ")}${also}`,
    };
  });
  const few = quality(test, await inFews(test), DEFAULT_THRESHOLD);
  const paths = quality(test, await ours(test, MODEL, true), DEFAULT_THRESHOLD);
  const all = quality(test, ({ labels }) => labels.map(() => 1), 0);
  const [first] = rows;
  if (first)
    first.detail += `; five chunks a call instead of twenty ${show(few)}; with paths, which name the source, ${show(paths)}; keeping all ${show(all)}`;
  return rows;
}

if (import.meta.main) {
  if (process.argv.includes("--fit")) {
    const model = await StaticModel.load({ max_tokens: 512 });
    const { training, mixed } = halvesOf(neighbourhoods(), model);
    const made = await fitted([...training, ...mixed]);
    console.log(JSON.stringify(made));
    const scorer = await ours(training, made);
    const threshold = tuned(training, scorer);
    console.log(`threshold ${threshold.toFixed(2)}, training ${show(quality(training, scorer, threshold))}`);
  } else printRows(await run());
}
