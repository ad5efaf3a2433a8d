/** The rules of what is judged: relevance, the downgrade gate and its outcomes, playbooks. */
import { LakeError } from "../../shared/errors.ts";
import type { JournalReport } from "../../shared/journal.ts";
import type { Embedd } from "../embedd/schema.ts";
import { type DowngradeRule, decide } from "./gate.ts";
import type {
  Downgrade,
  DowngradeRequest,
  Focus,
  Judging,
  OutcomeRecord,
  OutcomeRecorded,
  OutcomesPage,
  OutcomesQuery,
  Playbook,
  PlaybookRecord,
  PlaybookRecorded,
  PlaybooksPage,
  PlaybooksQuery,
  PlaybooksRecorded,
  Relevance,
  RelevanceChunk,
  RelevanceRequest,
  RetireRequest,
} from "./judgement_schema.ts";
import { keyOf, type OutcomeStore } from "./outcome_store.ts";
import { idOf, type Known, type PlaybookStore } from "./playbook_store.ts";
import { toPlaybook } from "./playbooks.ts";
import { DEFAULT_THRESHOLD, type Judged, judgeRelevance } from "./relevance.ts";

export interface JudgementOptions {
  readonly embedd: Embedd;
  readonly outcomes: OutcomeStore;
  readonly playbooks: PlaybookStore;
  readonly max_chunks: number;
  readonly rules: readonly DowngradeRule[];
  readonly min_outcomes: number;
  now_ms(): number;
}

const LIST_LIMIT = 100;
/** Of a long text the beginning is embedded: models read no further. */
const EMBEDDED_CHARS = 8000;
/** Keeps the texts of one call well within a JSON body. */
const TEXTS_AT_ONCE = 64;

export class Judgement implements Judging {
  readonly #options: JudgementOptions;
  /** Playbooks whose retirement is on its way to the disk. */
  readonly #retiring = new Set<string>();

  constructor(options: JudgementOptions) {
    this.#options = options;
  }

  async relevance({ focus, chunks, threshold = DEFAULT_THRESHOLD }: RelevanceRequest): Promise<Relevance> {
    const { max_chunks, now_ms } = this.#options;
    const started_ms = now_ms();
    if (chunks.length > max_chunks)
      throw new LakeError(
        "invalid",
        `At most ${max_chunks} chunks are judged together (matrixd.max_chunks; got ${chunks.length}).`,
      );
    const ids = new Set<string>();
    for (const { id } of chunks) {
      if (ids.has(id))
        throw new LakeError("invalid", `The id "${id}" is there twice; each chunk needs its own.`);
      ids.add(id);
    }
    const judged = await this.#judged(focus, chunks);
    return {
      chunks: judged.map(({ score, components }, at) => ({
        id: chunks[at]?.id as string,
        score,
        components,
        keep: score >= threshold,
      })),
      threshold,
      elapsed_ms: now_ms() - started_ms,
    };
  }

  /** Judges the first `max_chunks` texts of a search's hits; those after them are not kept. @throws LakeError embedd's */
  async judgeTexts(
    focus: Focus,
    texts: readonly string[],
    threshold = DEFAULT_THRESHOLD,
  ): Promise<{ score: number; keep: boolean }[]> {
    const chunks = texts.slice(0, this.#options.max_chunks).map((text, at) => ({ id: String(at), text }));
    const judged = await this.#judged(focus, chunks);
    return judged.map(({ score }) => ({ score, keep: score >= threshold }));
  }

  async #judged(focus: Focus, chunks: readonly RelevanceChunk[]): Promise<Judged[]> {
    const texts = [focus.text, ...chunks.map(({ text }) => text)].map((text) =>
      text.slice(0, EMBEDDED_CHARS),
    );
    const [of_focus, ...of_chunks] = await vectorsOf(this.#options.embedd, texts);
    return judgeRelevance(focus, chunks, { focus: of_focus as Float32Array, chunks: of_chunks });
  }

  async downgrade(request: DowngradeRequest): Promise<Downgrade> {
    const { outcomes, rules, min_outcomes } = this.#options;
    const { model, mode, force = false } = request;
    if (force) await outcomes.force(model, mode, this.#now());
    const evidence = {
      tally: (of: string, within: string) => {
        const { model: _model, mode: _mode, forced: _forced, ...tally } = outcomes.tally(of, within);
        return tally;
      },
      forced: (of: string, within: string) => outcomes.tally(of, within).forced,
    };
    return decide(request, rules, evidence, min_outcomes);
  }

  async recordOutcome(outcome: OutcomeRecord): Promise<OutcomeRecorded> {
    const { outcomes } = this.#options;
    const appended = await outcomes.record(outcome, this.#now());
    const tally = outcomes.tally(outcome.model, outcome.mode);
    return appended === "duplicate" ? { ...tally, duplicate: true } : tally;
  }

  async outcomes({ limit = LIST_LIMIT, cursor }: OutcomesQuery): Promise<OutcomesPage> {
    const all = this.#options.outcomes.all();
    const after = all.filter(({ model, mode }) => cursor === undefined || keyOf(model, mode) > cursor);
    const page = after.slice(0, limit);
    const last = after.length > limit ? page.at(-1) : undefined;
    return { outcomes: page, next_cursor: last ? keyOf(last.model, last.mode) : null };
  }

  async recordPlaybook(record: PlaybookRecord): Promise<PlaybookRecorded> {
    const { playbooks } = this.#options;
    const [appended] = await playbooks.record([record], this.#now());
    const playbook = playbooks.playbooks.get(idOf(record));
    // A repeated id may have come with another query the first time; then this one was never recorded.
    if (playbook === undefined)
      throw new LakeError("conflict", `The id "${record.id}" was taken by a record of another playbook.`);
    return appended === "duplicate" ? { ...toPlaybook(playbook), duplicate: true } : toPlaybook(playbook);
  }

  async recordPlaybooks(records: readonly PlaybookRecord[]): Promise<PlaybooksRecorded> {
    const appended = await this.#options.playbooks.record(records, this.#now());
    return {
      accepted: appended.length,
      duplicates: appended.filter((it) => it === "duplicate").length,
    };
  }

  /** @param mayRead which corpora's are told */
  async playbooks(
    { limit = LIST_LIMIT, cursor, corpus, tag, retired }: PlaybooksQuery,
    mayRead: (corpus: string) => boolean = () => true,
  ): Promise<PlaybooksPage> {
    const from = cursor === undefined ? 0 : placeOf(cursor);
    const wanted = (it: Known) =>
      it.place > from &&
      (corpus === undefined || it.answer.corpus === corpus) &&
      (tag === undefined || it.tags.includes(tag)) &&
      (retired === undefined || (it.retired_at !== null) === retired) &&
      mayRead(it.answer.corpus);
    const page: Known[] = [];
    for (const it of this.#options.playbooks.playbooks.values()) {
      if (!wanted(it)) continue;
      if (page.length === limit)
        return { playbooks: page.map(toPlaybook), next_cursor: String(page.at(-1)?.place) };
      page.push(it);
    }
    return { playbooks: page.map(toPlaybook), next_cursor: null };
  }

  /** @throws LakeError not_found */
  playbook(id: string): Known {
    const known = this.#options.playbooks.playbooks.get(id);
    if (!known) throw new LakeError("not_found", `There is no playbook "${id}".`);
    return known;
  }

  async retirePlaybook(request: RetireRequest): Promise<Playbook> {
    const { playbooks } = this.#options;
    const before = this.playbook(request.id);
    if (before.retired_at !== null)
      throw new LakeError("conflict", `Playbook "${request.id}" was retired at ${before.retired_at}.`);
    if (this.#retiring.has(request.id))
      throw new LakeError("conflict", `Playbook "${request.id}" is being retired by another request.`);
    this.#retiring.add(request.id);
    try {
      await playbooks.retire(request, this.#now());
    } finally {
      this.#retiring.delete(request.id);
    }
    return toPlaybook(playbooks.playbooks.get(request.id) as Known);
  }

  reports(): { outcomes: JournalReport; playbooks: JournalReport } {
    const { outcomes, playbooks } = this.#options;
    return { outcomes: outcomes.report(), playbooks: playbooks.report() };
  }

  #now(): string {
    return new Date(this.#options.now_ms()).toISOString();
  }
}

async function vectorsOf(embedd: Embedd, texts: readonly string[]): Promise<Float32Array[]> {
  const out: Float32Array[] = [];
  for (let from = 0; from < texts.length; from += TEXTS_AT_ONCE) {
    const batch = texts.slice(from, from + TEXTS_AT_ONCE);
    out.push(...(await embedd.embed({ texts: batch, truncate: true })).vectors);
  }
  return out;
}

function placeOf(cursor: string): number {
  if (!/^[1-9]\d{0,15}$/.test(cursor))
    throw new LakeError("invalid", `cursor must be the next_cursor of the page before (got "${cursor}").`);
  return Number(cursor);
}
