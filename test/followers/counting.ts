/** A follower as small as one can be: it counts the events that it is given, and does what its settings say. */

import type { FollowerKind } from "../../src/followers/follower.ts";

export interface CountingSettings {
  /** What it does once it has counted so many events. */
  readonly at: number;
  readonly does: "goes on" | "halts" | "throws" | "throws later" | "exits" | "finishes";
  /** What its start does. */
  readonly begin?: "throws";
}

export interface Counted {
  readonly events: number;
  readonly taking: boolean;
  readonly why?: string;
}

export const COUNTING: FollowerKind<CountingSettings, Counted> = {
  name: "counting",
  worker: "../test/followers/counting-worker.ts",
  upTo: "disk",
  haltedLine: "nothing is counted any more",
  first: ({ at }) => ({ events: -at, taking: true }),
  halted: (progress, why) => ({ ...progress, why }),
};
