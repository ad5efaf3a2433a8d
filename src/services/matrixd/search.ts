/** One search: asked of all corpora at once, merged, reranked, freed of duplicates, cut to a budget; in time. */
import { LakeError, messageOf } from "../../shared/errors.ts";
import type { Embedd } from "../embedd/schema.ts";
import { adviceOf, boosted, missing } from "./advise.ts";
import { fit, tokensOf } from "./budget.ts";
import { complete } from "./complete.ts";
import type { Candidate, CorpusReader, Question } from "./corpus.ts";
import { Deadline } from "./deadline.ts";
import { dedupe } from "./dedupe.ts";
import type { Judgement } from "./judgement.ts";
import { LOOKED_AT, type Merged, merge } from "./merge.ts";
import type { Advice, Playbooks } from "./playbooks.ts";
import { rerank } from "./rerank.ts";
import {
  DEFAULT_K,
  type Explanation,
  type MatrixFound,
  type MatrixHit,
  type MatrixQuery,
  type Provenance,
  type Stage,
  type Warning,
} from "./schema.ts";
import type { RegisteredCorpus } from "./store.ts";

/** Taken of each corpus, unless more hits are wanted. */
const PER_CORPUS_K = 50;
/** Of the time given, so much at most is kept back for what comes after the corpora have answered. */
const RESERVED_SHARE = 0.25;
const RESERVED_MS = 500;
/** Looked at further for each hit wanted, since some turn out to be near-duplicates. */
const FOR_EACH = 1.5;

export interface SearchOptions {
  readonly embedd: Embedd;
  readonly playbooks: Playbooks;
  readonly judgement: Judgement;
  readonly readerOf: (corpus: RegisteredCorpus) => CorpusReader;
  readonly now_ms: () => number;
}

interface Answered {
  readonly corpus: RegisteredCorpus;
  readonly candidates: readonly Candidate[];
  readonly elapsed_ms: number;
}

export class MatrixSearch {
  readonly #options: SearchOptions;
  readonly #query: MatrixQuery;
  readonly #corpora: readonly RegisteredCorpus[];
  readonly #warnings: Warning[];
  readonly #deadline: Deadline;
  readonly #started_ms: number;
  readonly #explanation: Explanation = { corpora: [], stages: [] };
  /** By corpus and id: the place after each stage so far. */
  readonly #places = new Map<Candidate, MatrixHit["provenance"]["stages"]>();

  #advice: readonly Advice[] = [];
  /** Where relevance was asked: the score of each hit that was judged. */
  readonly #relevance = new Map<Candidate, number>();

  /** @param warnings of corpora that are not asked; those that fail are added */
  constructor(
    options: SearchOptions,
    query: MatrixQuery,
    corpora: readonly RegisteredCorpus[],
    warnings: Warning[],
    timeout_ms: number,
  ) {
    this.#options = options;
    this.#query = query;
    this.#corpora = corpora;
    this.#warnings = warnings;
    this.#started_ms = options.now_ms();
    this.#deadline = new Deadline(timeout_ms, options.now_ms);
  }

  /** @throws LakeError invalid; unavailable, or deadline, where no corpus answers */
  async run(): Promise<MatrixFound> {
    const { k = DEFAULT_K, budget_tokens, explain = false } = this.#query;
    const question = this.#question();
    const advised = this.#advised();
    const answered = await this.#retrieve(question);
    this.#advice = await advised;
    const brought = await this.#bringIn(answered, question);
    let hits = this.#staged("merged", () => merge([...answered, ...brought], weights(this.#corpora)));
    if (this.#advice.length > 0) hits = this.#staged("boosted", () => boosted(hits, this.#advice));
    hits = await this.#complete(hits.slice(0, Math.max(LOOKED_AT, Math.ceil(k * FOR_EACH))));
    hits = await this.#rerank(hits);
    hits = await this.#judge(hits);
    const kept = dedupe(hits, k);
    const told = kept.map(({ hit, duplicates }) => this.#told(hit, duplicates));
    return {
      ...fit(told, budget_tokens),
      warnings: this.#warnings,
      ...(explain ? { explain: this.#explanation } : {}),
      elapsed_ms: rounded(this.#options.now_ms() - this.#started_ms),
    };
  }

  #question(): Question {
    const { query, k = DEFAULT_K, per_corpus_k = Math.max(k, PER_CORPUS_K), filter } = this.#query;
    const vectors = new Map<string, Promise<Float32Array>>();
    return {
      text: query,
      k: per_corpus_k,
      ...(filter ? { filter } : {}),
      vectorBy: (model) => {
        const made = vectors.get(model) ?? this.#embed(query, model);
        vectors.set(model, made);
        return made;
      },
    };
  }

  /** Asks every corpus at once; one that fails or is late is told in the warnings. */
  async #retrieve(question: Question): Promise<Answered[]> {
    const reserved_ms = this.#reserved_ms;
    const settled = await Promise.all(
      this.#corpora.map((corpus) => this.#ask(corpus, question, reserved_ms)),
    );
    const answered = settled.filter((it) => it !== undefined);
    if (answered.length === 0 && this.#corpora.length > 0) throw noneAnswers(this.#warnings);
    for (const { corpus, candidates, elapsed_ms } of answered) {
      this.#explanation.corpora.push({
        corpus: corpus.name,
        hits: candidates.length,
        weight: corpus.weight,
        elapsed_ms,
      });
      for (const it of candidates)
        this.#places.set(it, [{ stage: "retrieved", rank: it.rank, score: rounded(it.score) }]);
    }
    return answered;
  }

  async #ask(
    corpus: RegisteredCorpus,
    question: Question,
    reserved_ms: number,
  ): Promise<Answered | undefined> {
    const { now_ms, readerOf } = this.#options;
    try {
      const candidates = await this.#deadline.within(reserved_ms, () =>
        readerOf(corpus).search(corpus, question),
      );
      return { corpus, candidates, elapsed_ms: rounded(now_ms() - this.#started_ms) };
    } catch (error) {
      if (!(error instanceof LakeError)) throw error;
      // What is wrong with the question is wrong with it everywhere, but for a filter on a key that others may have.
      if (error.code === "invalid" && error.details.filter_key === undefined) throw error;
      this.#warnings.push({ corpus: corpus.name, code: error.code, message: error.message });
      return undefined;
    }
  }

  async #embed(text: string, model: string): Promise<Float32Array> {
    const { vectors } = await this.#options.embedd.embed({ texts: [text], model, truncate: true });
    const [vector] = vectors;
    if (vector === undefined)
      throw new LakeError("unavailable", `Model "${model}" made no vector of the query.`);
    return vector;
  }

  /** The answers that playbooks of near queries speak for; none where they can't be asked. */
  #advised(): Promise<readonly Advice[]> {
    const { query, playbooks = true } = this.#query;
    const corpora = new Set(this.#corpora.map(({ name }) => name));
    if (!playbooks || corpora.size === 0) return Promise.resolve([]);
    const near = () => this.#options.playbooks.near(query, corpora);
    return this.#unlessLate("Playbooks are not asked", [], near, this.#reserved_ms);
  }

  /** What no corpus found and playbooks speak for; with a filter none, since it can't be asked of single items. */
  async #bringIn(
    answered: readonly Answered[],
    question: Question,
  ): Promise<{ candidates: readonly Candidate[] }[]> {
    if (question.filter || this.#advice.length === 0) return [];
    const wanted = missing(
      this.#advice,
      answered.flatMap(({ candidates }) => candidates),
    );
    const asked = answered.flatMap(({ corpus }) => {
      const ids = wanted.get(corpus.name);
      const reader = this.#options.readerOf(corpus);
      if (ids === undefined) return [];
      return this.#unlessLate(`What playbooks know of "${corpus.name}" is not brought in`, [], () =>
        reader.fetch(corpus, ids, question),
      );
    });
    const brought = await Promise.all(asked);
    for (const it of brought.flat()) this.#places.set(it, []);
    return brought.map((candidates) => ({ candidates }));
  }

  /** With texts and metadata; a corpus that can't tell them in time has no hits. */
  #complete(hits: readonly Merged[]): Promise<Merged[]> {
    return complete(
      hits,
      async (name, ids) => {
        const corpus = this.#corpora.find((it) => it.name === name);
        if (!corpus) return new Map();
        return this.#unlessLate(`What "${name}" found can't be read`, new Map(), () =>
          this.#options.readerOf(corpus).contents(corpus, ids),
        );
      },
      (before, after) => this.#places.set(after, this.#places.get(before) ?? []),
    );
  }

  /** Drops what is merely near the focus, where that was asked. */
  async #judge(hits: readonly Merged[]): Promise<readonly Merged[]> {
    const { relevance, query } = this.#query;
    if (!relevance || hits.length === 0) return hits;
    const started_ms = this.#options.now_ms();
    const { focus = { text: query }, threshold } = relevance;
    const texts = hits.map(({ candidate }) => candidate.text ?? "");
    const judged = await this.#unlessLate("Relevance is not judged", undefined, () =>
      this.#options.judgement.judgeTexts(focus, texts, threshold),
    );
    if (!judged) return hits;
    for (const [at, { score }] of judged.entries())
      this.#relevance.set((hits[at] as Merged).candidate, score);
    const kept = hits.filter((_, at) => judged[at]?.keep);
    return this.#staged("judged", () => kept, started_ms);
  }

  /** What is kept back of the time for the stages after the corpora's answers. */
  get #reserved_ms(): number {
    return Math.min(RESERVED_MS, this.#deadline.total_ms * RESERVED_SHARE);
  }

  /** The work's result; where it is late or its service down, a warning and what stands instead. */
  async #unlessLate<T>(failure: string, instead: T, work: () => Promise<T>, reserved_ms = 0): Promise<T> {
    try {
      return await this.#deadline.within(reserved_ms, work);
    } catch (error) {
      if (!(error instanceof LakeError)) throw error;
      this.#warnings.push({ corpus: "*", code: error.code, message: `${failure}: ${messageOf(error)}` });
      return instead;
    }
  }

  /** Where the model is late or down, the merged order stands. */
  async #rerank(hits: readonly Merged[]): Promise<readonly Merged[]> {
    const { rerank: wanted = true, query } = this.#query;
    if (!wanted || hits.length === 0) return hits;
    const started_ms = this.#options.now_ms();
    const ordered = await this.#unlessLate("The hits are not reranked", undefined, () =>
      rerank(this.#options.embedd, query, hits),
    );
    return ordered ? this.#staged("reranked", () => ordered, started_ms) : hits;
  }

  /** Notes the place of each hit after a stage. */
  #staged(
    stage: Stage,
    run: () => readonly Merged[],
    started_ms = this.#options.now_ms(),
  ): readonly Merged[] {
    const hits = run();
    for (const [at, { candidate, score }] of hits.entries())
      this.#places.get(candidate)?.push({ stage, rank: at + 1, score: rounded(score) });
    const elapsed_ms = rounded(this.#options.now_ms() - started_ms);
    this.#explanation.stages.push({ stage, hits: hits.length, elapsed_ms });
    return hits;
  }

  #told({ candidate, score }: Merged, duplicates: readonly { hit: Merged; similarity: number }[]): MatrixHit {
    const { corpus, id, text = null, metadata = null, ranks, cosine } = candidate;
    return {
      corpus,
      id,
      score: rounded(score),
      text,
      metadata: metadata as MatrixHit["metadata"],
      provenance: {
        stages: this.#places.get(candidate) ?? [],
        ...(ranks ? { ranks } : {}),
        cosine: rounded(cosine),
        ...(duplicates.length === 0
          ? {}
          : {
              duplicates: duplicates.map(({ hit, similarity }) => ({
                corpus: hit.candidate.corpus,
                id: hit.candidate.id,
                similarity: rounded(similarity),
              })),
            }),
        ...this.#judgementOf(candidate),
        tokens: tokensOf(text),
      },
    };
  }

  #judgementOf(candidate: Candidate): Pick<Provenance, "playbooks" | "relevance"> {
    const advice = adviceOf(this.#advice, candidate);
    const relevance = this.#relevance.get(candidate);
    return {
      ...(advice ? { playbooks: { ids: advice.ids, boost: rounded(advice.boost) } } : {}),
      ...(relevance === undefined ? {} : { relevance }),
    };
  }
}

function weights(corpora: readonly RegisteredCorpus[]): (corpus: string) => number {
  const by_name = new Map(corpora.map(({ name, weight }) => [name, weight]));
  return (corpus) => by_name.get(corpus) ?? 1;
}

function noneAnswers(warnings: readonly Warning[]): LakeError {
  const is_late = warnings.every(({ code }) => code === "deadline");
  const [first] = warnings;
  const is_refused = warnings.every(({ code }) => code === "invalid" || code === "forbidden");
  return new LakeError(
    is_late ? "deadline" : is_refused ? "invalid" : "unavailable",
    `No corpus answered; "${first?.corpus}": ${first?.message}`,
    { warnings },
  );
}

/** Six decimals do, and read better. */
function rounded(value: number): number {
  return Math.round(value * 1e6) / 1e6;
}
