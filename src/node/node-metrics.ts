/**
 * What a node tells Prometheus. Everything is looked up when it is asked for, from what threads have counted; no
 * thread is waited for, and neither the queue nor the disk is asked.
 */

import process from "node:process";
import packageJson from "../../package.json" with { type: "json" };
import { GIVEN_REJECTIONS, LOG_FORMAT } from "../domain/commands/commands.ts";
import type { EngineCounters } from "../engine/engine-loop.ts";
import type { EngineMeasures } from "../metrics/engine-measures.ts";
import { type Labels, Metrics, only, type Sample } from "../metrics/exposition.ts";
import { GatewayMeasures, KINDS } from "../metrics/gateway-measures.ts";
import type { Histogram } from "../metrics/histogram.ts";
import type { LogPosition } from "../ports/log-position.ts";
import type { PartitionProgress } from "../postgres/partition-writer.ts";
import type { StreamState } from "../queue/stream-session.ts";
import type { SealProgress } from "../seals/seal-follower.ts";
import type { SnapshotProgress } from "../snapshots/node-snapshots.ts";

export interface MeasuredNode {
  readonly runtime: { readonly name: string; readonly version: string };
  /** Of the engine's thread. */
  readonly measures: EngineMeasures;
  /** Of each gateway's thread. */
  readonly gateways: readonly GatewayMeasures[];
  /** Whether commands are taken. */
  taking(): boolean;
  /** Where the log on disk ends; undefined before it is recovered. */
  durable(): LogPosition | undefined;
  /** Undefined before the log is recovered. */
  counters(): EngineCounters | undefined;
  snapshots(): SnapshotProgress;
  queue(): MeasuredQueue;
  disk(): { readonly freeBytes: number | undefined; readonly minFreeBytes: number };
  /** Undefined where nothing is to be sealed. */
  seals(): SealProgress | undefined;
  /** Of each partition that this node may write to PostgreSQL. */
  postgres(): readonly PartitionProgress[];
}

export interface MeasuredQueue {
  /** How often it was open. */
  readonly sessions: number;
  /** Messages that are not executed yet; undefined while it is away. */
  readonly behind: number | undefined;
  /** As it was about a second ago; undefined while it is away. */
  readonly stream: StreamState | undefined;
}

/** A text takes the engine's thread half a millisecond: whoever asks more often gets the same one again. */
const FRESH_MS = 50;
/** Reasons for which a command leaves no trace in the log. */
const REFUSALS = ["transaction_id_conflict", "account_exists"] as const;

export class NodeMetrics {
  readonly #metrics = new Metrics();
  #text: string | undefined;
  #madeMs = 0;

  constructor(private readonly node: MeasuredNode) {
    this.#process();
    this.#http();
    this.#engine();
    this.#log();
    this.#queue();
    this.#postgres();
  }

  /** In Prometheus' text format, version 0.0.4; at most some milliseconds old. */
  text(): string {
    const nowMs = performance.now();
    if (this.#text === undefined || nowMs - this.#madeMs > FRESH_MS) {
      this.#madeMs = nowMs;
      this.#text = this.#metrics.text();
    }
    return this.#text;
  }

  #process(): void {
    const { node } = this;
    const { name, version } = node.runtime;
    const build = { version: packageJson.version, log_format: String(LOG_FORMAT), runtime: name };
    this.#metrics.gauge("coffer_build_info", "Always 1; the labels describe the build", () => [
      { labels: { ...build, runtime_version: version }, value: 1 },
    ]);
    this.#gauge("process_start_time_seconds", "Start time of the process since 1970", () => {
      return performance.timeOrigin / 1_000;
    });
    this.#counter("process_cpu_seconds_total", "User and system CPU time of all threads", () => {
      const { user, system } = process.cpuUsage();
      return (user + system) / 1e6;
    });
    this.#gauge("process_resident_memory_bytes", "Resident memory size", () => process.memoryUsage.rss());
    const threads = <T>(engine: T, of: (gateway: GatewayMeasures) => T) =>
      [[{ thread: "engine" }, engine], ...this.#gateways(of, "thread", "gateway-")] as const;
    this.#metrics.gauge("coffer_heap_bytes", "Heap size of a thread", () =>
      samples(threads(process.memoryUsage().heapUsed, ({ told }) => told.heapBytes)),
    );
    this.#metrics.histogram(
      "coffer_event_loop_lag_seconds",
      "Delay of a timer in a thread, sampled five times a second",
      () => threads<Histogram>(node.measures.loopLag, ({ loopLag }) => loopLag),
    );
    this.#gauge("coffer_disk_free_bytes", "Free space on the disk of the data directory", () => {
      return node.disk().freeBytes;
    });
    this.#gauge("coffer_disk_min_free_bytes", "Free space below which commands are refused", () => {
      return node.disk().minFreeBytes;
    });
  }

  #http(): void {
    const { gateways } = this.node;
    this.#metrics.counter("coffer_http_requests_total", "HTTP responses, by path and status", () =>
      GatewayMeasures.sum(gateways)
        .answers()
        .map(({ path, status, count }) => ({
          labels: { route: path, status: String(status) },
          value: count,
        })),
    );
    this.#metrics.histogram(
      "coffer_http_request_duration_seconds",
      "Time from the head of a request to its response, by kind: one command, a batch, a read, other",
      () => {
        const { durations } = GatewayMeasures.sum(gateways);
        return KINDS.map((kind) => [{ kind }, durations.get(kind) as Histogram] as const);
      },
    );
    // Every gateway tells of the whole process.
    const most = (of: (gateway: GatewayMeasures) => number) => Math.max(0, ...gateways.map(of));
    this.#gauge("coffer_http_connections", "Open HTTP connections", () =>
      most(({ told }) => told.connections),
    );
    this.#gauge(
      "coffer_http_connections_full",
      "1 while the connection limit is reached, and for 10 seconds afterwards",
      () => most(({ told }) => told.full),
    );
    this.#metrics.gauge("coffer_waiting_commands", "Commands waiting for their outcome", () =>
      samples(this.#gateways(({ told }) => told.waitingCommands)),
    );
    this.#metrics.gauge(
      "coffer_read_model_lag_events",
      "Events on disk not yet in the read model of a gateway",
      () => samples(this.#gateways(({ told }) => told.readModelLag)),
    );
  }

  #engine(): void {
    const { node } = this;
    this.#gauge("coffer_taking_commands", "1 if the node accepts commands, otherwise 0", () =>
      Number(node.taking()),
    );
    this.#metrics.counter("coffer_commands_total", "Commands executed, by outcome", () => {
      const counters = node.counters();
      if (!counters) return [];
      const { committed, opened, repeated, rejected, refused } = counters;
      return [
        ...samples([
          [{ outcome: "committed" }, committed],
          [{ outcome: "opened" }, opened],
          [{ outcome: "repeated" }, repeated],
        ]),
        ...GIVEN_REJECTIONS.map((reason) => ({
          labels: { outcome: "rejected", reason },
          value: rejected.get(reason) ?? 0,
        })),
        ...REFUSALS.map((reason) => ({
          labels: { outcome: "refused", reason },
          value: refused.get(reason) ?? 0,
        })),
      ];
    });
    this.#counter(
      "coffer_outside_commands_total",
      "Commands published to the stream directly, not by a gateway",
      () => {
        return node.counters()?.foreign;
      },
    );
    this.#counter("coffer_malformed_messages_total", "Messages in the stream that are not commands", () => {
      return node.counters()?.malformed;
    });
    const { commands, messages, seconds } = node.measures.batch;
    this.#histogram("coffer_batch_commands", "Commands executed in one batch of the engine", commands);
    this.#histogram("coffer_batch_messages", "Stream messages executed in one batch of the engine", messages);
    this.#histogram("coffer_batch_execution_seconds", "Time to execute a batch, without disk I/O", seconds);
  }

  #log(): void {
    const { node } = this;
    this.#gauge("coffer_log_seq", "Events in the log on disk", () => node.durable()?.seq);
    this.#gauge("coffer_log_bytes", "Size of the log on disk", () => node.durable()?.bytes);
    const { bytes, seconds } = node.measures.log;
    this.#histogram("coffer_log_write_size_bytes", "Size of a write to the log", bytes);
    this.#histogram("coffer_log_write_duration_seconds", "Time to write to the log and sync it", seconds);
    this.#counter("coffer_snapshots_total", "Snapshots written", () => node.snapshots().written);
    this.#gauge(
      "coffer_snapshots_failed",
      "1 if a snapshot could not be written, so that no more are taken; otherwise 0",
      () => {
        return Number(node.snapshots().failed);
      },
    );
    this.#gauge("coffer_snapshot_seq", "Events in the newest snapshot", () => node.snapshots().newest?.seq);
    this.#gauge(
      "coffer_snapshot_timestamp_seconds",
      "Time of the last event in the newest snapshot, since 1970",
      () => {
        const { newest } = node.snapshots();
        return newest && newest.at / 1_000;
      },
    );
    this.#gauge("coffer_sealed_seq", "Sequence number of the last event covered by the newest seal", () => {
      return node.seals()?.newest?.seq;
    });
    this.#gauge(
      "coffer_seal_timestamp_seconds",
      "Time of the last event covered by the newest seal, since 1970",
      () => {
        const newest = node.seals()?.newest;
        return newest && newest.at / 1_000;
      },
    );
    this.#gauge(
      "coffer_sealing_halted",
      "1 if sealing has halted until the node is restarted, otherwise 0; the log has the reason",
      () => {
        const seals = node.seals();
        return seals && Number(seals.halted);
      },
    );
  }

  #queue(): void {
    const { node } = this;
    this.#counter(
      "coffer_queue_sessions_total",
      "Sessions opened with the queue; each after the first is a reconnect",
      () => {
        return node.queue().sessions;
      },
    );
    this.#gauge("coffer_queue_waiting_messages", "Messages in the stream not yet executed", () => {
      return node.queue().behind;
    });
    this.#gauge("coffer_queue_messages", "Messages in the stream, executed or not", () => {
      const { stream } = node.queue();
      return stream && Math.max(0, stream.lastSequence - stream.firstSequence + 1);
    });
    this.#gauge(
      "coffer_queue_fill_ratio",
      "Fill ratio of the stream; at 1 it accepts no more messages",
      () => {
        return node.queue().stream?.fill;
      },
    );
  }

  #postgres(): void {
    const partitions = (
      name: string,
      help: string,
      value: (partition: PartitionProgress) => number | undefined,
    ) =>
      this.#metrics.gauge(name, help, () =>
        this.node.postgres().flatMap((progress) => {
          const labels = { topic: progress.topic, partition: String(progress.partition) };
          return only(value(progress)).map((sample) => ({ ...sample, labels }));
        }),
      );
    partitions(
      "coffer_postgres_lag",
      "Events (ledger) or messages (changes) not yet written to PostgreSQL",
      ({ lag }) => lag,
    );
    partitions(
      "coffer_postgres_leading",
      "1 if this node is the leader of the partition, otherwise 0",
      (partition) => Number(partition.is === "leading"),
    );
    partitions(
      "coffer_postgres_halted",
      "1 if writing has halted until the database is rebuilt or the node is restarted, otherwise 0; the log has the reason",
      (partition) => Number(partition.is === "halted"),
    );
  }

  /** Something of each gateway, with its number as a label. */
  #gateways<T>(
    of: (gateway: GatewayMeasures) => T,
    label = "gateway",
    prefix = "",
  ): (readonly [Labels, T])[] {
    return this.node.gateways.map((gateway, number) => [{ [label]: `${prefix}${number}` }, of(gateway)]);
  }

  #gauge(name: string, help: string, value: () => number | undefined): void {
    this.#metrics.gauge(name, help, () => only(value()));
  }

  #counter(name: string, help: string, value: () => number | undefined): void {
    this.#metrics.counter(name, help, () => only(value()));
  }

  #histogram(name: string, help: string, histogram: Histogram): void {
    this.#metrics.histogram(name, help, () => [[{}, histogram]]);
  }
}

function samples(values: readonly (readonly [Labels, number])[]): Sample[] {
  return values.map(([labels, value]) => ({ labels, value }));
}
