/**
 * A follower reads the log on a thread of its own and makes something of it: seals, rows in a database, a check. It
 * reads events.log itself; the messages below are all that it exchanges with the engine, and a follower that fails
 * does not keep the node from taking transfers.
 *
 * This file is what both sides share. The engine's side is follower-thread.ts, the thread's side follow.ts. To add a
 * follower, make a folder with a FollowerKind and a worker that calls follow() with it, and a line in
 * node/followers.ts, which starts and stops it.
 */

import type { LogPosition } from "../ports/log-position.ts";
import type { LogFacts, NodeLog } from "../ports/node-log.ts";

/** How far a follower reads, and with that how long it lives. */
export type UpTo =
  /** To the end of what is on disk, which is reported to it after each batch. It stops before the log is closed. */
  | "disk"
  /** To the log's mark, before which recovery never cuts. It reads the mark itself, and stops after the log is closed. */
  | "mark"
  /** To the position that it is started with. It ends by itself. */
  | "start";

/** `Settings` are cloned to the thread, and each `Progress` from it. */
export interface FollowerKind<Settings, Progress> {
  /** What the node's log and its errors call it. */
  readonly name: string;
  /** The program of its thread, relative to main.ts. */
  readonly worker: string;
  readonly upTo: UpTo;
  /** What the node's log says when it cannot go on. */
  readonly haltedLine: string;
  /** Its progress before it has reported any. */
  first(settings: Settings): Progress;
  /** Its progress when it cannot go on. */
  halted(progress: Progress, why: string): Progress;
}

/** What its thread is started with. */
export interface FollowerStart<Settings> {
  /** The ledger's folder. */
  readonly data: string;
  /** Where the log on disk ends. */
  readonly position: LogPosition;
  readonly settings: Settings;
}

export type ToFollower =
  /** The log on disk has grown. */
  | { readonly type: "durable"; readonly position: LogPosition }
  /** Whether the node takes commands: if it does not, other nodes' logs may grow while its own does not. */
  | { readonly type: "taking"; readonly taking: boolean }
  /** Finish, and report that. */
  | { readonly type: "stop" };

export type FromFollower<Progress> =
  | { readonly type: "progress"; readonly progress: Progress }
  /** A line for the node's log. */
  | {
      readonly type: "report";
      readonly level: keyof NodeLog;
      readonly message: string;
      readonly facts: LogFacts;
    }
  /** It cannot go on before the next start. */
  | { readonly type: "halted"; readonly why: string }
  | { readonly type: "stopped" };
