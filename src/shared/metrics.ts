/** The process's metrics: one registry per composition, so that two in one process (tests) don't mix. */
import { Counter, Gauge, Histogram, Registry } from "prom-client";

export class Metrics {
  readonly registry = new Registry();
  readonly requests = new Histogram({
    name: "lakehouse_request_duration_seconds",
    help: "Time from the request's arrival to its answer",
    labelNames: ["service", "route", "method", "status"],
    buckets: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
    registers: [this.registry],
  });

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
