/**
 * A metric for prom-client's registry whose samples are looked up when they are asked for. prom-client's own
 * are told each time that something happens, with labels to be hashed: too much for the way of a command.
 */

import type { Metric, Registry } from "prom-client";
import type { Histogram } from "./histogram.ts";

export type Labels = Readonly<Record<string, string>>;

export interface Sample {
  readonly labels?: Labels;
  readonly value: number;
  /** Where it is not the metric's own. */
  readonly metricName?: string;
}

type Kind = "counter" | "gauge" | "histogram";

/** What a registry asks of a metric to print it. */
class LookedUpMetric {
  constructor(
    readonly name: string,
    readonly help: string,
    private readonly type: Kind,
    private readonly samples: () => readonly Sample[],
  ) {}

  async get() {
    const { name, help, type } = this;
    return { name, help, type, aggregator: "sum", values: this.samples() };
  }
}

export class LookedUpMetrics {
  constructor(private readonly registry: Registry) {}

  counter(name: string, help: string, samples: () => readonly Sample[]): void {
    this.#add(name, help, "counter", samples);
  }

  gauge(name: string, help: string, samples: () => readonly Sample[]): void {
    this.#add(name, help, "gauge", samples);
  }

  /** One of several histograms each, by their labels. */
  histogram(name: string, help: string, of: () => readonly (readonly [Labels, Histogram])[]): void {
    this.#add(name, help, "histogram", () =>
      of().flatMap(([labels, histogram]) => {
        const buckets = histogram.cumulative();
        const sum = { metricName: `${name}_sum`, labels, value: histogram.sum };
        const count = { metricName: `${name}_count`, labels, value: buckets.at(-1)?.count ?? 0 };
        return [
          ...buckets.map(({ bound, count: value }) => {
            const le = bound === Number.POSITIVE_INFINITY ? "+Inf" : String(bound);
            return { metricName: `${name}_bucket`, labels: { ...labels, le }, value };
          }),
          sum,
          count,
        ];
      }),
    );
  }

  #add(name: string, help: string, kind: Kind, samples: () => readonly Sample[]): void {
    // The registry's type knows prom-client's own four classes only; of them it uses what stands above.
    this.registry.registerMetric(new LookedUpMetric(name, help, kind, samples) as unknown as Metric);
  }
}

/** One sample, or none where the value is not known. */
export function only(value: number | undefined): readonly Sample[] {
  return value === undefined ? [] : [{ value }];
}
