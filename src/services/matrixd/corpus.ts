/** What every kind of corpus offers: its standing, and what it finds. */
import type { Scope } from "../../shared/keys.ts";
import type { Filter } from "../vectord/schema.ts";
import type { CorpusInfo, Provenance } from "./schema.ts";
import type { RegisteredCorpus } from "./store.ts";

/** What a corpus is like now, beside its definition. */
export type Standing = Pick<CorpusInfo, "state" | "reason" | "items" | "model" | "freshness">;

/** A search as it is put to one corpus. */
export interface Question {
  readonly text: string;
  readonly k: number;
  readonly filter?: Filter;
  /** The query's vector; made once for each model. @throws LakeError embedd's */
  vectorBy(model: string): Promise<Float32Array>;
}

/** What one corpus found: `rank`, from 1, and `score` are the corpus's own. */
export interface Candidate {
  readonly corpus: string;
  readonly id: string;
  /** Both are absent until they are needed, where the corpus tells them apart from the search. */
  readonly text?: string | null;
  readonly metadata?: Readonly<Record<string, unknown>> | null;
  readonly rank: number;
  readonly score: number;
  readonly ranks?: NonNullable<Provenance["ranks"]>;
  /** BM25 as its corpus counts it, 0 where words did not find it, and the cosine: what is merged. */
  readonly bm25: number;
  readonly cosine: number;
  /** What its corpus adds, for reasons of its own, and by what it multiplies the sum. */
  readonly extra: number;
  readonly factor: number;
}

export interface CorpusReader {
  /** What a key needs, to read such a corpus. */
  readonly scope: Scope;
  /** @throws LakeError invalid, where the definition lacks something; not_found, or the holder's */
  begin(corpus: RegisteredCorpus): Promise<void>;
  /** @throws LakeError not_found, or the holder's */
  standing(corpus: RegisteredCorpus): Promise<Standing>;
  /** Best first; texts and metadata may be left to `contents`. @throws LakeError the holder's */
  search(corpus: RegisteredCorpus, question: Question): Promise<Candidate[]>;
  /** Texts and metadata by id, of those that are there. @throws LakeError the holder's */
  contents(
    corpus: RegisteredCorpus,
    ids: readonly string[],
  ): Promise<ReadonlyMap<string, Pick<Candidate, "text" | "metadata">>>;
  /** Those of these ids that are there. @throws LakeError the holder's */
  fetch(corpus: RegisteredCorpus, ids: readonly string[], question: Question): Promise<Candidate[]>;
  /** @throws LakeError invalid, where there is nothing to refresh; the holder's */
  refresh(corpus: RegisteredCorpus): Promise<void>;
  /** Removes what was made for a corpus that is to be no more. @throws LakeError the holder's */
  end(corpus: RegisteredCorpus): Promise<void>;
}
