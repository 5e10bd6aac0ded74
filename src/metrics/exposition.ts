/**
 * Metrics whose samples are looked up when they are asked for, as Prometheus' text format, version 0.0.4. Clients
 * for Prometheus are told each time that something happens, with labels to be hashed: too much on a command's path.
 */

import type { Histogram } from "./histogram.ts";

export type Labels = Readonly<Record<string, string>>;

export interface Sample {
  readonly labels?: Labels;
  readonly value: number;
}

export class Metrics {
  readonly #texts = new Map<string, () => string>();

  counter(name: string, help: string, samples: () => readonly Sample[]): void {
    this.#add(name, help, "counter", () => samples().map(({ labels, value }) => line(name, labels, value)));
  }

  gauge(name: string, help: string, samples: () => readonly Sample[]): void {
    this.#add(name, help, "gauge", () => samples().map(({ labels, value }) => line(name, labels, value)));
  }

  /** One of several histograms each, by their labels. */
  histogram(name: string, help: string, of: () => readonly (readonly [Labels, Histogram])[]): void {
    this.#add(name, help, "histogram", () =>
      of().flatMap(([labels, histogram]) => {
        const buckets = histogram.cumulative();
        return [
          ...buckets.map(({ bound, count }) =>
            line(`${name}_bucket`, { ...labels, le: numberText(bound) }, count),
          ),
          line(`${name}_sum`, labels, histogram.sum),
          line(`${name}_count`, labels, buckets.at(-1)?.count ?? 0),
        ];
      }),
    );
  }

  text(): string {
    return [...this.#texts.values()].map((text) => text()).join("");
  }

  #add(name: string, help: string, type: string, lines: () => readonly string[]): void {
    if (this.#texts.has(name)) throw new TypeError(`two metrics have the name ${name}`);
    const head = `# HELP ${name} ${escaped(help)}\n# TYPE ${name} ${type}\n`;
    this.#texts.set(name, () => head + lines().join(""));
  }
}

/** One sample, or none where the value is not known. */
export function only(value: number | undefined): readonly Sample[] {
  return value === undefined ? [] : [{ value }];
}

function line(name: string, labels: Labels = {}, value: number): string {
  const pairs = Object.entries(labels).map(
    ([label, text]) => `${label}="${escaped(text).replaceAll('"', '\\"')}"`,
  );
  return `${name}${pairs.length > 0 ? `{${pairs.join(",")}}` : ""} ${numberText(value)}\n`;
}

function numberText(value: number): string {
  if (Number.isNaN(value) || Number.isFinite(value)) return String(value);
  return value > 0 ? "+Inf" : "-Inf";
}

function escaped(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n");
}
