/** Corpora that are an agent's memory: live traces, with what their age and outcomes make of them. */
import { LakeError } from "../../shared/errors.ts";
import type { FoundTrace, Pathwayd, Trace } from "../pathwayd/schema.ts";
import type { Content } from "./complete.ts";
import type { Candidate, CorpusReader, Question, Standing } from "./corpus.ts";
import type { RegisteredCorpus } from "./store.ts";

/** What pathwayd tells at most of one search. */
const MAX_TRACES = 200;

export class PathwayReader implements CorpusReader {
  readonly scope = "pathwayd:read";
  readonly #pathwayd: Pathwayd;

  constructor(pathwayd: Pathwayd) {
    this.#pathwayd = pathwayd;
  }

  async begin(corpus: RegisteredCorpus): Promise<void> {
    await this.standing(corpus);
  }

  async standing({ pathway = {} }: RegisteredCorpus): Promise<Standing> {
    const { count: items, index } = await this.#pathwayd.count(pathway);
    if (index.state === "unreachable")
      return { state: "unavailable", reason: "The index of traces can't be reached.", items };
    return { state: index.state === "ready" ? "ready" : "building", items };
  }

  async search(
    { name, pathway = {} }: RegisteredCorpus,
    { text, k, filter }: Question,
  ): Promise<Candidate[]> {
    const { results } = await this.#pathwayd.search({
      ...pathway,
      query: text,
      k: Math.min(k, MAX_TRACES),
      explain: true,
      ...(filter ? { filter } : {}),
    });
    return results.map((hit, at) => candidateOf(name, hit, at + 1));
  }

  /** Without a vector to compare, such a trace has nothing but what playbooks say for it. */
  async fetch(
    { name, pathway = {} }: RegisteredCorpus,
    ids: readonly string[],
    { k }: Question,
  ): Promise<Candidate[]> {
    const traces = await Promise.all(ids.map((uid) => this.#get(uid)));
    return traces
      .filter((trace) => trace !== undefined && trace.state === "live" && isOf(trace, pathway))
      .map((trace) => ({
        ...toldOf(name, trace as Trace),
        ...{ rank: k + 1, score: 0, bm25: 0, cosine: 0, extra: 0, factor: 1 },
      }));
  }

  /** A search tells all of a trace. */
  async contents(): Promise<ReadonlyMap<string, Content>> {
    return new Map();
  }

  async refresh({ name }: RegisteredCorpus): Promise<void> {
    throw new LakeError("invalid", `Corpus "${name}" is memory, which is always as new as its traces.`);
  }

  async end(): Promise<void> {}

  async #get(uid: string): Promise<Trace | undefined> {
    try {
      return await this.#pathwayd.get(uid);
    } catch (error) {
      if (error instanceof LakeError && (error.code === "not_found" || error.code === "invalid"))
        return undefined;
      throw error;
    }
  }
}

function candidateOf(corpus: string, { score, trace, explain }: FoundTrace, rank: number): Candidate {
  if (explain === undefined) throw new Error("pathwayd explains what it is asked to explain");
  const { bm25, vector, neighbours, asks, subject, recency, outcome, replay } = explain;
  return {
    ...toldOf(corpus, trace),
    rank,
    score,
    ranks: {
      ...(bm25.rank === undefined ? {} : { bm25: bm25.rank }),
      ...(vector.rank === undefined ? {} : { vector: vector.rank }),
    },
    bm25: bm25.score,
    cosine: vector.score,
    extra: neighbours + asks + subject,
    factor: recency.factor * outcome.factor * replay.factor,
  };
}

function toldOf(
  corpus: string,
  { content, text, ...trace }: Trace,
): Pick<Candidate, "corpus" | "id" | "text" | "metadata"> {
  const words = typeof content === "string" ? content : (text ?? JSON.stringify(content));
  return { corpus, id: trace.uid, text: words, metadata: trace };
}

function isOf(
  trace: Trace,
  { scope = {}, tags = [], kind, subject }: NonNullable<RegisteredCorpus["pathway"]>,
): boolean {
  return (
    Object.entries(scope).every(([name, value]) => trace.scope[name] === value) &&
    tags.every((tag) => trace.tags.includes(tag)) &&
    (kind === undefined || trace.kind === kind) &&
    (subject === undefined || trace.subject === subject)
  );
}
