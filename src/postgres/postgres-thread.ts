/** The engine's view of the PostgreSQL writer on a thread of its own. Whatever happens to it, the wallet goes on. */

import { Worker } from "node:worker_threads";
import type { Config } from "../config.ts";
import type { LogPosition } from "../ports/log-position.ts";
import type { NodeLog } from "../ports/node-log.ts";
import { TOPICS, type Topic } from "./balance-changes.ts";
import type { PartitionProgress } from "./partition-writer.ts";

export const POSTGRES_SETTINGS = [
  "data",
  "natsUrl",
  "streamMaxBytes",
  "streamReplicas",
  "remakeLostChanges",
  "postgresUrl",
  "postgresPartitions",
  "postgresBatchSize",
  "postgresLeaseMs",
  "postgresHeartbeatMs",
] as const;

/** What the writer's thread is started with. */
export interface PostgresThreadData {
  /** This node's name among those that may lead. */
  readonly name: string;
  readonly durable: LogPosition;
  readonly config: Config<(typeof POSTGRES_SETTINGS)[number]>;
}

/** Nobody else reaches a server of our own: there only the ledger's topic is written. */
export function topicsOf({ natsUrl }: PostgresThreadData["config"]): readonly Topic[] {
  return natsUrl === undefined ? ["ledger"] : TOPICS;
}

export type ToPostgres =
  | { readonly type: "durable"; readonly position: LogPosition }
  | { readonly type: "taking"; readonly taking: boolean }
  | { readonly type: "stop" };

export type FromPostgres =
  | {
      readonly type: "report";
      readonly level: "info" | "warn" | "error";
      readonly message: string;
      readonly facts: Readonly<Record<string, unknown>>;
    }
  | { readonly type: "progress"; readonly partitions: readonly PartitionProgress[] }
  | { readonly type: "stopped" };

export class PostgresThread {
  readonly #worker: Worker;
  readonly #stopped = Promise.withResolvers<void>();
  #ending = false;
  /** As of about a second ago. */
  progress: readonly PartitionProgress[];

  constructor(script: URL, data: PostgresThreadData, log: NodeLog) {
    this.progress = topicsOf(data.config).flatMap((topic) =>
      Array.from({ length: data.config.postgresPartitions }, (_, partition) => {
        return { topic, partition, is: "away", why: "not started yet", lag: undefined } as const;
      }),
    );
    this.#worker = new Worker(script, { workerData: data });
    this.#worker.on("message", (message: FromPostgres) => {
      if (message.type === "stopped") this.#stopped.resolve();
      else if (message.type === "progress") this.progress = message.partitions;
      else log[message.level](message.facts, message.message);
    });
    const failed = (error: string) => {
      this.#stopped.resolve();
      if (this.#ending) return;
      this.#ending = true;
      log.error({ error }, "the PostgreSQL writer has failed");
      this.progress = this.progress.map((each) => ({ ...each, is: "halted", why: error }));
    };
    this.#worker.on("error", (error: Error) => failed(error.stack ?? error.message));
    this.#worker.on("exit", (code) => failed(`its thread has ended with ${code}`));
  }

  /** The log on disk has grown. */
  grown(position: LogPosition): void {
    this.#post({ type: "durable", position });
  }

  /** Whether the node takes commands: where it does not, its log may stand still while others' move on. */
  taking(taking: boolean): void {
    this.#post({ type: "taking", taking });
  }

  /** Gives every lock back; resolves when that is done. */
  async stop(): Promise<void> {
    this.#post({ type: "stop" });
    await this.#stopped.promise;
  }

  async end(): Promise<void> {
    this.#ending = true;
    await this.#worker.terminate();
  }

  #post(message: ToPostgres): void {
    this.#worker.postMessage(message);
  }
}
