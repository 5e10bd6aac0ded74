/** Writing balances to PostgreSQL: what its thread and the node share. */

import type { Config } from "../config.ts";
import type { FollowerKind } from "../followers/follower.ts";
import { TOPICS, type Topic } from "./balance-changes.ts";
import type { PartitionProgress } from "./partition-writer.ts";

export const POSTGRES_SETTINGS = [
  "natsUrl",
  "streamMaxBytes",
  "streamReplicas",
  "remakeLostChanges",
  "postgresUrl",
  "postgresPartitions",
  "postgresLeaseMs",
] as const;

export interface PostgresSettings {
  /** This node's name among those that may lead. */
  readonly name: string;
  readonly config: Config<(typeof POSTGRES_SETTINGS)[number]>;
}

/** Nobody else reaches a server of our own: there only the ledger's topic is written. */
export function topicsOf({ natsUrl }: PostgresSettings["config"]): readonly Topic[] {
  return natsUrl === undefined ? ["ledger"] : TOPICS;
}

/** Its progress, of each partition, is as of about a second ago. */
export const POSTGRES: FollowerKind<PostgresSettings, readonly PartitionProgress[]> = {
  name: "postgres",
  worker: "./postgres/postgres-worker.ts",
  upTo: "disk",
  haltedLine: "the PostgreSQL writer has failed",
  first: ({ config }) =>
    topicsOf(config).flatMap((topic) =>
      Array.from({ length: config.postgresPartitions }, (_, partition) => {
        return { topic, partition, is: "away", why: "not started yet", lag: undefined } as const;
      }),
    ),
  halted: (progress, why) => progress.map((each) => ({ ...each, is: "halted", why })),
};
