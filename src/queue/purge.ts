/**
 * Keeps the stream short: drops the messages before the log's mark, and never the one at the mark, which
 * is read again at the next start.
 */

import type { Report } from "../ports/node-log.ts";
import { type NatsSession, STREAM } from "./nats-session.ts";
import { NodeRegistry } from "./node-registry.ts";

const PURGE_INTERVAL_MS = 5_000;
/** How often is looked whether it is time. */
const LOOK_INTERVAL_MS = 1_000;

export class StreamPurge {
  #session: NatsSession | undefined;
  #registry: NodeRegistry | undefined;
  #registered: ReadonlyMap<string, number> = new Map();
  #isNew = false;
  #marked = 0;
  #purgedMs = Number.NEGATIVE_INFINITY;
  #purgedBefore = 0;
  #busy = false;
  #purging: Promise<void> = Promise.resolve();

  /** `shared`: other nodes may read the stream, so their marks count too. */
  constructor(
    private readonly node: string,
    private readonly shared: boolean,
    private readonly replicas: number,
    private readonly report: Report,
  ) {}

  /** The registered nodes, each with its mark, as of the last look. */
  get registered(): ReadonlyMap<string, number> {
    return this.#registered;
  }

  /** Looks at what is registered; changes nothing. */
  async look(session: NatsSession): Promise<void> {
    if (this.shared)
      this.#registered = (await (await NodeRegistry.find(session.connection))?.all()) ?? new Map();
  }

  /**
   * The stream has lost commands of this node's log, which ends in message `sequence`: recorded as its mark if the
   * node is registered, or was under this process, so that no other node goes on without them.
   */
  async lost(session: NatsSession, sequence: number): Promise<void> {
    if (!this.shared || (this.#registry === undefined && !this.#registered.has(this.node))) return;
    const registry = await NodeRegistry.open(session.connection, this.replicas);
    await registry.tell(this.node, sequence);
  }

  /** A new session; registers the node before it consumes anything. */
  async join(session: NatsSession, markedSequence: number): Promise<void> {
    if (this.shared) {
      this.#registry = await NodeRegistry.open(session.connection, this.replicas);
      this.#isNew ||= !(await this.#registry.has(this.node));
      await this.#registry.tell(this.node, markedSequence);
      this.#registered = await this.#registry.all();
    }
    this.#session = session;
    this.#marked = markedSequence;
    // Also without a new mark: a full stream takes no command that would set one.
    const timer = setInterval(() => this.#look(), LOOK_INTERVAL_MS);
    session.onEnd(() => clearInterval(timer));
  }

  /** Takes back what registered the node, where it was not registered before. */
  async withdraw(): Promise<void> {
    this.#session = undefined; // what is told from now on would register it again
    await this.#purging;
    if (this.#isNew) await this.#registry?.forget(this.node);
  }

  /** The log is marked up to the command in message `sequence`. */
  marked(sequence: number): void {
    this.#marked = sequence;
    this.#look();
  }

  #look(): void {
    const session = this.#session;
    const now = performance.now();
    if (!session || session.over || this.#busy || now - this.#purgedMs < PURGE_INTERVAL_MS) return;
    this.#busy = true;
    this.#purgedMs = now;
    this.#purging = this.#purge(session, this.#marked)
      // The next look tries again.
      .catch((error: Error) =>
        this.report("warn", "the stream could not be purged", {
          event: "purge_failed",
          error: error.message,
        }),
      )
      .finally(() => {
        this.#busy = false;
      });
  }

  async #purge(session: NatsSession, sequence: number): Promise<void> {
    let before = sequence;
    if (this.#registry) {
      await this.#registry.tell(this.node, sequence);
      this.#registered = await this.#registry.all();
      for (const marked of this.#registered.values()) before = Math.min(before, marked);
    }
    if (before <= Math.max(1, this.#purgedBefore)) return;
    await session.jsm.streams.purge(STREAM, { seq: before });
    this.#purgedBefore = before;
  }
}
