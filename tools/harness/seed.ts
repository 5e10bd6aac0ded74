/**
 * The seed of every random test of a run: printed, and taken from COFFER_SEED where a run is to be repeated.
 */

import fc from "fast-check";

const given = process.env.COFFER_SEED;
export const SEED = given ? Number(given) : Math.floor(Math.random() * 2 ** 31);
if (!Number.isSafeInteger(SEED)) throw new RangeError(`COFFER_SEED must be an integer, not "${given}"`);
console.log(`COFFER_SEED=${SEED}`);
fc.configureGlobal({ ...fc.readConfigureGlobal(), seed: SEED });

/** Draws integers from 0 to below a bound; the same ones for the same seed (mulberry32). */
export function randomIntegers(seed = SEED): (below: number) => number {
  let state = seed | 0;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}
