/**
 * What joins the engine with a gateway that may run on another thread: messages in order, each way.
 *
 * All of it can be cloned; buffers that are handed over are no longer the sender's.
 */

import type { Money } from "../domain/amount.ts";
import type { LedgerOpened, WalletEvent } from "../domain/events.ts";
import type { AccountId, Currency } from "../domain/names.ts";
import type { Outcome } from "../domain/outcomes.ts";
import type { Answer } from "./answer.ts";
import type { QueueState } from "./command-queue.ts";
import type { KeysInForce } from "./keys.ts";
import type { Seal } from "./seals.ts";

/** One end of the link. */
export interface Port<Out, In> {
  /** `handedOver` are buffers in the message that the sender gives away. */
  post(message: Out, handedOver?: ArrayBuffer[]): void;
  onMessage(receive: (message: In) => void): void;
}

/** The balances of one currency, as columns. */
export interface CurrencyColumns {
  readonly currency: Currency;
  /** With a line end behind each. */
  readonly accounts: string;
  readonly available: Float64Array<ArrayBuffer>;
  readonly frozen: Float64Array<ArrayBuffer>;
  /** Those that a double does not hold exactly, by their place. */
  readonly large: readonly { readonly place: number; readonly available: Money; readonly frozen: Money }[];
}

/** The read model as it stands at a seq. */
export interface LedgerColumns {
  readonly opened: LedgerOpened | undefined;
  readonly seq: number;
  readonly transactions: number;
  readonly balances: readonly CurrencyColumns[];
}

export interface TransferColumns {
  /** Balances that the other end does not know yet, and their numbers. */
  readonly named: readonly {
    readonly number: number;
    readonly account: AccountId;
    readonly currency: Currency;
  }[];
  readonly payers: Int32Array<ArrayBuffer>;
  readonly receivers: Int32Array<ArrayBuffer>;
  readonly amounts: Float64Array<ArrayBuffer>;
}

export interface OutcomeColumns {
  readonly number: number;
  readonly count: number;
  /** Of each command its seq and the two balances, where it was committed for the first time. */
  readonly committed: Float64Array<ArrayBuffer>;
  /** All others, by their place. */
  readonly others: readonly { readonly place: number; readonly outcome: Outcome }[];
}

/** The sender has taken so many bytes more of what it was told in bulk. */
export interface Taken {
  readonly type: "taken";
  readonly bytes: number;
}

/** What a gateway knows of its node beside commands. Of each the newest counts; what is left out is as it was. */
export interface NodeFacts {
  readonly queue?: { readonly state: QueueState; readonly maxFrameBytes: number };
  /** Who may call. */
  readonly keys?: KeysInForce;
  /** Of the log. */
  readonly newestSeal?: Seal;
}

/** Frames go by the numbers that the gateway gave them: the engine knows whose end of a link it is. */
export type ToGateway =
  /** The log is recovered: what it came to. */
  | { readonly type: "recovered"; readonly ledger: LedgerColumns }
  | { readonly type: "facts"; readonly facts: NodeFacts }
  /** A batch is on disk. */
  | {
      readonly type: "committed";
      readonly changes: readonly (TransferColumns | readonly WalletEvent[])[];
      readonly outcomes: readonly OutcomeColumns[];
      /** What it counts for in "taken". */
      readonly weight: number;
    }
  | Taken
  | { readonly type: "refused"; readonly number: number; readonly why: string }
  /** A request that came another way than HTTP; answered by "answer". */
  | { readonly type: "ask"; readonly ask: number; readonly body: Uint8Array; readonly maxAnswerBytes: number }
  /** The answer to "metrics"; undefined where they could not be had. */
  | { readonly type: "metrics"; readonly text: string | undefined }
  /** Answered by "done" when everything before it was received, and when nothing waits for an outcome any more. */
  | { readonly type: "sync" | "drain" | "stop_accepting" | "cut" | "close"; readonly call: number };

export type ToEngine =
  | { readonly type: "publish"; readonly number: number; readonly bytes: Uint8Array<ArrayBuffer> }
  | Taken
  | { readonly type: "abandon"; readonly number: number }
  | { readonly type: "answer"; readonly ask: number; readonly answer: Answer }
  | { readonly type: "done"; readonly call: number }
  /** Answered by "metrics", in order. */
  | { readonly type: "metrics" }
  | { readonly type: "failed_request"; readonly error: string };
