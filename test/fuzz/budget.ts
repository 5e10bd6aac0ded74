/** How long a fuzzer goes on: a fixed number of rounds, or COFFER_FUZZ_SECONDS (`make fuzz`). */

const given = process.env.COFFER_FUZZ_SECONDS;

/** In seconds; undefined where a fuzzer runs its usual rounds. */
export const FUZZ_SECONDS = given ? Number(given) : undefined;
if (FUZZ_SECONDS !== undefined && !(FUZZ_SECONDS > 0))
  throw new RangeError(`COFFER_FUZZ_SECONDS must be a number above 0, not "${given}"`);

/** Numbers from 0: `usual` of them, or as many as there is time for. */
export function* rounds(usual: number): Generator<number> {
  const until = performance.now() + (FUZZ_SECONDS ?? 0) * 1_000;
  for (let round = 0; round < usual || performance.now() < until; round++) yield round;
}

/** For tests whose usual rounds take seconds, on a machine that does much else. */
export const FUZZ_TIMEOUT_MS = (120 + 2 * (FUZZ_SECONDS ?? 0)) * 1_000;
