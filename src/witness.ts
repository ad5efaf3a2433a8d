/** The gateway's own report of what it served: batched, best effort, never in a request's way. */
import type { GatewayOp, Observerd } from "./services/observerd/schema.ts";
import type { Served } from "./shared/edge.ts";
import { messageOf } from "./shared/errors.ts";
import type { Log } from "./shared/log.ts";
import type { Metrics } from "./shared/metrics.ts";

export interface WitnessOptions {
  readonly observerd: Pick<Observerd, "witness">;
  readonly queue: number;
  readonly log: Log;
  readonly metrics: Metrics;
}

/** Reports wait so long for company; with a full batch each time, that is also the most reported a second. */
const BATCH_DELAY_MS = 50;
const BATCH_OPS = 1000;
/** After a failed report; what comes meanwhile waits in the queue. */
const RETRY_DELAY_MS = 1000;
const MAX_ENDPOINT_CHARS = 2048;
/** Observing the observer would never end; the rest is not an operation. */
const UNWITNESSED = /^\/(v1\/observer(\/|$)|health$|metrics$|swagger(\/|$))/;

export class Witness {
  readonly #options: WitnessOptions;
  #waiting: GatewayOp[] = [];
  #at_ms = Number.NaN;
  #at = "";
  #timer: Timer | undefined;
  #sending: Promise<void> | undefined;
  readonly #dropped: (count: number) => void;

  constructor(options: WitnessOptions) {
    this.#options = options;
    const { metrics } = options;
    metrics.gauge(
      "gateway_witness_waiting",
      "Operations served that are not reported yet",
      () => this.waiting,
    );
    const counter = metrics.counter(
      "gateway_witness_dropped_total",
      "Operations served that were not reported",
    );
    this.#dropped = (count) => counter.inc(count);
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  /** Takes note; never waits, never throws. */
  readonly note = (served: Served): void => {
    if (UNWITNESSED.test(served.path)) return;
    if (this.#waiting.length >= this.#options.queue) {
      this.#dropped(1);
      return;
    }
    this.#waiting.push(operation(served, this.#now()));
    this.#timer ??= setTimeout(() => this.#send(), BATCH_DELAY_MS);
  };

  /** Reports what is waiting, once; what can't be reported now is dropped. */
  async close(): Promise<void> {
    clearTimeout(this.#timer);
    await this.#sending;
    while (this.#waiting.length > 0) if (!(await this.#report())) break;
    clearTimeout(this.#timer);
    this.#dropped(this.#waiting.splice(0).length);
  }

  #send(): void {
    this.#sending = this.#report().then((is_sent) => {
      this.#sending = undefined;
      this.#timer =
        this.#waiting.length > 0
          ? setTimeout(() => this.#send(), is_sent ? BATCH_DELAY_MS : RETRY_DELAY_MS)
          : undefined;
    });
  }

  /** Many operations share a millisecond, and its wording costs as much as the rest of an operation. */
  #now(): string {
    const at_ms = Date.now();
    if (at_ms !== this.#at_ms) {
      this.#at_ms = at_ms;
      this.#at = new Date(at_ms).toISOString();
    }
    return this.#at;
  }

  async #report(): Promise<boolean> {
    const batch = this.#waiting.splice(0, BATCH_OPS);
    try {
      await this.#options.observerd.witness(batch);
      return true;
    } catch (error) {
      this.#dropped(batch.length);
      this.#options.log.warn(
        { dropped: batch.length, reason: messageOf(error) },
        "observerd took no report of what was served",
      );
      return false;
    }
  }
}

function operation({ path, method, status, duration_ms, request_id }: Served, timestamp: string): GatewayOp {
  return {
    endpoint: path.length > MAX_ENDPOINT_CHARS ? path.slice(0, MAX_ENDPOINT_CHARS) : path,
    timestamp,
    success: status < 400,
    duration_ms: Math.round(duration_ms * 1000) / 1000,
    method,
    status,
    request_id,
  };
}
