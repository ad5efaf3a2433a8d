/** Failures that a test scripts: what the stand-in does wrong, where, and how often. */

export interface Failure {
  /** The path it happens at; every path where absent. */
  path?: string;
  /** How many requests meet it; 1 where absent. */
  times?: number;
  /** Waits so long before it answers. */
  latency_ms?: number;
  /** Answers with this status and an error. */
  status?: number;
  /** Breaks the connection off in the middle of the answer. */
  truncate?: boolean;
  /** Answers with vectors of this many dimensions. */
  dimension?: number;
}

/** So that no test can script without end. */
const MAX_FAILURES = 1000;
const NUMBERS = ["times", "latency_ms", "status", "dimension"] as const;
const KNOWN = ["path", "truncate", ...NUMBERS];

export class FailureScript {
  #failures: Failure[] = [];

  /** Replaces what was scripted. @throws Error naming what is not understood */
  set(failures: readonly Failure[]): void {
    if (!Array.isArray(failures) || failures.length > MAX_FAILURES)
      throw new Error(`failures must be a list of at most ${MAX_FAILURES}`);
    for (const it of failures) {
      const unknown = Object.keys(it).find((name) => !KNOWN.includes(name));
      if (unknown) throw new Error(`unknown member ${unknown} (known: ${KNOWN.join(", ")})`);
      for (const name of NUMBERS)
        if (it[name] !== undefined && !(Number.isInteger(it[name]) && (it[name] as number) >= 0))
          throw new Error(`${name} must be a whole number`);
    }
    this.#failures = failures.map((it) => ({ ...it }));
  }

  /** The failure that a request meets, which is used up by it. */
  take(path: string): Failure | undefined {
    const found = this.#failures.find((it) => (it.times ?? 1) > 0 && (it.path ?? path) === path);
    if (found) found.times = (found.times ?? 1) - 1;
    return found;
  }
}
