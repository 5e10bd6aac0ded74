/** The engine's end of the link to one gateway. */

import { unreachable } from "../domain/impossible-state.ts";
import type { Answer } from "../ports/answer.ts";
import type { CommittedBatch } from "../ports/changes.ts";
import type { CommandQueue } from "../ports/command-queue.ts";
import type { LedgerColumns, NodeFacts, Port, ToEngine, ToGateway } from "../ports/link.ts";
import { frameCount } from "../wire/frame.ts";
import { Backlog } from "./backlog.ts";
import { buffersOf, ChangeEncoder, encodeOutcome, weightOf } from "./columns.ts";

/** What a gateway asks of the node beside commands. */
export interface LinkNode {
  /** Hears of requests that failed by a bug. */
  failedRequest(error: string): void;
  /** The node's metrics, as Prometheus reads them. */
  metrics(): Promise<string>;
}

export interface LinkParts {
  /** The gateway's number on this node, and its origin, 32 hex digits. */
  readonly gateway: number;
  readonly origin: string;
  readonly port: Port<ToGateway, ToEngine>;
  readonly commands: CommandQueue;
  readonly node: LinkNode;
}

type Call = Extract<ToGateway, { readonly call: number }>["type"];

export class GatewayLink {
  readonly #changes = new ChangeEncoder();
  readonly #calls = new Map<number, () => void>();
  readonly #asked = new Map<number, (answer: Answer) => void>();
  readonly #backlog = new Backlog((bytes) => this.parts.port.post({ type: "taken", bytes }));
  #number = 0;

  constructor(private readonly parts: LinkParts) {
    parts.port.onMessage((message) => this.#receive(message));
  }

  recovered(ledger: LedgerColumns): void {
    this.parts.port.post({ type: "recovered", ledger });
  }

  /** Tells what has changed of the node. */
  tell(facts: NodeFacts): void {
    this.parts.port.post({ type: "facts", facts });
  }

  /** Tells what the queue's state is now. */
  tellState(): void {
    const { state, maxFrameBytes } = this.parts.commands;
    this.tell({ queue: { state, maxFrameBytes } });
  }

  /** Tells a batch that is on disk, with the outcomes of this gateway's frames. */
  committed({ changes, outcomes }: CommittedBatch): void {
    // Any client that may publish may have copied our origin: a frame is ours only with our number and count.
    const { gateway, commands } = this.parts;
    const own = outcomes.filter(
      (outcome) => outcome.gateway === gateway && commands.settle(outcome, outcome.outcomes.length),
    );
    if (changes.length === 0 && own.length === 0) return;
    const columns = { changes: this.#changes.encode(changes), outcomes: own.map(encodeOutcome) };
    const buffers = buffersOf(columns.changes, columns.outcomes);
    const weight = weightOf(columns.changes, columns.outcomes, buffers);
    this.#backlog.tell(weight);
    this.parts.port.post({ type: "committed", ...columns, weight }, buffers);
  }

  /** Whether the gateway has so much to take that it must not be told of more batches. */
  get full(): boolean {
    return this.#backlog.full;
  }

  /** How much of that it has taken, ever. */
  get taken(): number {
    return this.#backlog.takenByOther;
  }

  /** Has the gateway answer a request that came another way than HTTP. */
  ask(body: Uint8Array, maxAnswerBytes: number): Promise<Answer> {
    return new Promise((resolve) => {
      const ask = ++this.#number;
      this.#asked.set(ask, resolve);
      const copy = new Uint8Array(body); // it may be a part of a large buffer, all of which would travel
      this.parts.port.post({ type: "ask", ask, body: copy, maxAnswerBytes }, [copy.buffer]);
    });
  }

  /** Resolves when the gateway has done it; it has received everything that was told before, then. */
  call(type: Call): Promise<void> {
    return new Promise((resolve) => {
      const call = ++this.#number;
      this.#calls.set(call, resolve);
      this.parts.port.post({ type, call });
    });
  }

  #receive(message: ToEngine): void {
    switch (message.type) {
      case "publish":
        this.#backlog.take(message.bytes.length);
        this.#publish(message.number, message.bytes);
        return;
      case "taken":
        this.#backlog.said(message.bytes);
        return;
      case "abandon":
        this.parts.commands.abandon({ gateway: this.parts.gateway, number: message.number });
        return;
      case "answer":
        this.#asked.get(message.ask)?.(message.answer);
        this.#asked.delete(message.ask);
        return;
      case "done":
        this.#calls.get(message.call)?.();
        this.#calls.delete(message.call);
        return;
      case "failed_request":
        this.parts.node.failedRequest(message.error);
        return;
      case "metrics":
        this.parts.node.metrics().then(
          (text) => this.parts.port.post({ type: "metrics", text }),
          (error) => {
            this.parts.node.failedRequest(String(error));
            this.parts.port.post({ type: "metrics", text: undefined });
          },
        );
        return;
      default:
        unreachable(message);
    }
  }

  #publish(number: number, bytes: Uint8Array): void {
    const { gateway, origin, commands, port } = this.parts;
    commands.publish({
      gateway,
      origin,
      number,
      count: frameCount(bytes),
      bytes,
      refused: (why) => port.post({ type: "refused", number, why }),
    });
  }
}
