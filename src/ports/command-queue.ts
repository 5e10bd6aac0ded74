/** The queue that puts commands in order, as its two ends see it. */

import type { BatchSource } from "../batching/batch-consumer.ts";
import type { FrameOutcome } from "./changes.ts";
import type { LogPosition } from "./log-position.ts";

/** Why the queue takes nothing, or that it does. */
export type QueueState = { readonly open: true } | { readonly open: false; readonly reason: string };

/** What a frame under way is known by in its process. */
export interface FrameName {
  /** The number of its gateway on this node, from 1 on. */
  readonly gateway: number;
  /** Its own at that gateway. */
  readonly number: number;
}

/** A frame on its way. */
export interface OutgoingFrame extends FrameName {
  /** Its gateway's, as text: the stream knows repeats of the frame by `<origin>-<number>`. */
  readonly origin: string;
  /** How many commands it has. */
  readonly count: number;
  readonly bytes: Uint8Array;
  /** Called once at most, when it is certain that the queue did not take the frame. */
  refused(why: string): void;
}

export interface QueueStatus {
  readonly state: QueueState;
  /** The largest frame that the queue takes, in bytes. */
  readonly maxFrameBytes: number;
}

/** What a gateway learns of its frames, by their numbers. */
export interface FrameListener {
  decided(outcome: FrameOutcome): void;
  /** Called once at most, when it is certain that the queue did not take the frame. */
  refused(number: number, why: string): void;
}

/** One gateway's end. */
export interface GatewayQueue extends QueueStatus {
  publish(number: number, bytes: Uint8Array): void;
  /** No caller waits for the frame's outcome any more; it may still come. */
  abandon(number: number): void;
  subscribe(listener: FrameListener): void;
}

/** The end of all gateways of a node. */
export interface CommandQueue extends QueueStatus {
  /** Puts a frame on the queue; does not wait. Without an answer it is sent again, until settle() or abandon(). */
  publish(frame: OutgoingFrame): void;
  /** An outcome of `count` commands has come; returns whether a frame of so many is under way by that name. */
  settle(frame: FrameName, count: number): boolean;
  /** No caller waits for the frame's outcome any more; it may still come. */
  abandon(frame: FrameName): void;
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
