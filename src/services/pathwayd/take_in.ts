/** Takes in what an export wrote: each line is judged on its own, and one that is there stays as it is. */
import { LakeError } from "../../shared/errors.ts";
import { pauser } from "../../shared/pause.ts";
import type { IndexLink } from "./index_link.ts";
import { itemId } from "./item.ts";
import type { Limits } from "./judge.ts";
import type { HistoryLine } from "./records.ts";
import type { Imported } from "./report_schema.ts";
import type { TraceStore } from "./store.ts";
import { presentOf } from "./trace.ts";
import type { Traces } from "./traces.ts";
import { readLine } from "./transfer.ts";

export interface TakeInOptions {
  readonly store: TraceStore;
  readonly link: IndexLink;
  readonly limits: Limits;
  readonly max_traces: number;
  readonly max_versions: number;
  readonly max_history_bytes: number;
  readonly index_wait_ms: number;
  /** Lines of every import on their way into memory, by uid: what comes by two imports at once is judged together. */
  readonly coming: Map<string, HistoryLine>;
  now_ms(): number;
}

/** Refused lines that are told. */
const MAX_ERRORS = 100;
/** What a batch of lines waits for the index at most, for each time that one write does. */
const PATIENCE = 20;
const REFUSALS = ["invalid", "conflict", "too_large", "resource_limit", "queue_full"];
/** Lines on their way to the disk at once. */
const LINES_AT_ONCE = 500;

/** @throws LakeError invalid (no UTF-8), unavailable */
export async function importLines(options: TakeInOptions, bytes: Uint8Array): Promise<Imported> {
  const { link, index_wait_ms } = options;
  const intake = new Intake(options);
  const pause = pauser();
  const lines = decode(bytes).split("\n");
  try {
    for (const [at, line] of lines.entries()) {
      if (line.trim() !== "") intake.take(line, at + 1);
      if (at % LINES_AT_ONCE === LINES_AT_ONCE - 1) await intake.durable();
      await pause();
    }
  } finally {
    await intake.durable();
  }
  const indexed = await link.settled(intake.items, index_wait_ms * PATIENCE);
  return { ...intake.counts, errors: intake.errors, indexed };
}

function decode(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new LakeError("invalid", "The import is not valid UTF-8.");
  }
}

class Intake {
  readonly counts = { imported: 0, existing: 0, rejected: 0 };
  readonly errors: Imported["errors"] = [];
  readonly items: string[] = [];
  readonly #options: TakeInOptions;
  /** Of this import's lines that are on their way into memory. */
  readonly #taken: string[] = [];
  #appends: Promise<void>[] = [];

  constructor(options: TakeInOptions) {
    this.#options = options;
  }

  /** Judged and on its way before anyone else is served: what is checked here is still so when it is taken. */
  take(text: string, number: number): void {
    const { store, limits, max_versions, max_traces, max_history_bytes, coming, now_ms } = this.#options;
    try {
      if (Buffer.byteLength(text) > max_history_bytes)
        throw new LakeError(
          "too_large",
          `it has more than ${max_history_bytes} bytes (pathwayd.max_history_bytes).`,
        );
      const history = readLine(text, { ...limits, max_versions });
      const { uid, versions } = history;
      if (store.traces.forgotten.has(uid))
        throw new LakeError("conflict", `trace ${uid} was forgotten here.`);
      if (store.traces.get(uid) || coming.has(uid)) {
        this.counts.existing++;
        return;
      }
      if (store.traces.size + coming.size >= max_traces)
        throw new LakeError(
          "resource_limit",
          `there may be at most ${max_traces} traces (pathwayd.max_traces).`,
        );
      refuseFork(history, store.traces, coming);
      this.#appends.push(
        store.append({ op: "imported", at: new Date(now_ms()).toISOString(), uid, history }),
      );
      coming.set(uid, history);
      this.#taken.push(uid);
      for (const { version } of versions) this.items.push(itemId(uid, version));
      this.counts.imported++;
    } catch (error) {
      if (!(error instanceof LakeError && REFUSALS.includes(error.code))) throw error;
      this.counts.rejected++;
      if (this.errors.length < MAX_ERRORS) this.errors.push({ line: number, message: error.message });
    }
  }

  async durable(): Promise<void> {
    try {
      await Promise.all(this.#appends.splice(0));
    } finally {
      for (const uid of this.#taken.splice(0)) this.#options.coming.delete(uid);
    }
  }
}

/** A chain's links agree on both sides, where both are there, and lead to no trace twice. */
function refuseFork(line: HistoryLine, traces: Traces, coming: ReadonlyMap<string, HistoryLine>): void {
  const { uid, predecessor } = line;
  const linksOf = (it: string) => {
    const [kept, other] = [traces.get(it), coming.get(it)];
    if (kept) return { before: kept.predecessor, after: presentOf(kept).successor };
    return other && { before: other.predecessor, after: other.versions.at(-1)?.successor };
  };
  const successor = line.versions.at(-1)?.successor;
  const before = predecessor === undefined ? undefined : linksOf(predecessor);
  const after = successor === undefined ? undefined : linksOf(successor);
  if ((before && before.after !== uid) || (after && after.before !== uid))
    throw new LakeError("conflict", `trace ${uid} would fork the chain of ${predecessor ?? successor}.`);
  for (let it = successor; it !== undefined; it = linksOf(it)?.after)
    if (it === uid || it === predecessor)
      throw new LakeError("conflict", `trace ${uid} would close a circle.`);
}
