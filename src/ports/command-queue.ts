/** The queue that puts commands in order, as its two ends see it. */

import type { BatchSource } from "../batching/batch-consumer.ts";
import type { LogPosition } from "./log-position.ts";

/** Why the queue takes nothing, or that it does. */
export type QueueState = { readonly open: true } | { readonly open: false; readonly reason: string };

/** A frame on its way. */
export interface OutgoingFrame {
  /** `<origin>-<number>`, the id under which the queue knows repeats of it. */
  readonly id: string;
  readonly bytes: Uint8Array;
  /** Called once at most, when it is certain that the queue did not take the frame. */
  refused(why: string): void;
}

/** The gateway's end. */
export interface CommandQueue {
  readonly state: QueueState;
  /** The largest frame that the queue takes, in bytes. */
  readonly maxFrameBytes: number;
  /** Puts a frame on the queue; does not wait. Without an answer it is sent again, until settle() or abandon(). */
  publish(frame: OutgoingFrame): void;
  /** The frame's outcome has come. */
  settle(id: string): void;
  /** No caller waits for the frame's outcome any more; it may still come. */
  abandon(id: string): void;
}

/** One message of the stream. */
export interface QueueMessage {
  /** The stream's number for it, from 1: the total order. */
  readonly sequence: number;
  /** When the stream took it, ms since 1970. */
  readonly at: number;
  readonly data: Uint8Array;
}

/** The engine's end: the stream's messages, each once, in order, without a gap. */
export interface CommandMessages extends BatchSource<QueueMessage> {}

/** What the queue must know of the log, to tell whether the stream still is the one that the log was made from. */
export interface LogWitness {
  /** Resolves with the log's end when the message `sequence`, and all before it, are executed and on disk. */
  settled(sequence: number): Promise<LogPosition>;
  /** Whether `message` holds the command that was the log's last when the node started. */
  holdsLast(message: QueueMessage): boolean;
}
