/** The durable commands of this node's log, for those who follow it at their own pace. */

import type { WalletEvent } from "../domain/events.ts";
import type { LogPosition } from "./log-position.ts";

export interface LoggedCommand {
  readonly events: readonly WalletEvent[];
  /** The log's end with this command. */
  readonly end: LogPosition;
}

export interface LogFeed {
  /** Where the log on disk ends: nothing behind it is ever given. */
  readonly durable: LogPosition;
  /** The end of the command whose last event is `seq`; undefined where no command of the log ends there. */
  positionAt(seq: number): LogPosition | undefined;
  /** Begins to read after a command. */
  follow(after: LogPosition): LogFollower;
  /** Calls `run` whenever the log on disk has grown, until the returned function is called. */
  onGrowth(run: () => void): () => void;
}

export interface LogFollower {
  /** The next few commands; none where the durable log has ended. Throws where the log is damaged. */
  next(): readonly LoggedCommand[];
}
