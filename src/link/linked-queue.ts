/** The gateway's end of the link: the command queue, its outcomes, and what happened, as the gateway sees them. */

import type { Change, FrameOutcome, Outcomes } from "../ports/changes.ts";
import type { CommandQueue, OutgoingFrame, QueueState } from "../ports/command-queue.ts";
import type { KeysInForce } from "../ports/keys.ts";
import type { LedgerColumns, Port, ToEngine, ToGateway } from "../ports/link.ts";
import type { Seal } from "../ports/seals.ts";
import { Backlog } from "./backlog.ts";
import { ChangeDecoder, decodeOutcome } from "./columns.ts";

export interface LinkListener {
  recovered(ledger: LedgerColumns): void;
  /** Of each batch, before its outcomes. */
  changed(changes: readonly Change[]): void;
  keys(keys: KeysInForce): void;
  metrics(text: string | undefined): void;
  sealed(newest: Seal): void;
  ask(message: Extract<ToGateway, { readonly type: "ask" }>): void;
  call(message: Extract<ToGateway, { readonly call: number }>): void;
}

const ENGINE_IS_LATE: QueueState = { open: false, reason: "the engine has not taken what it was sent" };

export class LinkedQueue implements CommandQueue, Outcomes {
  #state: QueueState = { open: false, reason: "the node is recovering" };
  #maxFrameBytes = 0;
  readonly #changes = new ChangeDecoder();
  readonly #backlog = new Backlog((bytes) => this.port.post({ type: "taken", bytes }));
  readonly #frames = new Map<string, OutgoingFrame>();
  #outcome: (outcome: FrameOutcome) => void = () => {};

  /** `origin` is the gateway's, 32 hex digits. */
  constructor(
    private readonly origin: string,
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

  publish(frame: OutgoingFrame): void {
    this.#frames.set(frame.id, frame);
    const bytes = frame.bytes as Uint8Array<ArrayBuffer>;
    this.#backlog.tell(bytes.length);
    this.port.post({ type: "publish", id: frame.id, bytes }, [bytes.buffer]);
  }

  settle(id: string): void {
    this.#frames.delete(id); // the engine's end has settled it when it reported the outcome
  }

  abandon(id: string): void {
    if (this.#frames.delete(id)) this.port.post({ type: "abandon", id });
  }

  subscribe(listener: (outcome: FrameOutcome) => void): void {
    this.#outcome = listener;
  }

  #receive(message: ToGateway): void {
    switch (message.type) {
      case "recovered":
        this.listener.recovered(message.ledger);
        return;
      case "state":
        this.#state = message.state;
        this.#maxFrameBytes = message.maxFrameBytes;
        return;
      case "committed":
        this.listener.changed(this.#changes.decode(message.changes));
        for (const columns of message.outcomes) {
          this.#frames.delete(`${this.origin}-${columns.number}`);
          this.#outcome(decodeOutcome(this.origin, columns));
        }
        this.#backlog.take(message.weight);
        return;
      case "taken":
        this.#backlog.said(message.bytes);
        return;
      case "refused":
        this.#take(message.id)?.refused(message.why);
        return;
      case "keys":
        this.listener.keys(message.keys);
        return;
      case "metrics":
        this.listener.metrics(message.text);
        return;
      case "sealed":
        this.listener.sealed(message.newest);
        return;
      case "ask":
        this.listener.ask(message);
        return;
      default:
        this.listener.call(message);
    }
  }

  #take(id: string): OutgoingFrame | undefined {
    const frame = this.#frames.get(id);
    this.#frames.delete(id);
    return frame;
  }
}
