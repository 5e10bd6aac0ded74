/** How metrics are printed, held against the description of Prometheus' text format. */

import { expect, test } from "bun:test";
import fc from "fast-check";
import { Metrics } from "../../src/metrics/exposition.ts";
import { Histogram } from "../../src/metrics/histogram.ts";
import { SEED } from "../../tools/harness/seed.ts";
import { parseExposition } from "../support/exposition.ts";

test("a histogram is printed as Prometheus reads it", () => {
  const metrics = new Metrics();
  const histogram = new Histogram([0.00005, 0.5]);
  for (const value of [0.00005, 0.25, 0.25, 7]) histogram.observe(value);
  metrics.histogram("a_seconds", "What it is", () => [[{ of: "x" }, histogram]]);
  metrics.gauge("b", "Another", () => [{ value: 1 }]);
  metrics.counter("c_total", "None yet", () => []);
  expect(metrics.text()).toBe(
    [
      "# HELP a_seconds What it is",
      "# TYPE a_seconds histogram",
      'a_seconds_bucket{of="x",le="0.00005"} 1',
      'a_seconds_bucket{of="x",le="0.5"} 3',
      'a_seconds_bucket{of="x",le="+Inf"} 4',
      'a_seconds_sum{of="x"} 7.50005',
      'a_seconds_count{of="x"} 4',
      "# HELP b Another",
      "# TYPE b gauge",
      "b 1",
      "# HELP c_total None yet",
      "# TYPE c_total counter\n",
    ].join("\n"),
  );
});

test("whatever labels, helps and values are, they are read back as they were", () => {
  const text = fc.string({ unit: fc.constantFrom("\\", "\n", '"', "n", "{", "}", ",", "=", " ", "é") });
  const value = fc.oneof(
    fc.double(),
    fc.constantFrom(0, -0, 1e21, 5e-324, Number.NaN, Number.NEGATIVE_INFINITY),
  );
  fc.assert(
    fc.property(text, fc.uniqueArray(text), fc.array(value), (help, labels, values) => {
      const metrics = new Metrics();
      const samples = labels.map((of, at) => ({ labels: { of, at: String(at) }, value: values[at] ?? at }));
      metrics.gauge("a", help, () => samples);
      const read = parseExposition(metrics.text()).get("a");
      expect(read?.help).toBe(help);
      expect(read?.labels.map(([, given]) => given)).toEqual(samples.map((sample) => sample.labels));
      expect([...(read?.samples.values() ?? [])]).toEqual(samples.map((sample) => sample.value + 0));
    }),
    { seed: SEED },
  );
});

test("two metrics of one name are refused", () => {
  const metrics = new Metrics();
  metrics.gauge("a", "One", () => []);
  expect(() => metrics.counter("a", "Another", () => [])).toThrow("the name a");
});

test.each([
  ["no end", "# HELP a b\n# TYPE a gauge"],
  ["no type", "# HELP a b\na 1\n"],
  ["a sample of another metric", "# HELP a b\n# TYPE a gauge\nb 1\n"],
  ["a sample twice", "# HELP a b\n# TYPE a gauge\na 1\na 1\n"],
  ["a metric twice", "# HELP a b\n# TYPE a gauge\n# HELP a b\n# TYPE a gauge\n"],
  ["a quote that is not escaped", '# HELP a b\n# TYPE a gauge\na{of="""} 1\n'],
  ["a number that is none", "# HELP a b\n# TYPE a gauge\na undefined\n"],
  ["a counter by a gauge's name", "# HELP a b\n# TYPE a counter\na 1\n"],
  ["buckets that do not end", '# HELP a b\n# TYPE a histogram\na_bucket{le="1"} 1\na_sum 1\na_count 1\n'],
  ["another count", '# HELP a b\n# TYPE a histogram\na_bucket{le="+Inf"} 1\na_sum 1\na_count 2\n'],
])("a text with %s is noticed by these tests", (_, text) => {
  expect(() => parseExposition(text)).toThrow();
});
