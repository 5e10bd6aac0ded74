/** The followers of a node's log, each on a thread of its own. */

import type { Config } from "../config.ts";
import type { FollowerKind } from "../followers/follower.ts";
import { FollowerThread } from "../followers/follower-thread.ts";
import type { LogPosition } from "../ports/log-position.ts";
import type { NodeLog } from "../ports/node-log.ts";
import type { Seal } from "../ports/seals.ts";
import type { PartitionProgress } from "../postgres/partition-writer.ts";
import { POSTGRES, type POSTGRES_SETTINGS, type PostgresSettings } from "../postgres/postgres-follower.ts";
import { SEALS, type SealProgress, type SealSettings } from "../seals/seal-follower.ts";
import { LOG_CHECK } from "../snapshots/log-check-follower.ts";

export type FollowersConfig = Config<"data" | "sealCommands" | (typeof POSTGRES_SETTINGS)[number]>;

export interface FollowersParts {
  /** The node's name among those that read one stream. */
  readonly name: string;
  readonly log: NodeLog;
  /** The program of a thread, by its path from main.ts. */
  script(path: string): URL;
  /** Called when there is a newer seal. */
  sealed(newest: Seal): void;
}

type AnyFollower = Pick<FollowerThread<unknown, unknown>, "kind" | "grown" | "taking" | "stop" | "end">;

export class Followers {
  #seals: FollowerThread<SealSettings, SealProgress> | undefined;
  #postgres: FollowerThread<PostgresSettings, readonly PartitionProgress[]> | undefined;
  readonly #all: AnyFollower[] = [];
  #taking = false;

  constructor(
    private readonly config: FollowersConfig,
    private readonly parts: FollowersParts,
  ) {}

  /** Undefined if nothing is to be sealed. */
  get seals(): SealProgress | undefined {
    return this.#seals?.progress;
  }

  /** Of each partition that this node may write to PostgreSQL. */
  get postgres(): readonly PartitionProgress[] {
    return this.#postgres?.progress ?? [];
  }

  /** The log is recovered. */
  recovered(position: LogPosition): void {
    const { sealCommands } = this.config;
    const settings = { sealCommands, isNew: position.seq === 0 };
    if (sealCommands > 0)
      this.#seals = this.#start(SEALS, position, settings, ({ newest }) => {
        if (newest) this.parts.sealed(newest);
      });
  }

  /** Commands are taken for the first time, by the settings that the ledger has. */
  opened(position: LogPosition): void {
    const { config } = this;
    const settings = { name: this.parts.name, config };
    if (config.postgresUrl !== undefined) this.#postgres = this.#start(POSTGRES, position, settings);
  }

  /** Checks the lines up to `end`; resolves with what is wrong with them. Rejects if they cannot be read. */
  async checkLines(end: LogPosition): Promise<string | undefined> {
    const check = this.#start(LOG_CHECK, end, undefined);
    await check.finished;
    if (check.halted !== undefined) throw new Error(check.halted);
    return check.progress.damage;
  }

  /** The log on disk has grown. */
  grown(position: LogPosition): void {
    for (const follower of this.#all) follower.grown(position);
  }

  /** Whether the node takes commands. */
  taking(taking: boolean): void {
    this.#taking = taking;
    for (const follower of this.#all) follower.taking(taking);
  }

  /** Before the log is closed: those that follow what is on disk finish what is under way, or are ended after `patience`. */
  async closing(patience: Promise<void>): Promise<void> {
    await this.#stop((upTo) => upTo !== "mark", patience);
  }

  /** After the log is closed: all others, likewise. */
  async closed(patience: Promise<void>): Promise<void> {
    await this.#stop(() => true, patience);
  }

  #start<Settings, Progress>(
    kind: FollowerKind<Settings, Progress>,
    position: LogPosition,
    settings: Settings,
    progressed?: (progress: Progress) => void,
  ): FollowerThread<Settings, Progress> {
    const { log, script } = this.parts;
    const start = { data: this.config.data, position, settings };
    const follower = new FollowerThread(kind, script(kind.worker), start, log, progressed);
    follower.taking(this.#taking);
    this.#all.push(follower as AnyFollower);
    return follower;
  }

  async #stop(which: (upTo: FollowerKind<unknown, unknown>["upTo"]) => boolean, patience: Promise<void>) {
    const followers = this.#all.filter(({ kind }) => which(kind.upTo));
    for (const follower of followers) this.#all.splice(this.#all.indexOf(follower), 1);
    await Promise.all(
      followers.map(async (follower) => {
        // One that ends by itself is not waited for: the next start runs the check again.
        if (follower.kind.upTo !== "start") await Promise.race([follower.stop(), patience]);
        await follower.end();
      }),
    );
  }
}
