/**
 * One connection to NATS, from connect to its end: the stream's consumer, and publishing with answers.
 *
 * A session never reconnects. When the connection, the consumer or the order of messages fails, it ends,
 * and a new one begins with the whole check of the stream: so nothing is ever published to, or consumed
 * from, a stream that was not looked at first.
 */

import { createHmac, randomBytes } from "node:crypto";
import {
  AckPolicy,
  DeliverPolicy,
  DiscardPolicy,
  JetStreamApiError,
  type JetStreamClient,
  type JetStreamManager,
  jetstream,
  jetstreamManager,
  RetentionPolicy,
  StorageType,
} from "@nats-io/jetstream";
import { connect, createInbox, headers, type Msg, type NatsConnection, nanos } from "@nats-io/transport-node";
import type { QueueMessage } from "../ports/command-queue.ts";
import { headersOf, listen } from "./inbound.ts";
import type { NatsEndpoint } from "./nats-endpoint.ts";
import { type PublishError, verdictOf } from "./publish-errors.ts";
import type { PublishAnswer, StreamSession, StreamState } from "./stream-session.ts";

export const STREAM = "COFFER_COMMANDS";
export const SUBJECTS = "coffer.commands.*";
export const SUBJECT = "coffer.commands.0";

const CONNECT_TIMEOUT_MS = 2_000;
const PING_INTERVAL_MS = 2_000;
const MAX_PINGS_OUT = 2;
const HEARTBEAT_MS = 1_000;
/** A consumer without a sign of life for so long is gone. */
const MISSED_HEARTBEAT_MS = 3_000;
const HEARTBEAT_LOOK_MS = HEARTBEAT_MS / 2;
/** What a message's headers may take of the server's limit. */
const HEADER_ALLOWANCE_BYTES = 1_024;
/** Messages that are received and not yet taken; beyond it the server's flow control has failed us. */
const MAX_BUFFERED_MESSAGES = 262_144;

export interface StreamNames {
  readonly stream: string;
  readonly subjects: string;
  /** Those that a stream which is made takes, where they are not all of them. */
  readonly taken?: readonly string[];
}

/** How the stream is made where there is none. */
export interface StreamSettings {
  /** That of the commands, unless told. */
  readonly names?: StreamNames;
  readonly maxBytes: number;
  readonly replicas: number;
}

/** JetStream's own codes. */
const STREAM_NOT_FOUND = 10_059;
const STREAM_NAME_IN_USE = 10_058;
const WRONG_LAST_SEQUENCE = 10_071;

/** The status of heartbeats and flow control, and where the latter is answered. */
const CONTROL = 100;
const FLOW_CONTROL = "$JS.FC.";
const NO_RESPONDERS = 503;

/** What the reply subject of a stored message contains. */
interface Stamp {
  readonly sequence: number;
  readonly at: number;
  /** The consumer's number for it. */
  readonly delivery: number;
  readonly pending: number;
}

/** A message, or the server's question whether we have read up to here. */
type Received = { readonly message: QueueMessage } | { readonly flow: Msg };

export class NatsSession implements StreamSession {
  readonly #js: JetStreamClient;
  /** Resolves with the reason when the session is over. */
  readonly ended: Promise<string>;
  readonly #atEnd: (() => void)[] = [];
  #end: (reason: string) => void = () => {};
  #over = false;
  #received: Received[] = [];
  /** How many questions of the server are among them. */
  #flows = 0;
  #head = 0;
  #arrived: (() => void) | undefined;
  /** Looks since the consumer's last sign of life; between two of them everything that has arrived is read. */
  #silentLooks = 0;
  #watch: ReturnType<typeof setInterval> | undefined;
  /** The next message's number in the stream. */
  #next = 0;
  #filtered = false;
  /** Messages that the consumer has sent. */
  #delivered = 0;
  /** Messages that it had still to send, when it was last heard of. */
  #pending = 0;
  readonly #inbox = createInbox();
  readonly #names: StreamNames;

  private constructor(
    readonly connection: NatsConnection,
    readonly jsm: JetStreamManager,
    private readonly settings: StreamSettings,
    answered: (answer: PublishAnswer) => void,
  ) {
    this.#js = jetstream(connection);
    this.#names = settings.names ?? { stream: STREAM, subjects: SUBJECTS };
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
    connection.closed().then(
      (error) => this.end(error ? `the connection failed: ${error.message}` : "the connection was closed"),
      (error: Error) => this.end(`the connection failed: ${error.message}`),
    );
    listen(
      connection,
      `${this.#inbox}.*`,
      (message) => {
        const answer = answerOf(message);
        if (answer) answered({ key: Number(message.subject.slice(this.#inbox.length + 1)), ...answer });
      },
      (error) => this.end(`the responses of the queue cannot be read: ${error.message}`),
    );
  }

  static async open(
    endpoint: NatsEndpoint,
    name: string,
    settings: StreamSettings,
    answered: (answer: PublishAnswer) => void,
  ): Promise<NatsSession> {
    const connection = await connect({
      ...endpoint,
      name,
      reconnect: false,
      timeout: CONNECT_TIMEOUT_MS,
      pingInterval: PING_INTERVAL_MS,
      maxPingOut: MAX_PINGS_OUT,
    });
    try {
      const manager = await jetstreamManager(connection, { timeout: CONNECT_TIMEOUT_MS });
      return new NatsSession(connection, manager, settings, answered);
    } catch (error) {
      await connection.close();
      throw error;
    }
  }

  get maxFrameBytes(): number {
    return (this.connection.info?.max_payload ?? 0) - HEADER_ALLOWANCE_BYTES;
  }

  get server(): string {
    return this.connection.getServer();
  }

  get over(): boolean {
    return this.#over;
  }

  async stream(): Promise<StreamState | undefined> {
    try {
      const { config, state } = await this.jsm.streams.info(this.#names.stream);
      return {
        metadata: config.metadata ?? {},
        firstSequence: state.first_seq,
        lastSequence: state.last_seq,
        fill: config.max_bytes > 0 ? state.bytes / config.max_bytes : 0,
      };
    } catch (error) {
      if (isApiError(error, STREAM_NOT_FOUND)) return undefined;
      throw error;
    }
  }

  /** How many copies of the stream its servers keep. */
  async copies(): Promise<number> {
    return (await this.jsm.streams.info(this.#names.stream)).config.num_replicas;
  }

  async message(sequence: number): Promise<QueueMessage | undefined> {
    const stored = await this.jsm.streams.getMessage(this.#names.stream, { seq: sequence });
    return stored ? { sequence, at: millisecondsOf(stored.timestamp), data: stored.data } : undefined;
  }

  async firstFrom(sequence: number): Promise<number | undefined> {
    const from = { seq: sequence, next_by_subj: this.#names.subjects };
    return (await this.jsm.streams.getMessage(this.#names.stream, from))?.seq;
  }

  async create(firstSequence: number, metadata: Readonly<Record<string, string>>): Promise<void> {
    try {
      await this.jsm.streams.add({
        name: this.#names.stream,
        subjects: [...(this.#names.taken ?? [this.#names.subjects])],
        retention: RetentionPolicy.Limits,
        storage: StorageType.File,
        discard: DiscardPolicy.New,
        max_bytes: this.settings.maxBytes,
        num_replicas: this.settings.replicas,
        allow_direct: false,
        metadata: { ...metadata },
        ...(firstSequence > 1 ? { first_seq: firstSequence } : {}),
      });
    } catch (error) {
      if (!isApiError(error, STREAM_NAME_IN_USE)) throw error;
      throw new Error("another node created the stream at the same time");
    }
  }

  async remove(): Promise<void> {
    try {
      await this.jsm.streams.delete(this.#names.stream);
    } catch (error) {
      if (!isApiError(error, STREAM_NOT_FOUND)) throw error;
    }
  }

  async publishAfter(lastSequence: number, bytes: Uint8Array): Promise<void> {
    try {
      await this.#js.publish(SUBJECT, bytes, { expect: { lastSequence } });
    } catch (error) {
      if (!isApiError(error, WRONG_LAST_SEQUENCE)) throw error;
    }
  }

  /** Publishes a frame; its answer goes to `answered`. */
  publish(key: number, id: string, bytes: Uint8Array): void {
    const carrying = headers();
    carrying.set("Nats-Msg-Id", `${id}-${proofOf(id)}`);
    this.connection.publish(SUBJECT, bytes, { reply: `${this.#inbox}.${key}`, headers: carrying });
  }

  /** Begins to consume at `sequence`; of a `subject` alone, the stream's numbers may leave gaps. */
  async consume(sequence: number, subject?: string): Promise<void> {
    this.#next = sequence;
    this.#filtered = subject !== undefined;
    const deliverSubject = createInbox();
    listen(
      this.connection,
      deliverSubject,
      (message) => this.#receive(message),
      (error) => this.end(`the stream cannot be read: ${error.message}`),
    );
    const { num_pending } = await this.jsm.consumers.add(this.#names.stream, {
      deliver_subject: deliverSubject,
      ...(subject === undefined ? {} : { filter_subject: subject }),
      deliver_policy: DeliverPolicy.StartSequence,
      opt_start_seq: sequence,
      ack_policy: AckPolicy.None,
      flow_control: true,
      idle_heartbeat: nanos(HEARTBEAT_MS),
      inactive_threshold: nanos(MISSED_HEARTBEAT_MS),
      mem_storage: true,
      num_replicas: 1,
    });
    if (this.#delivered === 0) this.#pending = num_pending;
    if (this.#over) return;
    this.#silentLooks = 0;
    this.#watch = setInterval(() => {
      if (++this.#silentLooks > MISSED_HEARTBEAT_MS / HEARTBEAT_LOOK_MS)
        this.end("the stream's heartbeat was missed");
    }, HEARTBEAT_LOOK_MS);
  }

  /** The next message, if one is there. */
  take(): QueueMessage | undefined {
    while (!this.#over && this.#head < this.#received.length) {
      const received = this.#received[this.#head++] as Received;
      if (this.#head === this.#received.length) {
        this.#received = [];
        this.#head = 0;
      }
      if ("flow" in received) {
        this.#flows--;
        this.#respond(received.flow);
        continue;
      }
      const { message } = received;
      if (message.sequence < this.#next) continue;
      if (message.sequence > this.#next && !this.#filtered) {
        this.end(`message ${this.#next} of the stream was skipped`);
        return undefined;
      }
      this.#next = message.sequence + 1;
      return message;
    }
    return undefined;
  }

  /** Whether take() has something to look at. */
  get waiting(): boolean {
    return !this.#over && this.#head < this.#received.length;
  }

  /** How many messages of what is consumed are not taken yet, as far as is known here. */
  get behind(): number {
    return this.#pending + this.#received.length - this.#head - this.#flows;
  }

  /** Calls `arrived` at the next message, and at the session's end. */
  onArrival(arrived: () => void): void {
    this.#arrived = arrived;
  }

  /** Calls `run` when the session is over. */
  onEnd(run: () => void): void {
    if (this.#over) run();
    else this.#atEnd.push(run);
  }

  end(reason: string): void {
    if (this.#over) return;
    this.#over = true;
    clearInterval(this.#watch);
    this.#received = [];
    this.#head = 0;
    this.#end(reason);
    for (const run of this.#atEnd) run();
    this.#arrived?.();
    this.connection.close().catch(() => {}); // it is over either way; closing a dead connection may fail
  }

  /** Tells the server that everything before its question was read. */
  #respond(flow: Msg): void {
    try {
      flow.respond();
    } catch (error) {
      this.end(`the connection is closing: ${error instanceof Error ? error.message : error}`);
    }
  }

  /**
   * A message of the stream has an acknowledgement subject as its reply, which nats-server writes; its headers are
   * the client's and are not read. A message without one is the server's own.
   */
  #receive(message: Msg): void {
    this.#silentLooks = 0;
    const stamp = stampOf(message.reply ?? "");
    if (stamp) this.#store(stamp, message.data);
    else if (headersOf(message)?.code !== CONTROL) this.end("a message of the stream has no sequence number");
    else if (message.reply?.startsWith(FLOW_CONTROL)) {
      this.#received.push({ flow: message });
      this.#flows++;
    } else {
      this.#answerStalled(headersOf(message)?.get("Nats-Consumer-Stalled"));
      return;
    }
    this.#arrived?.();
  }

  #store({ sequence, at, delivery, pending }: Stamp, data: Uint8Array): void {
    if (this.#filtered && delivery > this.#delivered + 1) this.end("the consumer skipped a message");
    else if (this.#received.length - this.#head >= MAX_BUFFERED_MESSAGES)
      this.end("the stream is read too slowly");
    else {
      this.#pending = pending;
      this.#delivered = Math.max(this.#delivered, delivery);
      this.#received.push({ message: { sequence, at, data } });
    }
  }

  /** In a heartbeat: the server waits for an answer, one that is still to be read here, or one that has crossed this. */
  #answerStalled(subject: string | undefined): void {
    if (subject?.startsWith(FLOW_CONTROL) && this.#flows === 0 && !this.#over)
      this.connection.publish(subject);
  }
}

/**
 * The stream's number and time of a message, the consumer's number for it, and how many are still to come, from
 * its reply subject: `$JS.ACK.<stream>.<consumer>.<delivered>.<stream sequence>.<consumer sequence>.<nanoseconds>.
 * <pending>`, with a domain and an account hash after ACK, and a token at the end, on newer servers. The
 * nanoseconds are cut as text: as a double they would be rounded.
 */
function stampOf(reply: string): Stamp | undefined {
  const tokens = reply.split(".");
  if (tokens[0] !== "$JS" || tokens[1] !== "ACK" || tokens.length < 9) return undefined;
  const from = tokens.length > 9 ? 7 : 5;
  const sequence = Number(tokens[from]);
  const delivery = Number(tokens[from + 1]);
  const at = Number(tokens[from + 2]?.slice(0, -6));
  const pending = Number(tokens[from + 3]);
  return Number.isSafeInteger(sequence) && sequence > 0 && Number.isSafeInteger(at)
    ? { sequence, delivery, at, pending }
    : undefined;
}

/** This process's own. */
const SECRET = randomBytes(32);

/**
 * Makes the id of a frame unpredictable, and the same each time that it is sent: a message of another client that
 * already had it would make the stream drop the frame as a duplicate.
 */
function proofOf(id: string): string {
  return createHmac("sha256", SECRET).update(id).digest("hex").slice(0, 32);
}

/** Undefined for what is no answer of JetStream: the frame will be sent again. */
function answerOf(message: Msg): Omit<PublishAnswer, "key"> | undefined {
  if (message.data.length === 0)
    return headersOf(message)?.code === NO_RESPONDERS ? { refused: "no stream accepts commands" } : undefined;
  let error: PublishError | undefined;
  let duplicate: unknown;
  try {
    ({ error, duplicate } = message.json<{ error?: PublishError; duplicate?: unknown }>());
  } catch {
    return undefined;
  }
  if (!error) return { refused: undefined, duplicate: duplicate === true };
  const why = String(error.description ?? `error ${error.err_code}`);
  return verdictOf(error) === "refused" ? { refused: why } : { refused: undefined, unknown: why };
}

function isApiError(error: unknown, code: number): boolean {
  return error instanceof JetStreamApiError && error.code === code;
}

/** Of an RFC 3339 time, cut to the millisecond (a Date would round some of them). */
function millisecondsOf(timestamp: string): number {
  const match = /^(.{19})(?:\.([0-9]+))?(Z|[+-][0-9:]+)$/.exec(timestamp);
  if (!match) throw new Error(`not a time: ${timestamp}`);
  return Date.parse(`${match[1]}${match[3]}`) + Number((match[2] ?? "").padEnd(3, "0").slice(0, 3));
}
