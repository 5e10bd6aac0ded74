/** Balance changes for tests, and what they come to, one at a time: shares no code with the writer. */

import type { BalanceChange } from "../../src/postgres/balance-changes.ts";

export const FIRST_AT = Date.UTC(2026, 10, 30, 23, 59, 59);

export interface ChangeOptions {
  readonly frozen?: bigint | number;
  readonly currency?: string;
  readonly id?: string;
  readonly atMs?: number;
}

let offsets = 0;

/** A change at the next offset, under an id of its own unless one is given. */
export function change(
  account: string,
  available: bigint | number,
  { frozen = 0, currency = "USD", id, atMs = FIRST_AT }: ChangeOptions = {},
): BalanceChange {
  const offset = ++offsets;
  return {
    offset,
    eventId: id ?? `event-${offset}`,
    account,
    currency,
    availableDelta: BigInt(available),
    frozenDelta: BigInt(frozen),
    atMs,
  };
}

const MAX = 2n ** 63n - 1n;

export interface ModelBalance {
  readonly available: bigint;
  readonly frozen: bigint;
  readonly updated_msec: bigint;
}

export interface ModelLog {
  readonly change_offset: bigint;
  readonly event_id: string;
  readonly status: "APPLIED" | "REJECTED";
  readonly reject_reason: string | null;
}

/** Judges one change after the other, as section "changes" of the documentation tells. */
export class SequentialModel {
  readonly balances = new Map<string, ModelBalance>();
  readonly logs: ModelLog[] = [];
  readonly #contents = new Map<string, string>();

  /** `isOurs` tells whether an account is of the model's partition. */
  constructor(private readonly isOurs: (account: string) => boolean = () => true) {}

  take(change: BalanceChange): void {
    const { offset, eventId, account, currency, availableDelta, frozenDelta } = change;
    const log = (reason: string | null) =>
      this.logs.push({
        change_offset: BigInt(offset),
        event_id: eventId,
        status: reason === null ? "APPLIED" : "REJECTED",
        reject_reason: reason,
      });
    if (!this.isOurs(account)) {
      log("WRONG_PARTITION");
      return;
    }
    const content = [account, currency, availableDelta, frozenDelta].join();
    const known = this.#contents.get(eventId);
    if (known !== undefined) {
      if (known !== content) log("EVENT_ID_CONFLICT");
      return;
    }
    this.#contents.set(eventId, content);
    log(this.#apply(change));
  }

  #apply({ account, currency, availableDelta, frozenDelta, atMs }: BalanceChange): string | null {
    const key = `${account},${currency}`;
    const before = this.balances.get(key) ?? { available: 0n, frozen: 0n };
    const available = before.available + availableDelta;
    const frozen = before.frozen + frozenDelta;
    const lowest = account === "@world" ? -MAX : 0n;
    if (account !== "@world") {
      if (available < 0n) return "INSUFFICIENT_BALANCE";
      if (frozen < 0n) return "INSUFFICIENT_FROZEN";
    }
    if (available > MAX || frozen > MAX || available < lowest || frozen < lowest) return "OVERFLOW";
    this.balances.set(key, { available, frozen, updated_msec: BigInt(atMs) });
    return null;
  }
}
