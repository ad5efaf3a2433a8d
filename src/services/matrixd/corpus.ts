/** What every kind of corpus offers: its standing, and what it finds. */
import type { Scope } from "../../shared/keys.ts";
import type { Filter } from "../vectord/schema.ts";
import type { CorpusInfo, Provenance } from "./schema.ts";
import type { RegisteredCorpus } from "./store.ts";

/** What a corpus is like now, beside its definition. */
export type Standing = Pick<CorpusInfo, "state" | "reason" | "items" | "model">;

/** A search as it is put to one corpus. */
export interface Question {
  readonly text: string;
  readonly k: number;
  readonly filter?: Filter;
  /** The query's vector, base64 of little-endian f32; made once for each model. @throws LakeError embedd's */
  vectorBy(model: string): Promise<string>;
}

/** What one corpus found: `rank`, from 1, and `score` are the corpus's own. */
export interface Candidate {
  readonly corpus: string;
  readonly id: string;
  readonly text: string | null;
  readonly metadata: Readonly<Record<string, unknown>> | null;
  readonly rank: number;
  readonly score: number;
  readonly ranks?: NonNullable<Provenance["ranks"]>;
  /** BM25 as its corpus counts it, and the cosine: what the corpus's score is made of. */
  readonly bm25: number;
  readonly cosine: number;
}

export interface CorpusReader {
  /** What a key needs, to read such a corpus. */
  readonly scope: Scope;
  /** @throws LakeError not_found, or the holder's */
  standing(corpus: RegisteredCorpus): Promise<Standing>;
  /** Best first. @throws LakeError the holder's */
  search(corpus: RegisteredCorpus, question: Question): Promise<Candidate[]>;
  /**
   * Items by id, as a search for them would find them; those there are. Left out where the kind can't tell them by id.
   * @throws LakeError the holder's
   */
  fetch?(corpus: RegisteredCorpus, ids: readonly string[], question: Question): Promise<Candidate[]>;
  /** Told when a corpus is no more. */
  forget(name: string): void;
}
