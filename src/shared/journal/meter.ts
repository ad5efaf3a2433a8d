/**
 * The metrics of every journal in a process, told apart by label. A journal only counts, and the registry reads:
 * Prometheus' client hashes its labels at each observation, which costs as much as writing a small batch.
 */
import { Counter, Gauge, type Histogram, type MetricValueWithName } from "prom-client";
import type { Metrics } from "../metrics.ts";

const BATCH_RECORDS = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 4096];
const BATCHES = "lakehouse_journal_batch_records";

/** What one journal has done. */
export class Meter {
  appends = 0;
  bytes = 0;
  syncs = 0;
  failures = 0;
  /** Batches by the number of their records. */
  readonly batches = new Float64Array(BATCH_RECORDS.length + 1);
  /** Records waiting for the disk now. */
  readonly depth: () => number;

  constructor(depth: () => number) {
    this.depth = depth;
  }

  /** One batch is durable. */
  batch(records: number, bytes: number): void {
    this.appends += records;
    this.bytes += bytes;
    let bucket = 0;
    while (bucket < BATCH_RECORDS.length && records > (BATCH_RECORDS[bucket] as number)) bucket++;
    (this.batches[bucket] as number)++;
  }
}

const registered = new WeakMap<Metrics, Map<string, Meter>>();

/** The meter of the journal called `name` in this registry; the newest where it is opened again. */
export function journalMeter(metrics: Metrics, name: string, depth: () => number): Meter {
  let meters = registered.get(metrics);
  if (!meters) {
    meters = new Map();
    registered.set(metrics, meters);
    register(metrics, meters);
  }
  const meter = new Meter(depth);
  meters.set(name, meter);
  return meter;
}

function register({ registry }: Metrics, meters: ReadonlyMap<string, Meter>): void {
  const shared = { labelNames: ["journal"], registers: [registry] };
  const counter = (name: string, help: string, read: (meter: Meter) => number) => {
    const it: Counter = new Counter({
      ...shared,
      name: `lakehouse_journal_${name}`,
      help,
      collect: () => {
        it.reset();
        for (const [journal, meter] of meters) it.inc({ journal }, read(meter));
      },
    });
  };
  counter("appends_total", "Records made durable", (meter) => meter.appends);
  counter("bytes_total", "Bytes written", (meter) => meter.bytes);
  counter("syncs_total", "Syncs of batches", (meter) => meter.syncs);
  counter(
    "failures_total",
    "Write or sync errors, each of which stops the journal",
    (meter) => meter.failures,
  );
  const depth: Gauge = new Gauge({
    ...shared,
    name: "lakehouse_journal_queue_depth",
    help: "Records waiting for the disk",
    collect: () => {
      for (const [journal, meter] of meters) depth.set({ journal }, meter.depth());
    },
  });
  const type = "histogram";
  const help = "Records made durable by one write and sync";
  registry.registerMetric({
    name: BATCHES,
    get: async () => ({ name: BATCHES, help, type, values: [...meters].flatMap(batchValues) }),
    reset: () => {},
  } as unknown as Histogram);
}

function batchValues([journal, { batches, appends }]: [string, Meter]): MetricValueWithName<string>[] {
  let count = 0;
  const buckets = [...batches].map((batches_here, at) => {
    count += batches_here;
    return {
      metricName: `${BATCHES}_bucket`,
      labels: { journal, le: BATCH_RECORDS[at] ?? "+Inf" },
      value: count,
    };
  });
  return [
    ...buckets,
    { metricName: `${BATCHES}_sum`, labels: { journal }, value: appends },
    { metricName: `${BATCHES}_count`, labels: { journal }, value: count },
  ];
}
