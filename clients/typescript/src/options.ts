/** Every option once: its unit, default and range. */

/** The most transfers that a server takes in one batch. The longest of them all together stay below its 4 MiB. */
export const MAX_BATCH = 8_192;
/** The largest delay that a timer takes. */
const MAX_TIMER_MS = 2 ** 31 - 1;
const MAX_IN_FLIGHT = 64;
const MAX_WAITING = 1_000_000;
const NAMES = ["token", "timeoutMs", "maxInFlight", "maxBatch", "maxWaiting"];

export interface CofferOptions {
  /** The key that `coffer keys add` printed; sent with every request as `Authorization: Bearer …`. */
  readonly token?: string | undefined;
  /** How long a call may take, attempts and pauses included, in ms. Default 30,000. */
  readonly timeoutMs?: number | undefined;
  /** How many batches of transfers may be under way at once, 1 … 64; calls gather meanwhile. Default 2. */
  readonly maxInFlight?: number | undefined;
  /** The most transfers in one batch, 1 … 8,192. Default 8,192. */
  readonly maxBatch?: number | undefined;
  /** How many calls may be without an outcome; beyond it a call is refused at once. Default 100,000. */
  readonly maxWaiting?: number | undefined;
}

export interface Limits {
  readonly timeoutMs: number;
  readonly maxInFlight: number;
  readonly maxBatch: number;
  readonly maxWaiting: number;
}

/** Options over defaults. Throws RangeError. */
export function limitsOf(options: CofferOptions): Limits {
  for (const name of Object.keys(options))
    if (!NAMES.includes(name)) throw new RangeError(`${name} is no option; there are ${NAMES.join(", ")}`);
  return {
    timeoutMs: inRange("timeoutMs", options.timeoutMs ?? 30_000, MAX_TIMER_MS),
    maxInFlight: inRange("maxInFlight", options.maxInFlight ?? 2, MAX_IN_FLIGHT),
    maxBatch: inRange("maxBatch", options.maxBatch ?? MAX_BATCH, MAX_BATCH),
    maxWaiting: inRange("maxWaiting", options.maxWaiting ?? 100_000, MAX_WAITING),
  };
}

function inRange(name: string, value: number, max: number): number {
  if (Number.isSafeInteger(value) && value >= 1 && value <= max) return value;
  throw new RangeError(`${name} must be an integer from 1 to ${max}, not ${value}`);
}
