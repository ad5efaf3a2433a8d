/**
 * Leaves a provider alone after so many failures in a row, so that callers learn at once what they would
 * learn after a timeout; then one call tries again (Nygard, Release It!, "Circuit Breaker").
 */
import { LakeError } from "../../shared/errors.ts";

export interface BreakerOptions {
  /** So many in a row. */
  readonly failures: number;
  readonly pause_ms: number;
}

export class Breaker {
  readonly #options: BreakerOptions;
  #failures = 0;
  #closed_until_ms = 0;
  #is_trying = false;
  #reason = "";

  constructor(options: BreakerOptions) {
    this.#options = options;
  }

  /** Why nothing gets through now, if so. */
  get fault(): string | undefined {
    return this.#failures < this.#options.failures ? undefined : this.#reason;
  }

  /** @throws LakeError `unavailable` while the provider is left alone */
  check(): void {
    if (this.fault === undefined) return;
    const wait_ms = this.#closed_until_ms - performance.now();
    if (wait_ms <= 0 && !this.#is_trying) return;
    throw new LakeError("unavailable", `${this.#reason} It is left alone for a while.`, {
      retry_after_s: Math.max(1, Math.ceil(wait_ms / 1000)),
    });
  }

  /** Runs a call, and learns from how it ends. @throws LakeError of the call's, or as `check` */
  async run<T>(call: () => Promise<T>): Promise<T> {
    this.check();
    const is_trial = this.fault !== undefined;
    if (is_trial) this.#is_trying = true;
    try {
      const answer = await call();
      this.#failures = 0;
      return answer;
    } catch (error) {
      this.#learn(error);
      throw error;
    } finally {
      if (is_trial) this.#is_trying = false;
    }
  }

  #learn(error: unknown): void {
    if (!(error instanceof LakeError && error.code === "unavailable")) {
      // It answered, if only to refuse.
      if (error instanceof LakeError && error.code === "invalid") this.#failures = 0;
      return;
    }
    this.#failures++;
    this.#reason = error.message;
    this.#closed_until_ms = performance.now() + this.#options.pause_ms;
  }
}
