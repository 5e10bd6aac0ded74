/** The thread's side of a follower: opens the log, takes the engine's messages, and reports how the work goes. */

import { parentPort, workerData } from "node:worker_threads";
import { unreachable } from "../domain/impossible-state.ts";
import { DiskFolder } from "../eventlog/disk.ts";
import { DurableLogFeed } from "../eventlog/feed.ts";
import { LOG_NAME } from "../eventlog/recovery.ts";
import type { AppendFile } from "../ports/append-file.ts";
import type { Report } from "../ports/node-log.ts";
import type { FollowerKind, FollowerStart, FromFollower, ToFollower } from "./follower.ts";

/** The node as its follower sees it. */
export interface FollowedNode<Settings, Progress> extends FollowerStart<Settings> {
  /** events.log, open for reading. */
  readonly log: AppendFile;
  /** The log up to what is known to be on disk. */
  readonly feed: DurableLogFeed;
  /** Calls `run` with whether the node takes commands: now, and after each change. */
  onTaking(run: (taking: boolean) => void): void;
  progress(progress: Progress): void;
  readonly report: Report;
}

export interface Follower {
  /** Resolves when it has finished, after stop() or by itself. Rejects when it cannot go on. */
  run(): Promise<void>;
  /** Has it finish what is under way. */
  stop(): void;
}

/** Runs what `begin` makes until it has finished. To be called once, by the worker of `kind`. */
export function follow<Settings, Progress>(
  kind: FollowerKind<Settings, Progress>,
  begin: (node: FollowedNode<Settings, Progress>) => Follower | Promise<Follower>,
): void {
  if (!parentPort) throw new TypeError(`the thread ${kind.name} can only be started by coffer serve`);
  const parent = parentPort;
  const start = workerData as FollowerStart<Settings>;
  let end = start.position;
  let taking = true;
  let takingChanged: (taking: boolean) => void = () => {};
  let feed: DurableLogFeed | undefined;
  let follower: Follower | undefined;
  let stopping = false;
  const post = (message: FromFollower<Progress>) => parent.postMessage(message);

  parent.on("message", (message: ToFollower) => {
    switch (message.type) {
      case "durable":
        end = message.position;
        feed?.grown();
        return;
      case "taking":
        taking = message.taking;
        takingChanged(taking);
        return;
      case "stop":
        stopping = true;
        follower?.stop();
        return;
      default:
        unreachable(message);
    }
  });

  const run = async () => {
    const log = new DiskFolder(start.data, false).open(LOG_NAME, false);
    if (!log) throw new Error(`${LOG_NAME} does not exist`);
    feed = new DurableLogFeed(log, () => end);
    follower = await begin({
      ...start,
      log,
      feed,
      onTaking: (changed) => {
        takingChanged = changed;
        changed(taking);
      },
      progress: (progress) => post({ type: "progress", progress }),
      report: (level, message, facts) => post({ type: "report", level, message, facts }),
    });
    if (stopping) follower.stop();
    await follower.run();
  };
  run().then(
    () => post({ type: "stopped" }),
    (error) => post({ type: "halted", why: error instanceof Error ? error.message : String(error) }),
  );
}
