/** The rules of corpora, and searches over them. */
import { isDeepStrictEqual } from "node:util";
import { LakeError, messageOf } from "../../shared/errors.ts";
import type { JournalReport } from "../../shared/journal.ts";
import { suggest } from "../../shared/wording.ts";
import type { Embedd } from "../embedd/schema.ts";
import type { CorpusReader, Standing } from "./corpus.ts";
import { Deadline } from "./deadline.ts";
import type { Judgement } from "./judgement.ts";
import type { Playbooks } from "./playbooks.ts";
import {
  type CorpusDefinition,
  type CorpusInfo,
  type CorpusPage,
  type Downgrade,
  type DowngradeRequest,
  type GuardedMatrixd,
  KINDS,
  type Kind,
  LIST_LIMIT,
  type MatrixFound,
  type MatrixQuery,
  type OutcomeRecord,
  type OutcomeRecorded,
  type OutcomesPage,
  type OutcomesQuery,
  type PageOptions,
  type Playbook,
  type PlaybookRecord,
  type PlaybookRecorded,
  type PlaybooksPage,
  type PlaybooksQuery,
  type PlaybooksRecorded,
  type Relevance,
  type RelevanceRequest,
  type RetireRequest,
  type Warning,
} from "./schema.ts";
import { MatrixSearch } from "./search.ts";
import type { CorpusStore, RegisteredCorpus } from "./store.ts";

export interface MatrixOptions {
  readonly store: CorpusStore;
  readonly readers: Readonly<Record<Kind, CorpusReader>>;
  readonly embedd: Embedd;
  readonly judgement: Judgement;
  readonly playbooks: Playbooks;
  readonly max_corpora: number;
  /** Searches under way at a time. */
  readonly max_searches: number;
  readonly timeout_ms: number;
  now_ms(): number;
}

/** Whoever holds every scope. */
const EVERYTHING = ["*"];
const RETRY_AFTER_S = 1;

export class Matrix implements GuardedMatrixd {
  readonly #options: MatrixOptions;
  /** Registrations one after another, so that of two of the same name one is refused. */
  #registering: Promise<unknown> = Promise.resolve();
  #searching = 0;

  constructor(options: MatrixOptions) {
    this.#options = options;
  }

  register(corpus: CorpusDefinition, scopes: readonly string[] = EVERYTHING): Promise<CorpusInfo> {
    return this.#inTurn(async () => {
      const { store, max_corpora, now_ms } = this.#options;
      refuseForeignParts(corpus);
      const before = store.corpora.get(corpus.name);
      const created_at = before?.created_at ?? new Date(now_ms()).toISOString();
      const registered = { ...corpus, weight: corpus.weight ?? 1, created_at };
      const lacking = this.#lacking(registered, scopes);
      if (lacking !== undefined) throw new LakeError("forbidden", lacking);
      if (before) {
        if (!isDeepStrictEqual(before, registered))
          throw new LakeError(
            "conflict",
            `There is a corpus "${corpus.name}" already, which is another one; delete it first, or take another name.`,
          );
        return { ...(await this.#told(before)), existing: true as const };
      }
      if (store.corpora.size >= max_corpora)
        throw new LakeError(
          "resource_limit",
          `There may be at most ${max_corpora} corpora (matrixd.max_corpora).`,
        );
      await this.#readerOf(registered).begin(registered);
      await store.put(registered);
      return this.#told(registered);
    });
  }

  async corpora({ limit = LIST_LIMIT, cursor }: PageOptions): Promise<CorpusPage> {
    const all = [...this.#options.store.corpora.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
    const after = all.filter(({ name }) => cursor === undefined || name > cursor);
    const page = after.slice(0, limit);
    const next_cursor = after.length > limit ? (page.at(-1)?.name ?? null) : null;
    return { corpora: await Promise.all(page.map((it) => this.#told(it))), next_cursor };
  }

  async corpus(name: string): Promise<CorpusInfo> {
    return this.#told(this.#known(name));
  }

  async refresh(name: string): Promise<CorpusInfo> {
    const corpus = this.#known(name);
    await this.#readerOf(corpus).refresh(corpus);
    return this.#told(corpus);
  }

  unregister(name: string): Promise<void> {
    return this.#inTurn(async () => {
      const corpus = this.#known(name);
      await this.#readerOf(corpus).end(corpus);
      await this.#options.store.remove(name);
    });
  }

  async search(query: MatrixQuery, scopes: readonly string[] = EVERYTHING): Promise<MatrixFound> {
    const { max_searches, timeout_ms } = this.#options;
    if ((query.timeout_ms ?? 0) > timeout_ms)
      throw new LakeError(
        "invalid",
        `timeout_ms may be at most ${timeout_ms} (matrixd.timeout_ms; got ${query.timeout_ms}).`,
      );
    const { corpora, warnings } = this.#asked(query, scopes);
    if (this.#searching >= max_searches)
      throw new LakeError("queue_full", `${max_searches} searches are under way; try again soon.`, {
        retry_after_s: RETRY_AFTER_S,
      });
    this.#searching++;
    try {
      const { embedd, judgement, playbooks, now_ms } = this.#options;
      const options = {
        embedd,
        judgement,
        playbooks,
        now_ms,
        readerOf: (it: RegisteredCorpus) => this.#readerOf(it),
      };
      return await new MatrixSearch(options, query, corpora, warnings, query.timeout_ms ?? timeout_ms).run();
    } finally {
      this.#searching--;
    }
  }

  relevance(request: RelevanceRequest): Promise<Relevance> {
    return this.#options.judgement.relevance(request);
  }

  downgrade(request: DowngradeRequest): Promise<Downgrade> {
    return this.#options.judgement.downgrade(request);
  }

  recordOutcome(outcome: OutcomeRecord): Promise<OutcomeRecorded> {
    return this.#options.judgement.recordOutcome(outcome);
  }

  outcomes(query: OutcomesQuery): Promise<OutcomesPage> {
    return this.#options.judgement.outcomes(query);
  }

  async recordPlaybook(
    record: PlaybookRecord,
    scopes: readonly string[] = EVERYTHING,
  ): Promise<PlaybookRecorded> {
    this.#refuseUnread([record], scopes);
    return this.#options.judgement.recordPlaybook(record);
  }

  async recordPlaybooks(
    records: readonly PlaybookRecord[],
    scopes: readonly string[] = EVERYTHING,
  ): Promise<PlaybooksRecorded> {
    this.#refuseUnread(records, scopes);
    return this.#options.judgement.recordPlaybooks(records);
  }

  async playbooks(query: PlaybooksQuery, scopes: readonly string[] = EVERYTHING): Promise<PlaybooksPage> {
    const lacking = query.corpus === undefined ? undefined : this.#lackingByName(query.corpus, scopes);
    if (lacking !== undefined) throw new LakeError("forbidden", lacking);
    const mayRead = (corpus: string) => this.#lackingByName(corpus, scopes) === undefined;
    return this.#options.judgement.playbooks(query, mayRead);
  }

  async retirePlaybook(request: RetireRequest, scopes: readonly string[] = EVERYTHING): Promise<Playbook> {
    const { judgement } = this.#options;
    const lacking = this.#lackingByName(judgement.playbook(request.id).answer.corpus, scopes);
    if (lacking !== undefined) throw new LakeError("forbidden", lacking);
    return judgement.retirePlaybook(request);
  }

  /** Of each of its journals. */
  reports(): { corpora: JournalReport; outcomes: JournalReport; playbooks: JournalReport } {
    return { corpora: this.#options.store.report(), ...this.#options.judgement.reports() };
  }

  /** The corpora that a search is put to: those named, or all that the asker may read, the others told. */
  #asked(
    { corpora: names }: MatrixQuery,
    scopes: readonly string[],
  ): { corpora: RegisteredCorpus[]; warnings: Warning[] } {
    const { store } = this.#options;
    const asked = names ? names.map((name) => this.#known(name)) : [...store.corpora.values()];
    const corpora: RegisteredCorpus[] = [];
    const warnings: Warning[] = [];
    for (const corpus of asked) {
      const message = this.#lacking(corpus, scopes);
      if (message === undefined) corpora.push(corpus);
      else if (names) throw new LakeError("forbidden", message);
      else warnings.push({ corpus: corpus.name, code: "forbidden", message });
    }
    return { corpora, warnings };
  }

  /** What these scopes lack to read a corpus; undefined where nothing. */
  #lacking(corpus: RegisteredCorpus, scopes: readonly string[]): string | undefined {
    const { scope } = this.#readerOf(corpus);
    if (scopes.includes("*") || scopes.includes(scope)) return undefined;
    return `The key lacks the scope ${scope}, which reading corpus "${corpus.name}" needs.`;
  }

  /** The same by a corpus's name. Where it is no more, nobody knows which scope it needed: it takes all of them. */
  #lackingByName(name: string, scopes: readonly string[]): string | undefined {
    const corpus = this.#options.store.corpora.get(name);
    if (corpus) return this.#lacking(corpus, scopes);
    const needed = Object.values(this.#options.readers).map(({ scope }) => scope);
    if (scopes.includes("*") || needed.every((it) => scopes.includes(it))) return undefined;
    return `There is no corpus "${name}" any more; what was recorded for it takes the scopes ${needed.join(", ")}.`;
  }

  /** Playbooks tell of a corpus what a search of it would. @throws LakeError not_found, forbidden */
  #refuseUnread(records: readonly PlaybookRecord[], scopes: readonly string[]): void {
    for (const name of new Set(records.map(({ answer }) => answer.corpus))) {
      const lacking = this.#lacking(this.#known(name), scopes);
      if (lacking !== undefined) throw new LakeError("forbidden", lacking);
    }
  }

  async #told(corpus: RegisteredCorpus): Promise<CorpusInfo> {
    return { ...corpus, ...(await this.#standing(corpus)) };
  }

  /** Of a corpus that can't be read, or not in the time that a search has, why not. */
  async #standing(corpus: RegisteredCorpus): Promise<Standing> {
    const { timeout_ms, now_ms } = this.#options;
    try {
      return await new Deadline(timeout_ms, now_ms).within(0, () => this.#readerOf(corpus).standing(corpus));
    } catch (error) {
      if (!(error instanceof LakeError)) throw error;
      return { state: "unavailable", reason: messageOf(error), items: null };
    }
  }

  #readerOf({ kind }: RegisteredCorpus): CorpusReader {
    return this.#options.readers[kind];
  }

  #known(name: string): RegisteredCorpus {
    const corpus = this.#options.store.corpora.get(name);
    if (!corpus) {
      const names = [...this.#options.store.corpora.keys()];
      throw new LakeError("not_found", `There is no corpus "${name}"${suggest(name, names)}.`);
    }
    return corpus;
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#registering.then(work);
    // Whoever asked is told of a failure; the next in turn goes on all the same.
    this.#registering = result.catch(() => undefined);
    return result;
  }
}

/** A part of another kind would be kept and mean nothing. */
function refuseForeignParts(corpus: CorpusDefinition): void {
  for (const kind of KINDS)
    if (kind !== corpus.kind && corpus[kind] !== undefined)
      throw new LakeError("invalid", `A corpus of kind \`${corpus.kind}\` has no \`${kind}\`.`);
}
