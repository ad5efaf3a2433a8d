/**
 * How long requests took, by route. Prometheus' client hashes its labels at each observation, which costs
 * more than the rest of the edge: here a series is looked up once, and told to the registry when it is read.
 */
import type { MetricValueWithName } from "prom-client";

const BUCKETS_S = [
  0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30,
] as const;

export interface RouteLabels {
  readonly service: string;
  readonly route: string;
  readonly method: string;
}

/** The durations of one route, by status. */
export class Series {
  readonly labels: RouteLabels;
  readonly by_status = new Map<number, { counts: Float64Array; sum_s: number }>();

  constructor(labels: RouteLabels) {
    this.labels = labels;
  }

  observe(status: number, duration_s: number): void {
    let held = this.by_status.get(status);
    if (!held) {
      held = { counts: new Float64Array(BUCKETS_S.length + 1), sum_s: 0 };
      this.by_status.set(status, held);
    }
    let at = 0;
    while (at < BUCKETS_S.length && duration_s > (BUCKETS_S[at] as number)) at++;
    (held.counts[at] as number)++;
    held.sum_s += duration_s;
  }
}

/** The histogram `lakehouse_request_duration_seconds`, in the shape that the registry reads. */
export class Durations {
  readonly name = "lakehouse_request_duration_seconds";
  readonly help = "Time from the request's arrival to its answer";
  readonly type = "histogram";
  readonly #series: Series[] = [];

  series(labels: RouteLabels): Series {
    const series = new Series(labels);
    this.#series.push(series);
    return series;
  }

  async get() {
    const values = this.#series.flatMap((series) => this.#valuesOf(series));
    return { name: this.name, help: this.help, type: this.type, values };
  }

  reset(): void {
    for (const series of this.#series) series.by_status.clear();
  }

  #valuesOf(series: Series): MetricValueWithName<string>[] {
    return [...series.by_status].flatMap(([status, { counts, sum_s }]) => {
      const labels = { ...series.labels, status: String(status) };
      let count = 0;
      const buckets = [...counts].map((value, at) => {
        count += value;
        return {
          metricName: `${this.name}_bucket`,
          labels: { ...labels, le: BUCKETS_S[at] ?? "+Inf" },
          value: count,
        };
      });
      return [
        ...buckets,
        { metricName: `${this.name}_sum`, labels, value: sum_s },
        { metricName: `${this.name}_count`, labels, value: count },
      ];
    });
  }
}
