/**
 * Takes batches of messages from the queue, decides their commands, and has the log append them.
 *
 * Between execute and apply there is no await. The next batch is executed while the disk works on the one
 * before; an outcome, also one that writes nothing, leaves only when everything executed before it is on
 * disk. The log is a function of the messages alone: time is theirs, never earlier than the last command's.
 */

import { BatchConsumer } from "../batching/batch-consumer.ts";
import type { Command } from "../domain/commands/commands.ts";
import type { Outcome, Refused } from "../domain/outcomes.ts";
import type { Rejection } from "../domain/rejections.ts";
import type { Change, CommittedBatch } from "../ports/changes.ts";
import type { Clock } from "../ports/clock.ts";
import type { CommandMessages, QueueMessage } from "../ports/command-queue.ts";
import type { EventLog } from "../ports/event-log.ts";
import type { LogPosition } from "../ports/log-position.ts";
import type { BatchMeasures, Observer } from "../ports/measures.ts";
import type { SnapshotState } from "../ports/snapshots.ts";
import type { FastTransfer } from "../wire/frame-reader.ts";
import { readMessage } from "../wire/messages.ts";
import type { SnapshotTaker } from "./snapshot-taker.ts";
import { TransfersBuilder } from "./transfers-builder.ts";
import { PREPARED_TRANSFERS, type WalletEngine } from "./wallet-engine.ts";

export interface EngineOptions {
  /** Bytes of messages at which a batch is full. */
  readonly batchBytes: number;
  readonly maxReadTimeoutMs: number;
  readonly measures?: BatchMeasures;
}

export interface EngineParts {
  readonly engine: WalletEngine;
  readonly messages: CommandMessages;
  readonly log: EventLog;
  readonly clock: Clock;
  /** The number of the gateway that a frame names; undefined for none of this node's: its outcomes go to nobody. */
  gatewayOf(frame: Uint8Array): number | undefined;
  /** Hears of every batch, in order, once it is on disk. */
  committed(batch: CommittedBatch): void;
  /** Hears of messages that are passed over. */
  malformed(message: QueueMessage, why: string): void;
  readonly snapshots?: SnapshotTaker | undefined;
}

/** What executing a batch came to, before it is on disk. */
type Executed = Omit<CommittedBatch, "position">;
type Outcomes = CommittedBatch["outcomes"][number][];

/** What the engine has counted since its start. */
export interface EngineCounters {
  /** Messages that were neither a frame nor a valid command of an outside client. */
  malformed: number;
  /** Commands that came from outside clients. */
  foreign: number;
  /** Commands by what they came to: of those that were decided before, or found their account open, only that. */
  committed: number;
  opened: number;
  repeated: number;
  readonly rejected: Map<Rejection, number>;
  readonly refused: Map<Refused["reason"], number>;
}

const nobody: Observer = { observe: () => {} };
const UNMEASURED: BatchMeasures = { commands: nobody, messages: nobody, seconds: nobody };

export class EngineLoop {
  readonly counters: EngineCounters = {
    malformed: 0,
    foreign: 0,
    committed: 0,
    opened: 0,
    repeated: 0,
    rejected: new Map(),
    refused: new Map(),
  };
  readonly #measures: BatchMeasures;
  readonly #consumer: BatchConsumer<QueueMessage>;
  #stopping = false;
  /** The batch on its way to the disk. */
  #committing: Promise<void> = Promise.resolve();
  readonly #broken = Promise.withResolvers<never>();
  /** The last message that is executed and on disk, and who waits for a later one. */
  #settledSequence = 0;
  #settling: (() => void)[] = [];
  /** Where the log ended at the start: commands up to there are not executed again. */
  readonly #start: LogPosition;

  /** The transfers at the end of what this batch did so far, where it ends with transfers. */
  #transfers: TransfersBuilder | undefined;
  readonly #balanceOf = (number: number) => this.engine.balances.balance(number);

  private readonly engine: WalletEngine;
  private readonly log: EventLog;
  private readonly snapshots: SnapshotTaker | undefined;

  constructor(
    private readonly parts: EngineParts,
    { batchBytes, maxReadTimeoutMs, measures = UNMEASURED }: EngineOptions,
  ) {
    const { engine, log, messages, clock, snapshots } = parts;
    this.engine = engine;
    this.log = log;
    this.snapshots = snapshots;
    this.#start = log.position;
    this.#measures = measures;
    this.#consumer = new BatchConsumer(
      messages,
      {
        batchSize: batchBytes,
        maxReadTimeoutMs,
        batchingDelayMs: 0,
        maxBatchWaitMs: 0,
        sizeOf: (message) => message.data.length + 1,
      },
      clock,
    );
  }

  /** Runs until stop(), or until something fails: then it throws, and nothing more must be answered. */
  run(): Promise<void> {
    // A commit may fail while the loop waits for messages that never come.
    return Promise.race([this.#consume(), this.#broken.promise]);
  }

  /** Ends run() after the batch under way. */
  stop(): void {
    this.#stopping = true;
  }

  /** Resolves when the message `sequence`, and so every one before it, is executed and on disk. */
  async settled(sequence: number): Promise<LogPosition> {
    while (this.#settledSequence < sequence)
      await new Promise<void>((resolve) => this.#settling.push(resolve));
    return this.log.durable;
  }

  async #consume(): Promise<void> {
    while (!this.#stopping) {
      const batch = await this.#consumer.next();
      if (batch.length === 0) {
        await this.#rest();
        continue;
      }
      const executed = this.#execute(batch);
      const snapshot = this.snapshots?.take(this.log.position);
      await this.#committing;
      this.#committing = this.#commit(executed, batch[batch.length - 1]?.sequence ?? 0, snapshot);
      this.#committing.catch((error) => this.#broken.reject(error));
    }
    await this.#committing;
  }

  #execute(batch: readonly QueueMessage[]): Executed {
    this.#transfers = undefined;
    const outcomes: Outcomes = [];
    const changes: Change[] = [];
    const { clock } = this.parts;
    const startedMs = clock.nowMs();
    let commands = 0;
    for (const message of batch) commands += this.#message(message, changes, outcomes);
    this.#measures.messages.observe(batch.length);
    this.#measures.commands.observe(commands);
    this.#measures.seconds.observe((clock.nowMs() - startedMs) / 1_000);
    return { changes, outcomes };
  }

  /** Returns how many commands of the message were decided. */
  #message(message: QueueMessage, changes: Change[], outcomes: Outcomes): number {
    const { engine } = this;
    const content = readMessage(message.data, engine.ledger.opened?.currency, engine.balances);
    if (content.from === "nobody") {
      this.counters.malformed++;
      this.parts.malformed(message, content.why);
      return 0;
    }
    const { commands, from } = content;
    if (from === "outside") this.counters.foreign += commands.length;
    const first = message.sequence === this.#start.sequence ? this.#start.index + 1 : 0;
    const gateway = from === "gateway" && first === 0 ? this.parts.gatewayOf(message.data) : undefined;
    const of: Outcome[] = [];
    for (let index = first; index < commands.length; index++) {
      const prepared = (index - first) % PREPARED_TRANSFERS;
      if (prepared === 0) engine.prepare(message.data, commands, index);
      const command = commands[index];
      if (!command) throw new RangeError("a command beyond the message's count");
      const outcome =
        command.kind === "fast_transfer"
          ? this.#fastTransfer(command, prepared, message, index, changes)
          : this.#command(command, message, index, changes);
      if (gateway !== undefined) of.push(outcome);
    }
    if (from === "gateway" && gateway !== undefined)
      outcomes.push({ gateway, number: content.number, outcomes: of });
    return Math.max(0, commands.length - first);
  }

  #command(command: Command, message: QueueMessage, index: number, changes: Change[]): Outcome {
    const { engine, log } = this;
    const events = engine.execute(command);
    if (events.length > 0) {
      engine.apply(events);
      changes.push(events);
      this.#transfers = undefined;
      log.add(events, this.#timeOf(message), message.sequence, index);
    }
    const outcome = engine.outcome(command, events);
    this.#count(outcome);
    return outcome;
  }

  #count(outcome: Outcome): void {
    const { counters } = this;
    if (outcome.replayed || (outcome.status === "opened" && outcome.existed)) counters.repeated++;
    else if (outcome.status === "rejected") increment(counters.rejected, outcome.reason);
    else if (outcome.status === "refused") increment(counters.refused, outcome.reason);
    else counters[outcome.status]++;
  }

  /** `prepared`: which one it is of those that are prepared. */
  #fastTransfer(
    transfer: FastTransfer,
    prepared: number,
    message: QueueMessage,
    index: number,
    changes: Change[],
  ): Outcome {
    const { engine, log } = this;
    const { data, sequence } = message;
    const committed = engine.transfer(transfer, prepared);
    if (!committed) return this.#command(engine.commandOf(data, transfer), message, index, changes);
    const { at, payer, receiver, amount } = transfer;
    if (!this.#transfers) {
      this.#transfers = new TransfersBuilder(this.#balanceOf);
      changes.push(this.#transfers.transfers);
    }
    this.#transfers.add(payer, receiver, amount);
    log.addTransfer(data, at, amount, this.#timeOf(message), sequence, index);
    this.counters.committed++;
    return committed;
  }

  /** The message's time, never earlier than the last command's. */
  #timeOf({ at }: QueueMessage): number {
    return Math.max(at, this.log.position.at);
  }

  /** Nothing has come for a while. */
  async #rest(): Promise<void> {
    await this.#committing;
    this.log.rest();
    if (this.#stopping) return; // the log has failed
    const snapshot = this.snapshots?.take(this.log.position, true);
    if (snapshot) this.snapshots?.write(snapshot);
  }

  async #commit(
    { changes, outcomes }: Executed,
    sequence: number,
    snapshot: SnapshotState | undefined,
  ): Promise<void> {
    this.log.look(); // also before answers that write nothing
    if (changes.length > 0) await this.log.commit();
    if (snapshot) this.snapshots?.write(snapshot);
    this.parts.committed({ position: this.log.durable, changes, outcomes });
    this.#settledSequence = sequence;
    const waiting = this.#settling;
    this.#settling = [];
    for (const resolve of waiting) resolve();
  }
}

function increment<K>(counts: Map<K, number>, of: K): void {
  counts.set(of, (counts.get(of) ?? 0) + 1);
}
