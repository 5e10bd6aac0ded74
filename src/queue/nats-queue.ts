/**
 * The command queue on a JetStream stream.
 *
 * It lives through sessions: each connects, checks the stream against the log (stream-check.ts), makes it
 * or makes it anew where that is right, consumes from the first message that was not executed, and sends
 * again what has no outcome yet. Between sessions it is closed, and takes nothing. A stream that answers but
 * stores nothing, or does not answer at all, is stalled (store-watch.ts): the session goes on, frames are
 * refused, and one is sent again and again until it is stored.
 */

import type { Clock } from "../ports/clock.ts";
import type {
  CommandMessages,
  CommandQueue,
  FrameName,
  LogWitness,
  OutgoingFrame,
  QueueMessage,
  QueueState,
} from "../ports/command-queue.ts";
import { commandText, crcText, type LogPosition } from "../ports/log-position.ts";
import type { Report } from "../ports/node-log.ts";
import { beyondText, type NodePosition, nodeBeyond } from "./other-nodes.ts";
import { StoreWatch } from "./store-watch.ts";
import { judgeStream, lastKnown, METADATA, type StreamFacts, type Verdict } from "./stream-check.ts";
import type { PublishAnswer, StreamSession, StreamState } from "./stream-session.ts";
import { type EmptyFrame, UnsettledFrames } from "./unsettled-frames.ts";

const FIRST_BACKOFF_MS = 50;
const MAX_BACKOFF_MS = 2_000;
/** While the stream is read up to its end, how often is looked whether it still has what is waited for. */
const CATCH_UP_LOOK_MS = 1_000;
/** How often a refused frame makes the queue look at its stream. */
const REFUSED_LOOK_MS = 2_000;
/** A stream that is fuller than this, with nothing in it that is still to be executed, is made anew. */
const CLOGGED_FILL = 0.5;

export interface NatsQueueOptions {
  /** The server is our own child: what it has lost may be made anew without asking. */
  readonly embedded: boolean;
  /** Recreates a lost stream of an external server, in the first session, from a log that ends at this seq. */
  readonly remakeLostStream: number | undefined;
  /** Goes on without these messages, which the stream has dropped unread, as a refusal names them. */
  readonly acceptGap: string | undefined;
}

/** What the queue needs of its node. */
export interface NatsQueueNode<S extends StreamSession> {
  readonly witness: LogWitness;
  readonly clock: Clock;
  /** Connects; `answered` hears what the stream says to frames. */
  connect(answered: (answer: PublishAnswer) => void): Promise<S>;
  /** The id of a new ledger, and the frame that opens the ledger of that id. */
  newLedgerId(): string;
  openingFrame(ledgerId: string): Uint8Array;
  /** Up to where the ledger's nodes have logged, as far as it can be learned; called before the stream is judged. */
  nodePositions(session: S): Promise<readonly NodePosition[]>;
  /** The stream has lost commands of this log; called before the node is refused, so that others learn of it. */
  lost(session: S, log: LogPosition): Promise<void>;
  /** A frame without commands, under a new origin: only its answer matters. */
  emptyFrame(): EmptyFrame;
  /** A session has found its stream; called before anything is consumed or published. */
  joined(session: S): Promise<void>;
  /** The queue is open, for the first time or again. */
  opened(session: S): void;
  /** `state`, or the largest frame, is another. */
  stateChanged(): void;
  /** The server has not answered for a while; called again and again until it does. */
  hangs(): void;
  /** What happened, for the node's log. */
  readonly report: Report;
}

/** The node must stop: going on could lose commands or decide them twice. */
export class QueueRefused extends Error {
  override readonly name = "QueueRefused";
}

// Callers are not told what libraries and servers say; the node's log is.
const AWAY: QueueState = { open: false, reason: "the queue is unavailable" };
const STALLED: QueueState = { open: false, reason: "the queue is stalled: it does not store messages" };

export class NatsQueue<S extends StreamSession> implements CommandQueue, CommandMessages {
  #state: QueueState = { open: false, reason: "connecting to the queue" };
  #session: S | undefined;
  /** Opens the queue when the session has read its stream to the end. */
  #open: (() => void) | undefined;
  /** Ends the session that lives or is still joining. */
  #endSession: (reason: string) => void = () => {};
  #stopping = false;
  readonly #unsettled: UnsettledFrames;
  readonly #watch: StoreWatch;
  /** The last message that was taken. */
  #taken: QueueMessage | undefined;
  #wake: (() => void) | undefined;
  #wakeBackoff: (() => void) | undefined;
  #refusedMs = Number.NEGATIVE_INFINITY;
  #doubtedMs = Number.NEGATIVE_INFINITY;
  /** Whether a session has found its stream. */
  #hasJoined = false;

  constructor(
    private readonly node: NatsQueueNode<S>,
    private readonly options: NatsQueueOptions,
  ) {
    this.#unsettled = new UnsettledFrames(node.clock, () => node.emptyFrame());
    this.#watch = new StoreWatch(node.clock, this.#unsettled, {
      stalled: (reason) => this.#stalled(reason),
      hangs: () => node.hangs(),
    });
  }

  get state(): QueueState {
    return this.#state;
  }

  /** The stream's state, asked for once a second; undefined without a session. */
  get stream(): StreamState | undefined {
    return this.#watch.stream;
  }

  get maxFrameBytes(): number {
    return this.#session?.maxFrameBytes ?? 0;
  }

  publish(frame: OutgoingFrame): void {
    const session = this.#session;
    if (!session || !this.#state.open) {
      frame.refused(this.#state.open ? "the queue is unavailable" : this.#state.reason);
      return;
    }
    if (frame.bytes.length > session.maxFrameBytes) {
      frame.refused("the message exceeds the size limit of the queue"); // another server than the one it was made for
      return;
    }
    this.#unsettled.publish(session, frame);
  }

  settle(frame: FrameName, count: number): boolean {
    return this.#unsettled.settle(frame, count);
  }

  abandon(frame: FrameName): void {
    this.#unsettled.abandon(frame);
  }

  take(): QueueMessage | undefined {
    const message = this.#session?.take();
    if (message) this.#taken = message;
    return message;
  }

  wait(timeoutMs: number): Promise<boolean> {
    if (this.#session?.waiting) return Promise.resolve(true);
    return new Promise((resolve) => {
      const cancel = this.node.clock.after(timeoutMs, () => this.#wake?.());
      this.#wake = () => {
        this.#wake = undefined;
        cancel();
        resolve(this.#session?.waiting ?? false);
      };
    });
  }

  /** Runs session after session until stop(). Throws QueueRefused where the node must not go on. */
  async run(): Promise<void> {
    this.#watch.start();
    try {
      for (
        let backoffMs = FIRST_BACKOFF_MS;
        !this.#stopping;
        backoffMs = Math.min(backoffMs * 2, MAX_BACKOFF_MS)
      ) {
        let reason: string;
        try {
          const session = await this.node.connect((answer) => this.#answered(answer));
          reason = await this.#live(session, () => {
            backoffMs = FIRST_BACKOFF_MS;
          });
        } catch (error) {
          if (error instanceof QueueRefused) throw error;
          reason = error instanceof Error ? error.message : String(error);
        }
        this.#setState(AWAY);
        if (this.#stopping) break;
        this.node.report("warn", "queue unavailable", { event: "queue_away", reason, retryMs: backoffMs });
        await this.#pause(backoffMs);
      }
    } finally {
      this.#watch.stop();
      this.#setState({ open: false, reason: "the node is stopping" });
      this.#session?.end("the node is stopping");
      this.#session = undefined;
    }
  }

  /** Takes no more frames; run() ends. */
  stop(): void {
    this.#stopping = true;
    this.#setState({ open: false, reason: "the node is stopping" });
    this.#endSession("the node is stopping");
    this.#wakeBackoff?.();
    this.#wake?.();
  }

  /** One session, to its end; returns why it ended. */
  async #live(session: S, opened: () => void): Promise<string> {
    this.#endSession = (reason) => session.end(reason);
    try {
      if (this.#stopping) return "the node is stopping";
      const next = await this.#join(session);
      await this.node.joined(session);
      session.onArrival(() => this.#wake?.());
      await session.consume(next);
      this.#session = session;
      this.#watch.joined(session);
      this.#wake?.();
      await this.#catchUp(session, next);
      if (session.over) return await session.ended;
      let isNew = true;
      this.#open = () => {
        this.#setState({ open: true });
        if (!isNew) return;
        isNew = false;
        opened();
        this.node.opened(session);
        this.node.report("info", "queue open", { event: "queue_open", next, server: session.server });
      };
      if (this.#watch.stalled) this.#setState(STALLED);
      else this.#open();
      this.#watch.sending(session);
      return await session.ended;
    } finally {
      session.end("the session has ended");
      this.#session = undefined;
      this.#open = undefined;
      this.#watch.left();
    }
  }

  #setState(state: QueueState): void {
    this.#state = state;
    this.node.stateChanged();
  }

  /** Looks at the stream, makes it where it is missing, and says where to go on. */
  async #join(session: S): Promise<number> {
    const taken = this.#taken?.sequence;
    const log = await this.node.witness.settled(taken ?? 0);
    const positions = await this.node.nodePositions(session);
    const facts = await this.#facts(session, lastKnown({ log, taken }));
    let verdict = judgeStream({ stream: facts, log, taken });
    if (facts && verdict.do === "continue" && this.#isClogged(facts, verdict.next)) {
      verdict = { do: "lost", next: verdict.next, why: "it is full of messages that changed nothing" };
    }
    // A stream that is recreated goes on after all that this node has taken.
    const end = verdict.do === "lost" ? verdict.next - 1 : (facts?.lastSequence ?? 0);
    const beyond = nodeBeyond(positions, end);
    await this.#refuse(session, verdict, log, beyond && beyondText(beyond, end));
    const next = await this.#act(session, verdict, log);
    this.#hasJoined = true;
    return next;
  }

  /**
   * Whether messages that wrote nothing (repeats, conflicts) have filled the stream. Purging ends at the last
   * command that wrote, so it cannot make room; our own server's stream may be made anew instead, when all of
   * it is executed.
   */
  #isClogged({ fill, lastSequence }: StreamState, next: number): boolean {
    return this.options.embedded && this.#taken !== undefined && fill > CLOGGED_FILL && lastSequence < next;
  }

  async #facts(session: S, known: number): Promise<(StreamFacts & StreamState) | undefined> {
    const stream = await session.stream();
    if (!stream) return undefined;
    const holdsLastKnown = known > 0 && (await this.#holds(session, known));
    return { ...stream, holdsLastKnown, firstAfterKnown: await session.firstFrom(known + 1) };
  }

  /** Whether the stream's message `known` is the one that was taken or logged under that number. */
  async #holds(session: S, known: number): Promise<boolean> {
    const message = await session.message(known);
    if (!message) return false;
    const taken = this.#taken;
    if (!taken) return this.node.witness.holdsLast(message);
    return taken.at === message.at && Buffer.compare(taken.data, message.data) === 0;
  }

  /** Throws QueueRefused if the node must not go on. `beyond`: what other nodes have that the stream has lost. */
  async #refuse(session: S, verdict: Verdict, log: LogPosition, beyond: string | undefined): Promise<void> {
    const { embedded, remakeLostStream, acceptGap } = this.options;
    if (verdict.do === "refuse" || (verdict.do === "another" && !embedded))
      throw new QueueRefused(verdict.why);
    // A flag that was forgotten must destroy nothing: it counts for the first session after the start.
    const mayRemake = embedded || (!this.#hasJoined && remakeLostStream === log.seq);
    if (verdict.do === "lost" && !mayRemake) {
      await this.node.lost(session, log);
      const others = beyond ?? "other nodes may have what it lost";
      throw new QueueRefused(
        `${verdict.why}; ${others}. --remake-lost-stream=${log.seq} recreates it from this node's log, which ends at seq ${log.seq}`,
      );
    }
    if (verdict.do === "gap" && acceptGap !== verdict.missing) {
      throw new QueueRefused(
        `${verdict.why}: copy the log of another node; if none has these commands, --accept-gap=${verdict.missing} continues without them`,
      );
    }
    if (beyond !== undefined) throw new QueueRefused(beyond);
  }

  /** Does what the verdict says; returns the first message to consume. */
  async #act(session: S, verdict: Verdict, log: LogPosition): Promise<number> {
    switch (verdict.do) {
      case "create":
        await session.create(1, { [METADATA.ledgerId]: this.node.newLedgerId() });
        return 1;
      case "continue":
        return verdict.next;
      case "gap":
        this.node.report("warn", "gap accepted", {
          event: "gap_accepted",
          next: verdict.next,
          why: verdict.why,
        });
        return verdict.next;
      case "lost":
      case "another":
        this.node.report("warn", "stream recreated", {
          event: "stream_recreated",
          next: verdict.next,
          why: verdict.why,
        });
        return await this.#remake(session, verdict.next, log);
      case "refuse":
        throw new QueueRefused(verdict.why);
    }
  }

  async #remake(session: S, next: number, log: LogPosition): Promise<number> {
    await session.remove();
    await session.create(next, {
      [METADATA.ledgerId]: log.ledgerId ?? this.node.newLedgerId(),
      [METADATA.continuesCommand]: commandText(log),
      [METADATA.continuesCrc]: crcText(log.crc),
      [METADATA.continuesAt]: String(next),
    });
    return next;
  }

  /**
   * Waits until everything that the stream held is executed and on disk. Where nothing of it opened the
   * ledger, an opening is put behind it; if another node's was first, that is as good.
   */
  async #catchUp(session: S, next: number): Promise<void> {
    for (;;) {
      const stream = await session.stream();
      if (!stream) throw new Error("the stream was deleted");
      const { metadata, lastSequence } = stream;
      const position = await this.#reach(session, lastSequence < next ? 0 : lastSequence, next - 1);
      if (position === undefined || position.seq > 0) return;
      const ledgerId = metadata[METADATA.ledgerId];
      if (ledgerId === undefined) throw new QueueRefused("the stream has no ledger_id");
      await session.publishAfter(lastSequence, this.node.openingFrame(ledgerId));
    }
  }

  /** Resolves when message `sequence` is executed and on disk; with undefined where the session ended before. */
  async #reach(session: S, sequence: number, before: number): Promise<LogPosition | undefined> {
    const reached = this.node.witness.settled(sequence);
    for (;;) {
      const { promise: late, resolve } = Promise.withResolvers<"late">();
      const cancel = this.node.clock.after(CATCH_UP_LOOK_MS, () => resolve("late"));
      const first = await Promise.race([reached, session.ended, late]);
      cancel();
      if (typeof first !== "string") return first;
      if (session.over) return undefined;
      // The stream's last messages may have been deleted: they never come.
      const waited = Math.max(this.#taken?.sequence ?? 0, before) + 1;
      if (waited <= sequence && (await session.firstFrom(waited)) === undefined)
        session.end(`the stream's messages from ${waited} to ${sequence} are missing`);
    }
  }

  #answered({ key, refused, unknown, duplicate }: PublishAnswer): void {
    const unsettled = this.#unsettled.answered(key, unknown !== undefined);
    if (unknown !== undefined) {
      // Whether it was taken is open: it is sent again.
      this.#watch.refused(unknown);
      this.#doubted(unknown);
      return;
    }
    if (refused !== undefined) this.#watch.refused(refused);
    else if (!duplicate && this.#watch.stored()) this.#answersAgain();
    if (!unsettled) {
      if (refused !== undefined && this.options.embedded) this.#lookAgain(refused);
      return;
    }
    // Of a frame that was sent twice, the first may have been taken: only its outcome, or its end, is certain.
    if (refused === undefined || unsettled.sends > 1 || unsettled.doubtful) return;
    this.#unsettled.forget(unsettled.frame);
    unsettled.frame.refused("the queue refused the command");
    this.#lookAgain(refused);
  }

  #doubted(error: string): void {
    const now = this.node.clock.nowMs();
    if (now - this.#doubtedMs < REFUSED_LOOK_MS) return;
    this.#doubtedMs = now;
    this.node.report("warn", "the queue may or may not have stored a frame", {
      event: "frame_unknown",
      error,
    });
  }

  #stalled(reason: string): void {
    if (this.#stopping) return;
    this.#setState(STALLED);
    this.node.report("warn", "queue stalled", { event: "queue_stalled", reason });
  }

  #answersAgain(): void {
    if (this.#stopping) return;
    this.node.report("info", "queue responds again", { event: "queue_answers" });
    this.#open?.();
  }

  /** A refusal may mean that the stream is full: a new session makes room where that is possible. */
  #lookAgain(refused: string): void {
    const now = this.node.clock.nowMs();
    if (now - this.#refusedMs < REFUSED_LOOK_MS) return;
    this.#refusedMs = now;
    this.node.report("warn", "frame refused", { event: "frame_refused", refused });
    if (this.options.embedded && !this.#session?.waiting)
      this.#endSession(`the queue refused a frame: ${refused}`);
  }

  async #pause(milliseconds: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const cancel = this.node.clock.after(milliseconds, resolve);
      this.#wakeBackoff = () => {
        cancel();
        resolve();
      };
    });
    this.#wakeBackoff = undefined;
  }
}
