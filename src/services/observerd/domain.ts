/** The witness: takes operations, keeps them in order, and tells what was seen. */
import { LakeError } from "../../shared/errors.ts";
import type { JournalReport } from "../../shared/journal.ts";
import { complete, judge, refuseImpossibleTime } from "./judge.ts";
import { listOps } from "./list.ts";
import {
  DEFAULT_SOURCE,
  GATEWAY_SOURCE,
  type GatewayOp,
  type ObservedOp,
  type Observerd,
  type ObserverHealth,
  type OpsPage,
  type OpsQuery,
  type Recorded,
  type RecordedAll,
  type Stats,
} from "./schema.ts";
import { summarize } from "./stats.ts";
import type { OpStore } from "./store.ts";

export interface ObserverOptions {
  readonly ops: OpStore;
  /** The gateway's own reports, which never count among the others. */
  readonly gateway: OpStore;
  readonly is_persisted: boolean;
  readonly max_events: number;
  /** Told of each gateway report that could not be kept. */
  dropped(count: number): void;
  now_ms(): number;
  newId(): string;
}

/** What one of a batch is refused for; anything else fails the batch. */
const REFUSALS = ["invalid", "too_large", "queue_full"];

export class Observer implements Observerd {
  readonly #options: ObserverOptions;
  #at_ms = Number.NaN;
  #at = "";

  constructor(options: ObserverOptions) {
    this.#options = options;
  }

  async record(op: ObservedOp): Promise<Recorded> {
    const { ops } = this.#options;
    const stored = this.#complete(op, op.source ?? DEFAULT_SOURCE);
    const appended = await ops.append(stored);
    const { id } = stored;
    const ring_size = ops.ring.size;
    return appended === "duplicate"
      ? { accepted: true, id, ring_size, duplicate: true }
      : { accepted: true, id, ring_size };
  }

  async recordAll(values: readonly unknown[], by_service: boolean): Promise<RecordedAll> {
    const { ops, gateway, max_events } = this.#options;
    if (values.length > max_events)
      throw new LakeError(
        "invalid",
        `A batch may have at most ${max_events} operations (got ${values.length}).`,
      );
    const appends: Promise<unknown>[] = [];
    const errors: RecordedAll["errors"] = [];
    for (const [index, value] of values.entries())
      try {
        const op = judge(value, by_service);
        const source = op.source ?? DEFAULT_SOURCE;
        const store = source === GATEWAY_SOURCE ? gateway : ops;
        appends.push(store.append(this.#complete(op, source)));
      } catch (error) {
        if (!(error instanceof LakeError && REFUSALS.includes(error.code))) throw error;
        errors.push({ index, message: error.message });
      }
    await Promise.all(appends);
    return { accepted: appends.length, rejected: errors.length, errors };
  }

  async witness(ops: readonly GatewayOp[]): Promise<void> {
    const { gateway, dropped } = this.#options;
    const appends: Promise<unknown>[] = [];
    try {
      for (const op of ops) appends.push(gateway.append(this.#complete(op, GATEWAY_SOURCE)));
    } catch (error) {
      dropped(ops.length - appends.length);
      await Promise.all(appends);
      throw error;
    }
    await Promise.all(appends);
  }

  async stats(): Promise<Stats> {
    return summarize(this.#options.ops.ring);
  }

  async ops(query: OpsQuery): Promise<OpsPage> {
    const { ops, gateway } = this.#options;
    return listOps(query.source === GATEWAY_SOURCE ? gateway.ring : ops.ring, query);
  }

  async health(): Promise<ObserverHealth> {
    const { ops, gateway, is_persisted } = this.#options;
    const { failure, ...journal } = ops.report();
    const { failure: gateway_failure, ...gateway_journal } = gateway.report();
    const is_whole = isWhole(journal) && isWhole(gateway_journal) && gateway_failure === undefined;
    const reason = failure ?? gateway_failure;
    return {
      status: failure !== undefined ? "down" : is_whole ? "ok" : "degraded",
      ring_size: ops.ring.size,
      persisted: is_persisted,
      journal,
      gateway: { ring_size: gateway.ring.size, journal: gateway_journal },
      ...(reason === undefined ? {} : { reason }),
    };
  }

  /** Many operations share a millisecond. */
  #iso(at_ms: number): string {
    if (at_ms !== this.#at_ms) {
      this.#at_ms = at_ms;
      this.#at = new Date(at_ms).toISOString();
    }
    return this.#at;
  }

  #complete(op: GatewayOp, source: string) {
    const { now_ms, newId } = this.#options;
    if (op.timestamp !== undefined) refuseImpossibleTime(op.timestamp);
    return complete(op, op.id ?? newId(), op.timestamp ?? this.#iso(now_ms()), source);
  }
}

function isWhole({ corrupt, torn, gaps }: JournalReport): boolean {
  return corrupt + torn + gaps === 0;
}
