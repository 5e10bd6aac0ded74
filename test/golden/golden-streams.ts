/**
 * Recorded streams of messages and the logs that an earlier version wrote for them.
 *
 * `NAME.messages` has a line a message: its sequence in the stream, its time (ms since 1970) and its bytes in
 * base64. `NAME.log` is the events.log that follows from them. They are never recorded again: every later version
 * decides the same messages to the same bytes.
 */

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { QueueMessage } from "../../src/ports/command-queue.ts";

export interface GoldenStream {
  readonly name: string;
  readonly messages: readonly QueueMessage[];
  readonly log: Buffer;
}

export function goldenStreams(): GoldenStream[] {
  return readdirSync(import.meta.dir)
    .filter((file) => file.endsWith(".messages"))
    .sort()
    .map((file) => {
      const name = file.slice(0, -".messages".length);
      const messages = parseMessages(readFileSync(join(import.meta.dir, file), "utf8"));
      return { name, messages, log: readFileSync(join(import.meta.dir, `${name}.log`)) };
    });
}

export function messagesText(messages: readonly QueueMessage[]): string {
  return messages
    .map(({ sequence, at, data }) => `${sequence} ${at} ${Buffer.from(data).toString("base64")}\n`)
    .join("");
}

function parseMessages(text: string): QueueMessage[] {
  return text
    .trimEnd()
    .split("\n")
    .map((line) => {
      const [sequence, at, data = ""] = line.split(" ");
      return {
        sequence: Number(sequence),
        at: Number(at),
        data: new Uint8Array(Buffer.from(data, "base64")),
      };
    });
}
