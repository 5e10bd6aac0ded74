/** Whoever runs the nodes: starts again what has stopped, the way its refusal says. */

import { LOG_NAME, RESCUED_NAME } from "../../src/eventlog/recovery.ts";
import { Violation } from "./auditor.ts";
import type { Allowed, SimulatedNode, World } from "./simulated-node.ts";

const MAX_RESTART_MS = 500;
/** A refusal is read by a human being. */
const MAX_READING_MS = 3_000;

export class Operator {
  constructor(
    private readonly world: World,
    private readonly nodes: readonly SimulatedNode[],
  ) {}

  /** A process was killed. */
  killed(node: SimulatedNode): void {
    this.#startLater(node, MAX_RESTART_MS);
  }

  /** A node stopped by itself, as it must after some faults. */
  stopped(node: SimulatedNode, error: unknown): void {
    if (isNamed(error, "LostFile")) {
      this.#restoreLog(node, error);
      this.#startLater(node, MAX_RESTART_MS);
    } else if (isOfDisk(error))
      this.#startLater(node, node.disk.faults.full ? MAX_READING_MS : MAX_RESTART_MS);
    else if (isNamed(error, "QueueRefused") && !this.world.embedded) this.#refused(node, error.message);
    else this.world.failed(error);
  }

  /** The log was taken away: what the node kept of it is put in its place. */
  #restoreLog(node: SimulatedNode, { message }: Error): void {
    const { disk, name } = node;
    const { auditor } = this.world;
    const rescued = disk.names().find((file) => file.startsWith(RESCUED_NAME));
    if (!rescued || !message.includes(rescued))
      throw new Violation(`the log of ${name} was taken away, and its bytes are not kept: ${message}`);
    disk.restore(LOG_NAME, rescued);
    // What a sync brought to disk while the node was copying is not in it; another node may have more.
    const others = this.nodes.filter((other) => other !== node).map((other) => auditor.bytesOf(other.name));
    auditor.cut(name, Math.max(disk.durable(LOG_NAME).length, ...others));
  }

  /** The stream has lost what nodes have logged: the log that is longest is the truth. */
  #refused(node: SimulatedNode, why: string): void {
    const { world } = this;
    this.#later(MAX_READING_MS, () => {
      if (node.process) return;
      const longest = this.#longest();
      if (node === longest) node.start(allowedBy(why));
      else {
        // What its folder lacks is not on the stream any more: it needs the longest log, once that node goes on.
        if (longest.ready) {
          world.say(`${node.name} gets the log of ${longest.name}`, {});
          node.copy(longest);
        }
        node.start();
      }
    });
  }

  #longest(): SimulatedNode {
    const { auditor } = this.world;
    const length = (node: SimulatedNode) => auditor.bytesOf(node.name);
    return this.nodes.reduce((longest, node) => (length(node) > length(longest) ? node : longest));
  }

  #startLater(node: SimulatedNode, maxMs: number): void {
    this.#later(maxMs, () => {
      if (!node.process) node.start();
    });
  }

  #later(maxMs: number, run: () => void): void {
    this.world.time.after(this, this.world.random.between(1, maxMs), run);
  }
}

function isOfDisk(error: unknown): boolean {
  return error instanceof Error && "code" in error && ["EIO", "ENOSPC"].includes(String(error.code));
}

function isNamed(error: unknown, name: string): error is Error {
  return error instanceof Error && error.name === name;
}

/** The flag that a refusal names, for the tail that it names. */
function allowedBy(why: string): Allowed {
  const [, seq] = /--remake-lost-stream=([0-9]+)/.exec(why) ?? [];
  if (seq !== undefined) return { remakeLostStream: Number(seq) };
  const [, missing] = /--accept-gap=([0-9]+-[0-9]+)/.exec(why) ?? [];
  if (missing !== undefined) return { acceptGap: missing };
  throw new Violation(`the node with the longest log was refused without a way out: ${why}`);
}
