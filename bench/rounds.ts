/** Works that are compared with each other: once a round each, in turn, so that a slow moment meets them all. */

import type { Result } from "./load.ts";
import { MAX_ROUNDS_MS, ROUNDS } from "./settings.ts";

export type Work = (seconds: number) => Promise<Result>;

/** In microseconds. */
export interface Latency {
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
}

/** What one work measured, round by round. */
export class Series {
  constructor(readonly results: readonly Result[]) {}

  /** Transfers (or reads) a second. */
  get rate(): number {
    return median(this.results.map(rateOf));
  }

  get latency(): Latency {
    const of = (percentile: keyof Latency) => median(this.results.map((result) => result[percentile]));
    return { p50: of("p50"), p99: of("p99"), p999: of("p999") };
  }

  /** The median of the rounds' ratios: what else the machine does changes from round to round. */
  ratioTo(base: Series, of: (result: Result) => number = rateOf): number {
    const bases = base.results.map(of);
    return median(this.results.map((result, round) => of(result) / (bases[round] ?? Number.NaN)));
  }
}

/** A warm-up of each that does not count, then ROUNDS rounds. */
export async function inTurn<Name extends string>(
  works: Readonly<Record<Name, Work>>,
  seconds: number,
  warmUpSeconds = 0,
): Promise<Record<Name, Series>> {
  const named = Object.entries<Work>(works) as [Name, Work][];
  if (warmUpSeconds > 0) for (const [, work] of named) await work(warmUpSeconds);
  const results = new Map<Name, Result[]>(named.map(([name]) => [name, []]));
  for (let round = 0; round < ROUNDS; round++)
    for (const [name, work] of named) results.get(name)?.push(await work(seconds));
  return Object.fromEntries([...results].map(([name, each]) => [name, new Series(each)])) as Record<
    Name,
    Series
  >;
}

/** Whether rounds that began then have taken so long that no further one is worth it. */
export function isLate(beginMs: number): boolean {
  return performance.now() - beginMs > MAX_ROUNDS_MS;
}

export function rateOf({ committed, duration }: Result): number {
  return committed / (duration / 1e6);
}

export function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}
