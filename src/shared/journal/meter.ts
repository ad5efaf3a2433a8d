/** The metrics of every journal in a process, told apart by label; made once for each registry. */
import { Counter, Gauge, Histogram } from "prom-client";
import type { Metrics } from "../metrics.ts";

export interface Meter {
  /** One batch is durable. */
  batch(records: number, bytes: number, elapsed_s: number): void;
  synced(): void;
  failed(): void;
}

const registered = new WeakMap<Metrics, ReturnType<typeof register>>();

/** @param name of the journal, its label @param depth records waiting for the disk now */
export function journalMeter(metrics: Metrics, name: string, depth: () => number): Meter {
  let all = registered.get(metrics);
  if (!all) {
    all = register(metrics);
    registered.set(metrics, all);
  }
  all.depths.set(name, depth);
  const appends = all.appends.labels(name);
  const bytes_written = all.bytes.labels(name);
  const syncs = all.syncs.labels(name);
  const failures = all.failures.labels(name);
  const sizes = all.sizes.labels(name);
  const seconds = all.seconds.labels(name);
  return {
    batch(records, bytes, elapsed_s) {
      appends.inc(records);
      bytes_written.inc(bytes);
      sizes.observe(records);
      seconds.observe(elapsed_s);
    },
    synced: () => syncs.inc(),
    failed: () => failures.inc(),
  };
}

function register({ registry }: Metrics) {
  const registers = [registry];
  const labelNames = ["journal"];
  const depths = new Map<string, () => number>();
  const depth: Gauge = new Gauge({
    name: "lakehouse_journal_queue_depth",
    help: "Records waiting for the disk",
    labelNames,
    registers,
    collect: () => {
      for (const [name, read] of depths) depth.labels(name).set(read());
    },
  });
  const counter = (name: string, help: string) =>
    new Counter({ name: `lakehouse_journal_${name}`, help, labelNames, registers });
  return {
    depths,
    appends: counter("appends_total", "Records made durable"),
    bytes: counter("bytes_total", "Bytes written"),
    syncs: counter("syncs_total", "Syncs of the active segment"),
    failures: counter("failures_total", "Write or sync errors, each of which stops the journal"),
    sizes: new Histogram({
      name: "lakehouse_journal_batch_records",
      help: "Records made durable by one sync",
      buckets: [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 4096],
      labelNames,
      registers,
    }),
    seconds: new Histogram({
      name: "lakehouse_journal_batch_seconds",
      help: "Time to write and sync one batch",
      buckets: [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 5],
      labelNames,
      registers,
    }),
  };
}
