/** The built-in model as a provider: in Workers, so that the loop that serves requests never waits for it. */
import { join } from "node:path";
import { LakeError } from "../../shared/errors.ts";
import { Link } from "./link.ts";
import type { Batch, Provider } from "./provider.ts";
import type { EmbedResult, MatchResult, Question } from "./worker.ts";

const ENTRY = join(import.meta.dir, "worker.ts");
/** As many as an id of 16 bits can count; texts are bounded in bytes long before. */
const MAX_TOKENS = 65_535;
/** Some milliseconds of work, so that a short request never waits long behind a large one. */
const BATCH_TEXTS = 256;

export class BuiltIn implements Provider {
  readonly title = "The built-in model";
  readonly batch_texts = BATCH_TEXTS;
  readonly parallel: number;
  readonly #links: readonly Link[];
  /** Questions under way at each Worker. */
  readonly #loads: number[];
  readonly #queue: number;
  #matching = 0;

  /** @param queue texts waiting to be matched, at most */
  constructor(workers: number, queue: number) {
    this.parallel = workers;
    this.#queue = queue;
    const settings = { max_tokens: MAX_TOKENS };
    this.#links = Array.from(
      { length: workers },
      () => new Link({ title: this.title, entry: ENTRY, settings }),
    );
    this.#loads = this.#links.map(() => 0);
  }

  get fault(): string | undefined {
    return this.#links.find(({ fault }) => fault !== undefined)?.fault;
  }

  start(): void {
    this.#links[0]?.start();
  }

  async embed(texts: readonly string[], signal: AbortSignal): Promise<Batch> {
    const { vectors, tokens } = await this.#ask<EmbedResult>({ kind: "embed", texts: [...texts] }, signal);
    const dimension = vectors.length / texts.length;
    return {
      vectors: texts.map((_, at) => vectors.slice(at * dimension, (at + 1) * dimension)),
      tokens: [...tokens],
      truncated: [],
    };
  }

  /** @throws LakeError queue_full, unavailable */
  async match(query: string, texts: readonly string[], signal: AbortSignal): Promise<MatchResult> {
    if (this.#matching > 0 && this.#matching + texts.length > this.#queue)
      throw new LakeError("queue_full", `Too many texts wait for ${this.title}; try again in a second.`, {
        retry_after_s: 1,
      });
    this.#matching += texts.length;
    try {
      return await this.#ask<MatchResult>({ kind: "match", query, texts: [...texts] }, signal);
    } finally {
      this.#matching -= texts.length;
    }
  }

  close(): void {
    for (const link of this.#links) link.close();
  }

  /** Asks the Worker that has the least to do. */
  async #ask<Result>(question: Question, signal: AbortSignal): Promise<Result> {
    const at = this.#loads.indexOf(Math.min(...this.#loads));
    const load = (change: number) => {
      this.#loads[at] = (this.#loads[at] as number) + change;
    };
    load(1);
    try {
      return await (this.#links[at] as Link).ask<Result>(question, signal);
    } finally {
      load(-1);
    }
  }
}
