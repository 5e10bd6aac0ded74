/**
 * How much a writer writes at a time, by how far it is behind. The wallet has the first right to the cores: where
 * its log grows by more than half of what is written meanwhile, whoever is far behind rests after each batch, and
 * takes no larger ones, for a transfer that meets a batch waits for as long as the batch holds a core. So until the
 * log grows by less than could be written without the rest.
 */

export interface Pace {
  /** Changes written at a time. */
  readonly batchSize: number;
  /** The pause after a batch, in times of what it took. */
  readonly rest: number;
}

const USUAL: Pace = { batchSize: 200, rest: 0 };
/** Who is further behind than this takes such large batches, which cost less a change. */
const CATCH_UP: Pace = { batchSize: 5_000, rest: 0 };
const BUSY: Pace = { ...USUAL, rest: 9 };

/** `before`: the lag before the last batch, and its pace. */
export function paceOf(lag: number, before?: { readonly lag: number; readonly pace: Pace }): Pace {
  if (lag <= CATCH_UP.batchSize) return USUAL;
  return before && grownSince(before, lag) > bearable(before.pace) ? BUSY : CATCH_UP;
}

function grownSince(before: { readonly lag: number; readonly pace: Pace }, lag: number): number {
  return lag - before.lag + before.pace.batchSize;
}

/** In the time of a batch and the rest after it. Whoever rested has all of that time, and is not to stay behind. */
function bearable({ batchSize, rest }: Pace): number {
  return rest > 0 ? batchSize * (1 + rest) : batchSize / 2;
}
