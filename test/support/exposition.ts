/** Reads Prometheus' text format, version 0.0.4, as strictly as its description has it. */

export interface ExposedMetric {
  readonly help: string;
  readonly type: string;
  /** By name and labels as they are written. */
  readonly samples: ReadonlyMap<string, number>;
  /** The labels of each sample, unescaped, and its name. */
  readonly labels: readonly (readonly [name: string, labels: Readonly<Record<string, string>>])[];
}

const NAME = "[a-zA-Z_:][a-zA-Z0-9_:]*";
const LABEL = '[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\\\\n]|\\\\[\\\\n"])*"';
const HELP = new RegExp(`^# HELP (${NAME}) ((?:[^\\\\]|\\\\[\\\\n])*)$`);
const TYPE = new RegExp(`^# TYPE (${NAME}) (counter|gauge|histogram)$`);
const NUMBER = "[+-]?Inf|NaN|-?[0-9]+(?:\\.[0-9]+)?(?:e[+-][0-9]+)?";
const SAMPLE = new RegExp(`^((${NAME})(?:\\{(${LABEL}(?:,${LABEL})*)\\})?) (${NUMBER})$`);

/** By name. Throws where the text is not what a server would read. */
export function parseExposition(text: string): ReadonlyMap<string, ExposedMetric> {
  if (!text.endsWith("\n")) throw new Error("the last line has no end");
  const metrics = new Map<string, ExposedMetric>();
  const lines = text.slice(0, -1).split("\n");
  for (let at = 0; at < lines.length; ) {
    const [, name, help] = HELP.exec(lines[at] as string) ?? [];
    const [, typed, type] = TYPE.exec(lines[at + 1] ?? "") ?? [];
    if (name === undefined || help === undefined || typed !== name || type === undefined)
      throw new Error(`not the head of a metric: ${lines[at]}, ${lines[at + 1]}`);
    if (metrics.has(name)) throw new Error(`${name} comes twice`);
    if (type === "counter" && !name.endsWith("_total")) throw new Error(`${name} is a counter`);
    const samples = new Map<string, number>();
    const labels: [string, Record<string, string>][] = [];
    for (at += 2; at < lines.length && !lines[at]?.startsWith("#"); at++) {
      const [, key, sample, pairs, value] = SAMPLE.exec(lines[at] as string) ?? [];
      if (key === undefined || sample === undefined || samples.has(key))
        throw new Error(`not a sample, or a second one: ${lines[at]}`);
      const suffix = sample.startsWith(name) ? sample.slice(name.length) : "another metric";
      if (!(type === "histogram" ? ["_bucket", "_sum", "_count"] : [""]).includes(suffix))
        throw new Error(`${sample} is not of ${name}`);
      samples.set(key, Number(value?.replace("Inf", "Infinity")));
      labels.push([sample, labelsOf(pairs ?? "")]);
    }
    const metric = { help: unescaped(help), type, samples, labels };
    if (type === "histogram") checkHistograms(name, metric);
    metrics.set(name, metric);
  }
  return metrics;
}

function labelsOf(pairs: string): Record<string, string> {
  const found = [...pairs.matchAll(new RegExp(LABEL, "g"))].map(([pair]) => {
    const at = pair.indexOf("=");
    return [pair.slice(0, at), unescaped(pair.slice(at + 2, -1))] as const;
  });
  const labels = Object.fromEntries(found);
  if (Object.keys(labels).length !== found.length) throw new Error(`a label comes twice: ${pairs}`);
  return labels;
}

function unescaped(text: string): string {
  return text.replace(/\\(.)/g, (_, character: string) => (character === "n" ? "\n" : character));
}

/** Buckets rise by their bounds and end with +Inf, at as many as are counted. */
function checkHistograms(name: string, { samples, labels }: ExposedMetric): void {
  const values = [...samples.values()];
  let before: { bound: number; count: number } | undefined;
  for (const [at, [sample, { le }]] of labels.entries()) {
    const value = values[at] as number;
    if (sample === `${name}_bucket`) {
      const bound = Number(le?.replace("Inf", "Infinity"));
      if (!(bound > (before?.bound ?? Number.NEGATIVE_INFINITY) && value >= (before?.count ?? 0)))
        throw new Error(`the buckets of ${name} do not rise`);
      before = { bound, count: value };
    } else if (sample === `${name}_count`) {
      if (before?.bound !== Number.POSITIVE_INFINITY || before.count !== value)
        throw new Error(`${name} counts ${value}, and its last bucket says otherwise`);
      before = undefined;
    }
  }
}
