/**
 * The gateway's side of a node, on whatever thread it runs: callers' requests in, frames over the link, and
 * back what became of them. Its read model is fed by what the link tells, which is durable.
 */

import { unreachable } from "../domain/impossible-state.ts";
import type { TransactionId } from "../domain/names.ts";
import { CommandSender } from "../gateway/command-sender.ts";
import { problem } from "../gateway/problems.ts";
import { ReadModel } from "../gateway/read-model.ts";
import { NOT_OPEN, WalletService } from "../gateway/wallet-service.ts";
import { LinkedQueue } from "../link/linked-queue.ts";
import type { Answer } from "../ports/answer.ts";
import type { BalancesView } from "../ports/balances.ts";
import type { Clock } from "../ports/clock.ts";
import type { KeysInForce } from "../ports/keys.ts";
import type { Port, ToEngine, ToGateway } from "../ports/link.ts";
import type { Seal } from "../ports/seals.ts";

export interface GatewayParts {
  readonly port: Port<ToEngine, ToGateway>;
  readonly clock: Clock;
  /** 128 random bits, drawn at every start. */
  readonly origin: Uint8Array;
  newTransactionId(): TransactionId;
  /** The seq up to which some gateway may have answered: what begins now must see it. */
  answeredSeq(): number;
  /** Who may call from now on. */
  keysChanged(keys: KeysInForce): void;
  /** Takes no more requests; resolves when those under way are answered. */
  stopAccepting(): Promise<void>;
  /** Cuts what callers still have open. */
  cut(): Promise<void>;
}

export interface GatewaySettings {
  readonly outcomeTimeoutMs: number;
  /** The most that may wait here, weighed as admission.ts does. */
  readonly mostWaiting: number;
}

export class GatewayNode {
  readonly wallet: WalletService;
  /** What callers may see: empty until the log is recovered. */
  readonly balances: BalancesView;
  /** Of the log; undefined where the node has told none. */
  newestSeal: Seal | undefined;
  readonly #balances = new ReadModel();
  readonly #queue: LinkedQueue;
  readonly #sender: CommandSender;
  /** Who waits for the node's metrics, in the order in which they were asked for. */
  readonly #scrapes: ((text: string | undefined) => void)[] = [];
  #reading: { readonly seq: number; readonly go: () => void }[] = [];

  constructor(
    private readonly parts: GatewayParts,
    settings: GatewaySettings,
  ) {
    const { port, clock, origin, newTransactionId } = parts;
    this.balances = this.#balances;
    this.#queue = new LinkedQueue(port, {
      recovered: (ledger) => this.#balances.restore(ledger),
      changed: (changes) => {
        this.#balances.apply(changes);
        this.#goOn();
      },
      facts: ({ keys, newestSeal }) => {
        if (keys) parts.keysChanged(keys);
        if (newestSeal) this.newestSeal = newestSeal;
      },
      metrics: (text) => this.#scrapes.shift()?.(text),
      ask: (asked) => void this.#answer(asked),
      call: ({ type, call }) => {
        this.#do(type).then(
          () => port.post({ type: "done", call }),
          (error) => this.failedRequest(error),
        );
      },
    });
    this.#sender = new CommandSender(this.#queue, clock, { ...settings, origin });
    this.wallet = new WalletService(this.#sender, this.#balances, newTransactionId, () => this.unready());
  }

  /** How many commands wait for an outcome. */
  get waiting(): number {
    return this.#sender.waiting;
  }

  /** Why the node is not ready; undefined if it is. Probes, reads and commands all take their reason from here. */
  unready(): string | undefined {
    const { state } = this.#queue;
    if (!state.open) return state.reason;
    return this.#balances.defaultCurrency ? undefined : NOT_OPEN;
  }

  /** Something threw that must not: a bug, which the node's log is told of. */
  failedRequest(error: unknown): void {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    this.parts.port.post({ type: "failed_request", error: text });
  }

  /**
   * Answers with what the read model shows, once it has everything that any gateway of this node may have
   * told a caller before this call. Until the log is recovered it answers like /health/ready.
   */
  read(answer: () => Answer): Answer | Promise<Answer> {
    if (!this.#balances.defaultCurrency) return problem("not_ready", this.unready() ?? NOT_OPEN);
    const seq = this.parts.answeredSeq();
    if (this.#balances.seq >= seq) return answer();
    return new Promise((resolve) => {
      this.#reading.push({ seq, go: () => resolve(answer()) });
    });
  }

  /** The node's metrics, as Prometheus reads them. */
  metrics(): Promise<string> {
    return new Promise((resolve, reject) => {
      this.#scrapes.push((text) => {
        if (text === undefined) reject(new Error("the metrics could not be collected"));
        else resolve(text);
      });
      this.parts.port.post({ type: "metrics" });
    });
  }

  async #answer({ ask, body, maxAnswerBytes }: Extract<ToGateway, { readonly type: "ask" }>): Promise<void> {
    let answer: Answer;
    try {
      answer = await this.wallet.transferOrArray(body, maxAnswerBytes);
    } catch (error) {
      this.failedRequest(error);
      answer = problem("internal_error", "An internal error occurred: see the log of the node.");
    }
    this.parts.port.post({ type: "answer", ask, answer });
  }

  #goOn(): void {
    if (this.#reading.length === 0) return;
    const waiting = this.#reading;
    const { seq } = this.#balances;
    this.#reading = waiting.filter((reading) => reading.seq > seq);
    for (const reading of waiting) if (reading.seq <= seq) reading.go();
  }

  async #do(type: Extract<ToGateway, { readonly call: number }>["type"]): Promise<void> {
    switch (type) {
      case "sync":
        return;
      case "drain":
        await this.#sender.drained();
        return;
      case "stop_accepting":
        await this.parts.stopAccepting();
        return;
      case "cut":
        await this.parts.cut();
        return;
      case "close":
        this.#sender.close();
        return;
      default:
        unreachable(type);
    }
  }
}
