/** A conversion's own process. */
import { readFileSync } from "node:fs";
import { serveEngine } from "../../shared/duckdb/serve.ts";
import { convert, look } from "./convert.ts";
import { merge } from "./keys.ts";
import type { Conversions, Progress } from "./protocol.ts";

const PROGRESS_MS = 200;

serveEngine<Conversions, Progress>("conversion", "(ingestd.memory_limit_mib)", {
  look: (_engine, request) => look(request),
  async convert(engine, request, tell) {
    const meter = new Meter("converting", () => engine.percent(), tell);
    return meter.during(
      convert(engine, request, (phase, bytes) =>
        meter.enter(phase, readMeter(bytes) ?? (() => engine.percent())),
      ),
    );
  },
  merge: (engine, request, tell) =>
    new Meter("merging", () => engine.percent(), tell).during(merge(engine, request)),
});

/** Tells every so often how far the phase under way is. */
class Meter {
  #phase: Progress["phase"];
  #percent: () => number;
  readonly #tell: (progress: Progress) => void;

  constructor(phase: Progress["phase"], percent: () => number, tell: (progress: Progress) => void) {
    this.#phase = phase;
    this.#percent = percent;
    this.#tell = tell;
  }

  enter(phase: Progress["phase"], percent: () => number): void {
    this.#phase = phase;
    this.#percent = percent;
    this.#now();
  }

  async during<T>(work: Promise<T>): Promise<T> {
    const timer = setInterval(() => this.#now(), PROGRESS_MS);
    try {
      return await work;
    } finally {
      clearInterval(timer);
    }
  }

  #now(): void {
    this.#tell({ phase: this.#phase, percent: this.#percent() });
  }
}

/** How much of the bytes to be read has been: DuckDB tells nothing of a COPY whose values are checked. */
function readMeter(bytes: number): (() => number) | undefined {
  const read = () => Number(/^rchar: (\d+)/.exec(readFileSync("/proc/self/io", "utf8"))?.[1]);
  try {
    const before = read();
    return () => Math.min(99, (100 * (read() - before)) / bytes);
  } catch {
    // Not every system has it.
    return undefined;
  }
}
