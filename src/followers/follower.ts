/**
 * A follower reads the log on a thread of its own, and makes something of it: seals, rows in a database, a check. It
 * reads events.log itself; all that it hears of the engine are the messages below. Whatever happens to it, the node
 * takes transfers.
 *
 * This is what its two sides share. follower-thread.ts is the engine's, follow.ts what runs on the thread. A follower
 * is a folder with its FollowerKind, and a worker that calls follow() with it; node/followers.ts starts and stops it.
 */

import type { LogPosition } from "../ports/log-position.ts";

/** Up to where a follower reads, and with that for how long it lives. */
export type UpTo =
  /** What is on disk, of which it hears after each batch. It stops before the log is closed. */
  | "disk"
  /** The log's mark, which recovery never cuts. It looks at the mark itself, and stops after the log is closed. */
  | "mark"
  /** The position with which it is started. It ends by itself. */
  | "start";

/** `Settings` are cloned to the thread, and each `Progress` from it. */
export interface FollowerKind<Settings, Progress> {
  /** What the node's log and its errors call it. */
  readonly name: string;
  /** The program of its thread, relative to main.ts. */
  readonly worker: string;
  readonly upTo: UpTo;
  /** The line of the node's log when it cannot go on. */
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
  /** Whether the node takes commands: if it does not, its log may be at rest while those of others grow. */
  | { readonly type: "taking"; readonly taking: boolean }
  /** Finish, and report that. */
  | { readonly type: "stop" };

export type FromFollower<Progress> =
  | { readonly type: "progress"; readonly progress: Progress }
  /** A line for the node's log. */
  | {
      readonly type: "report";
      readonly level: "info" | "warn" | "error";
      readonly message: string;
      readonly facts: Readonly<Record<string, unknown>>;
    }
  /** It cannot go on before the next start. */
  | { readonly type: "halted"; readonly why: string }
  | { readonly type: "stopped" };
