/** The check of the log's older lines, those before the snapshot of the last start: what its thread and the node share. */

import type { FollowerKind } from "../followers/follower.ts";

export interface LogCheckProgress {
  /** What is wrong with the lines; undefined while nothing is known to be. */
  readonly damage: string | undefined;
}

export const LOG_CHECK: FollowerKind<undefined, LogCheckProgress> = {
  name: "log check",
  worker: "./snapshots/log-check-worker.ts",
  upTo: "start",
  haltedLine: "the older lines of the log cannot be checked",
  first: () => ({ damage: undefined }),
  halted: (progress) => progress,
};
