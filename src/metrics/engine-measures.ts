/** What the engine's thread measures. */

import type { BatchMeasures, LogMeasures } from "../ports/measures.ts";
import { BYTES, DISK_TIMES, EXECUTION_TIMES, Histogram, LAGS, SIZES } from "./histogram.ts";

export class EngineMeasures {
  readonly batch = {
    commands: new Histogram(SIZES),
    messages: new Histogram(SIZES),
    seconds: new Histogram(EXECUTION_TIMES),
  } satisfies BatchMeasures;
  readonly log = {
    bytes: new Histogram(BYTES),
    seconds: new Histogram(DISK_TIMES),
  } satisfies LogMeasures;
  readonly loopLag = new Histogram(LAGS);
}
