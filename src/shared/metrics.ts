/** The process's metrics: one registry per composition, so that two in one process (tests) don't mix. */
import { Counter, Gauge, Histogram, Registry } from "prom-client";
import { Durations } from "./durations.ts";

export class Metrics {
  readonly registry = new Registry();
  readonly requests = new Durations();

  constructor() {
    this.registry.registerMetric(this.requests as unknown as Histogram);
  }

  counter(name: string, help: string, labelNames: string[] = []): Counter {
    return new Counter({ name: `lakehouse_${name}`, help, labelNames, registers: [this.registry] });
  }

  gauge(name: string, help: string, read: () => number): Gauge {
    const gauge: Gauge = new Gauge({
      name: `lakehouse_${name}`,
      help,
      registers: [this.registry],
      collect: () => gauge.set(read()),
    });
    return gauge;
  }

  histogram(name: string, help: string, buckets: number[], labelNames: string[] = []): Histogram {
    return new Histogram({
      name: `lakehouse_${name}`,
      help,
      labelNames,
      buckets,
      registers: [this.registry],
    });
  }

  /** The Prometheus text exposition. */
  text(): Promise<string> {
    return this.registry.metrics();
  }
}
