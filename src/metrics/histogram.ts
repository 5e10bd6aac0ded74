/**
 * A histogram with fixed buckets, in an array of numbers that another thread may read.
 *
 * One thread observes. Whoever reads meanwhile may see a value in its bucket and not yet in the sum: the next
 * reading has both. An observation costs 3 to 10 ns.
 */

import type { Observer } from "../ports/measures.ts";

/** Powers of two from 1 to 65,536. */
export const SIZES = Array.from({ length: 17 }, (_, power) => 2 ** power);
/** Powers of four from 256 to 16 Mi. */
export const BYTES = Array.from({ length: 9 }, (_, power) => 256 * 4 ** power);
/** Seconds, from 10 µs to 1 s. */
export const EXECUTION_TIMES = seconds(1e-5, 1);
/** Seconds, from 50 µs to 10 s. */
export const DISK_TIMES = seconds(5e-5, 10);
/** Seconds, from 100 µs to 25 s, and 30 s. */
export const ANSWER_TIMES = [...seconds(1e-4, 25), 30];
/** Seconds, from 1 ms to 10 s. */
export const LAGS = seconds(1e-3, 10);

/** 1, 2.5 and 5 of each power of ten, from `least` to `most`. */
function seconds(least: number, most: number): number[] {
  const bounds: number[] = [];
  for (let power = -6; power <= 2; power++)
    for (const digits of [1, 2.5, 5]) bounds.push(Number(`${digits}e${power}`));
  return bounds.filter((bound) => bound >= least && bound <= most);
}

export class Histogram implements Observer {
  readonly #bounds: Float64Array;
  /** How many values fell into each bucket; behind them those above all bounds, and the sum of all. */
  readonly #cells: Float64Array;

  /** `cells` has cellsOf(bounds) numbers, all 0 in the beginning. */
  constructor(bounds: readonly number[], cells: Float64Array = new Float64Array(cellsOf(bounds))) {
    this.#bounds = Float64Array.from(bounds);
    this.#cells = cells;
  }

  observe(value: number): void {
    const bounds = this.#bounds;
    const cells = this.#cells;
    let bucket = 0;
    while (bucket < bounds.length && value > (bounds[bucket] as number)) bucket++;
    cells[bucket] = (cells[bucket] as number) + 1;
    const sum = cells.length - 1;
    cells[sum] = (cells[sum] as number) + value;
  }

  get sum(): number {
    return this.#cells[this.#cells.length - 1] as number;
  }

  /** How many values were at most each bound; last of all, with the bound Infinity, how many there were. */
  cumulative(): { readonly bound: number; readonly count: number }[] {
    let count = 0;
    return [...this.#bounds, Number.POSITIVE_INFINITY].map((bound, bucket) => {
      count += this.#cells[bucket] as number;
      return { bound, count };
    });
  }
}

export function cellsOf(bounds: readonly number[]): number {
  return bounds.length + 2;
}
