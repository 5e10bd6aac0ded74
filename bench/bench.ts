/** What the parts of a run are given. */

import type { LoadGenerator } from "./load.ts";

export interface Bench {
  /** Where ledgers are put, on a disk. */
  readonly folder: string;
  /** Where reference.ts listens. */
  readonly referenceUrl: string;
  readonly loads: LoadGenerator;
}
