/** Door of matrixd: its journals, readers of each kind of corpus, then the rules and the routes. */
import { join } from "node:path";
import { ConfigError } from "../../config.ts";
import { LockHeldError } from "../../shared/lock.ts";
import type { Service, ServiceContext } from "../../shared/service.ts";
import type { Catalogd } from "../catalogd/schema.ts";
import type { Embedd } from "../embedd/schema.ts";
import type { Pathwayd } from "../pathwayd/schema.ts";
import type { Vectord } from "../vectord/schema.ts";
import { Matrix } from "./domain.ts";
import { IndexReader } from "./index_corpus.ts";
import { Judgement } from "./judgement.ts";
import { openOutcomeStore } from "./outcome_store.ts";
import { PathwayReader } from "./pathway_corpus.ts";
import { openPlaybookStore } from "./playbook_store.ts";
import { Playbooks } from "./playbooks.ts";
import { matrixdRoutes } from "./routes.ts";
import type { Matrixd } from "./schema.ts";
import { openCorpusStore } from "./store.ts";
import { TableReader } from "./table_corpus.ts";

const FOLDER = "matrix";

export async function createMatrixd(
  context: ServiceContext,
  neighbours: { catalogd: Catalogd; embedd: Embedd; vectord: Vectord; pathwayd: Pathwayd },
): Promise<Service<Matrixd>> {
  const { config, door } = context;
  const { catalogd, embedd, vectord, pathwayd } = neighbours;
  const { max_corpora, max_searches, timeout_ms, max_chunks, min_outcomes } = config.matrixd;
  const { store, outcomes, playbooks, close } = await openAll(context);
  const indexes = new IndexReader(vectord);
  const readers = {
    index: indexes,
    pathway: new PathwayReader(pathwayd),
    table: new TableReader({ vectord, catalogd, indexes }),
  };
  const domain = new Matrix({
    store,
    readers,
    embedd,
    judgement: new Judgement({
      embedd,
      outcomes,
      playbooks,
      max_chunks,
      rules: config.matrixd.downgrade_rules,
      min_outcomes,
      now_ms: Date.now,
    }),
    playbooks: new Playbooks(playbooks.playbooks, embedd),
    max_corpora,
    max_searches,
    timeout_ms,
    now_ms: Date.now,
  });
  const health = () => {
    const reports = domain.reports();
    const all = Object.values(reports);
    const reason = all.find(({ failure }) => failure !== undefined)?.failure;
    if (reason !== undefined) return { status: "down" as const, reason, ...reports };
    const is_whole = all.every(({ corrupt, torn, gaps }) => corrupt + torn + gaps === 0);
    return { status: is_whole ? ("ok" as const) : ("degraded" as const), ...reports };
  };
  return { domain, routes: matrixdRoutes(domain, door), health, close };
}

/** Opens the journals; where one can't be, those before it are let go. */
async function openAll({ config, log, metrics }: ServiceContext) {
  const { queue, dedupe_records, outcome_window, max_outcome_pairs, max_playbooks } = config.matrixd;
  const opened: { close(): Promise<void> }[] = [];
  const close = async () => {
    for (const it of opened.reverse()) await it.close();
  };
  const shared = { queue_records: queue, lock_wait_ms: config.drain_ms, log, metrics };
  const at = (name: string) => ({ ...shared, path: join(config.data_dir, FOLDER, `${name}.jsonl`) });
  const open = async <T extends { close(): Promise<void> }>(store: Promise<T>): Promise<T> => {
    const it = await store;
    opened.push(it);
    return it;
  };
  try {
    const store = await open(openCorpusStore(at("corpora")));
    const outcomes = await open(
      openOutcomeStore({
        ...at("outcomes"),
        dedupe_records,
        window: outcome_window,
        max_pairs: max_outcome_pairs,
      }),
    );
    const playbooks = await open(openPlaybookStore({ ...at("playbooks"), dedupe_records, max_playbooks }));
    return { store, outcomes, playbooks, close };
  } catch (error) {
    await close();
    if (!(error instanceof LockHeldError)) throw error;
    throw new ConfigError(
      `matrixd's journal is in use: ${error.message}; stop that process, or give this one another data_dir (got "${config.data_dir}")`,
    );
  }
}
