/** One connection to the stream, from connect to its end, as the queue needs it. */

import type { QueueMessage } from "../ports/command-queue.ts";

/** What the stream said to a frame. */
export interface PublishAnswer {
  /** That with which the frame was published. */
  readonly key: number;
  /** Why it was refused, for the node's log; undefined if it was taken. The stream does not have the frame. */
  readonly refused: string | undefined;
  /** An error that leaves open whether the stream has the frame, or will have it. */
  readonly unknown?: string;
  /** It had taken the frame before: no sign that it stores now. */
  readonly duplicate?: boolean;
}

export interface StreamState {
  readonly metadata: Readonly<Record<string, string>>;
  readonly firstSequence: number;
  readonly lastSequence: number;
  /** How much of the room that it may take is taken, from 0 to 1. */
  readonly fill: number;
}

/** A session never reconnects: when anything about it fails, it is over, and its methods may throw. */
export interface StreamSession {
  readonly over: boolean;
  /** Resolves with the reason when the session is over. */
  readonly ended: Promise<string>;
  /** The server's address. */
  readonly server: string;
  readonly maxFrameBytes: number;
  end(reason: string): void;

  /** Undefined where there is no stream. */
  stream(): Promise<StreamState | undefined>;
  /** Undefined where the stream does not hold the message. */
  message(sequence: number): Promise<QueueMessage | undefined>;
  /** The first message from `sequence` on that the stream holds; undefined where it holds none. */
  firstFrom(sequence: number): Promise<number | undefined>;
  /** Makes the stream. Throws where there is one. */
  create(firstSequence: number, metadata: Readonly<Record<string, string>>): Promise<void>;
  remove(): Promise<void>;
  /** Puts a frame on the stream if its last message is `lastSequence`; does nothing otherwise. */
  publishAfter(lastSequence: number, bytes: Uint8Array): Promise<void>;

  /**
   * Puts a frame on the stream, which knows repeats of it by `id`. The answer comes by itself, with the key that the
   * frame has in this process.
   */
  publish(key: number, id: string, bytes: Uint8Array): void;
  /** Begins to consume at `sequence`. */
  consume(sequence: number): Promise<void>;
  /** The next message, if one is there. */
  take(): QueueMessage | undefined;
  /** Whether take() has something to look at. */
  readonly waiting: boolean;
  /** Calls `arrived` at the next message, and at the session's end. */
  onArrival(arrived: () => void): void;
}
