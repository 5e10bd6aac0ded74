/** Decides a recorded stream of messages into the log of a folder, as a node does. */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { EngineLoop } from "../../src/engine/engine-loop.ts";
import type { CommandMessages, QueueMessage } from "../../src/ports/command-queue.ts";
import { LogOnDisk } from "./log-files.ts";
import { quiet } from "./manual-clock.ts";

/** The messages of a recorded stream; `pause` says, for each, whether the source is empty for a moment before it. */
class RecordedMessages implements CommandMessages {
  #next = 0;
  #paused = false;

  constructor(
    private readonly messages: readonly QueueMessage[],
    private readonly pause: () => boolean,
  ) {}

  take(): QueueMessage | undefined {
    if (!this.#paused && this.pause()) {
      this.#paused = true;
      return undefined;
    }
    this.#paused = false;
    return this.messages[this.#next++];
  }

  async wait(): Promise<boolean> {
    await quiet();
    return this.#next < this.messages.length;
  }
}

/** Recovers the folder and consumes the messages from the end of its log; returns the log and what was malformed. */
export async function consume(
  folder: string,
  stream: readonly QueueMessage[],
  pause: () => boolean = () => false,
  batchBytes = 1 << 20,
) {
  const log = await LogOnDisk.open(folder);
  // The message that was logged last is read again: it may hold more commands.
  const from = Math.max(log.position.sequence, 1);
  const messages = new RecordedMessages(stream.slice(from - 1), pause);
  const malformed: number[] = [];
  const loop = new EngineLoop(
    {
      engine: log.engine,
      messages,
      log: log.writer,
      clock: log.clock,
      gatewayOf: () => undefined,
      committed: () => {},
      malformed: ({ sequence }) => malformed.push(sequence),
    },
    { batchBytes, maxReadTimeoutMs: 1_000 },
  );
  const running = loop.run();
  if (from <= stream.length) await Promise.race([loop.settled(stream.length), running]);
  loop.stop();
  await running;
  await log.close();
  return { malformed, bytes: readFileSync(join(folder, "events.log")) };
}
