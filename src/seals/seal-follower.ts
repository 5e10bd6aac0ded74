/** Sealing the log: what its thread and the node share. */

import type { FollowerKind } from "../followers/follower.ts";
import type { Seal } from "../ports/seals.ts";

export interface SealSettings {
  readonly sealCommands: number;
  /** There was no log before this start. */
  readonly isNew: boolean;
}

export interface SealProgress {
  readonly newest: Seal | undefined;
  /** Nothing is sealed until the next start; the node's log says why. */
  readonly halted: boolean;
}

export const SEALS: FollowerKind<SealSettings, SealProgress> = {
  name: "seals",
  worker: "./seals/seal-worker.ts",
  upTo: "mark",
  haltedLine: "sealing has halted",
  first: () => ({ newest: undefined, halted: false }),
  halted: ({ newest }) => ({ newest, halted: true }),
};
