/** What the parts of a run are given. */

import type { KeyRecord } from "../src/ports/keys.ts";
import type { LoadGenerator } from "./load.ts";

export interface Bench {
  /** Where ledgers are put, on a disk. */
  readonly folder: string;
  /** Where reference.ts listens. */
  readonly referenceUrl: string;
  readonly loads: LoadGenerator;
  /** Those of every ledger: the one that the loads bring. */
  readonly keys: readonly KeyRecord[];
}
