/** matrixd's interface: many corpora, one answer, and what is judged. Its shapes lie in the files beside this one. */
import type { CorpusDefinition, CorpusInfo, CorpusPage, PageOptions } from "./corpora_schema.ts";
import type {
  Judging,
  Playbook,
  PlaybookRecord,
  PlaybookRecorded,
  PlaybooksPage,
  PlaybooksQuery,
  PlaybooksRecorded,
  RetireRequest,
} from "./judgement_schema.ts";
import type { MatrixFound, MatrixQuery } from "./search_schema.ts";

export * from "./corpora_schema.ts";
export * from "./judgement_schema.ts";
export * from "./search_schema.ts";

export interface Matrixd extends Judging {
  /**
   * On the disk when it returns. Registering the same again changes nothing and answers `existing: true`.
   * @throws LakeError invalid, not_found (what it stands for), conflict (the name is taken), resource_limit
   */
  register(corpus: CorpusDefinition): Promise<CorpusInfo>;
  corpora(page: PageOptions): Promise<CorpusPage>;
  /** @throws LakeError not_found */
  corpus(name: string): Promise<CorpusInfo>;
  /** Begins to read anew what a corpus is made of. @throws LakeError not_found, invalid (its kind needs none), conflict */
  refresh(name: string): Promise<CorpusInfo>;
  /** Forgets a corpus, and what was made for it; what it stands for stays. @throws LakeError not_found */
  unregister(name: string): Promise<void>;
  /**
   * Searches corpora at once and merges what they find, within `timeout_ms`.
   * @throws LakeError invalid, not_found (a corpus), queue_full; unavailable or deadline where no corpus answers
   */
  search(query: MatrixQuery): Promise<MatrixFound>;
}

/** The same, as routes call it: with what the asker may read. */
export interface GuardedMatrixd extends Matrixd {
  /** @param scopes of the asker @throws LakeError forbidden, where they don't let one read such a corpus */
  register(corpus: CorpusDefinition, scopes?: readonly string[]): Promise<CorpusInfo>;
  /** @param scopes of the asker @throws LakeError forbidden, where a corpus is named that they don't let one read */
  search(query: MatrixQuery, scopes?: readonly string[]): Promise<MatrixFound>;
  /** @param scopes of the asker @throws LakeError not_found (the corpus), forbidden, where they don't let one read it */
  recordPlaybook(record: PlaybookRecord, scopes?: readonly string[]): Promise<PlaybookRecorded>;
  /** The same of many, all or none. */
  recordPlaybooks(records: readonly PlaybookRecord[], scopes?: readonly string[]): Promise<PlaybooksRecorded>;
  /** Those of corpora that the asker may read. @throws LakeError forbidden, where another one is named */
  playbooks(query: PlaybooksQuery, scopes?: readonly string[]): Promise<PlaybooksPage>;
  /** @throws LakeError not_found, conflict, forbidden */
  retirePlaybook(request: RetireRequest, scopes?: readonly string[]): Promise<Playbook>;
}
