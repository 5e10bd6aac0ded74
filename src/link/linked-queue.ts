/** The gateway's end of the link: the command queue, its outcomes, and what happened, as the gateway sees them. */

import type { Change } from "../ports/changes.ts";
import type { FrameListener, GatewayQueue, QueueState } from "../ports/command-queue.ts";
import type { LedgerColumns, NodeFacts, Port, ToEngine, ToGateway } from "../ports/link.ts";
import { Backlog } from "./backlog.ts";
import { ChangeDecoder, decodeOutcome } from "./columns.ts";

export interface LinkListener {
  recovered(ledger: LedgerColumns): void;
  /** Of each batch, before its outcomes. */
  changed(changes: readonly Change[]): void;
  facts(facts: NodeFacts): void;
  metrics(text: string | undefined): void;
  ask(message: Extract<ToGateway, { readonly type: "ask" }>): void;
  call(message: Extract<ToGateway, { readonly call: number }>): void;
}

const ENGINE_IS_LATE: QueueState = { open: false, reason: "the engine is not accepting commands" };

export class LinkedQueue implements GatewayQueue {
  #state: QueueState = { open: false, reason: "the node is recovering" };
  #maxFrameBytes = 0;
  readonly #changes = new ChangeDecoder();
  readonly #backlog = new Backlog((bytes) => this.port.post({ type: "taken", bytes }));
  #frames: FrameListener = { decided: () => {}, refused: () => {} };

  constructor(
    private readonly port: Port<ToEngine, ToGateway>,
    private readonly listener: LinkListener,
  ) {
    port.onMessage((message) => this.#receive(message));
  }

  get state(): QueueState {
    return this.#backlog.full ? ENGINE_IS_LATE : this.#state;
  }

  get maxFrameBytes(): number {
    return this.#maxFrameBytes;
  }

  publish(number: number, frame: Uint8Array): void {
    const bytes = frame as Uint8Array<ArrayBuffer>;
    this.#backlog.tell(bytes.length);
    this.port.post({ type: "publish", number, bytes }, [bytes.buffer]);
  }

  abandon(number: number): void {
    this.port.post({ type: "abandon", number });
  }

  subscribe(listener: FrameListener): void {
    this.#frames = listener;
  }

  #receive(message: ToGateway): void {
    switch (message.type) {
      case "recovered":
        this.listener.recovered(message.ledger);
        return;
      case "facts":
        this.#facts(message.facts);
        return;
      case "committed":
        this.listener.changed(this.#changes.decode(message.changes));
        for (const columns of message.outcomes) this.#frames.decided(decodeOutcome(columns));
        this.#backlog.take(message.weight);
        return;
      case "taken":
        this.#backlog.said(message.bytes);
        return;
      case "refused":
        this.#frames.refused(message.number, message.why);
        return;
      case "metrics":
        this.listener.metrics(message.text);
        return;
      case "ask":
        this.listener.ask(message);
        return;
      default:
        this.listener.call(message);
    }
  }

  #facts(facts: NodeFacts): void {
    if (facts.queue) {
      this.#state = facts.queue.state;
      this.#maxFrameBytes = facts.queue.maxFrameBytes;
    }
    this.listener.facts(facts);
  }
}
