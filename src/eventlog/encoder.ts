/**
 * Turns events into the lines of events.log, format 1.
 *
 * One JSON object a line, compact, ASCII. The last line of a command ends with `at`, `command` and `crc`,
 * the CRC-32 of the command's bytes up to `,"crc":`, started from the crc of the command before.
 */

import { crc32 } from "node:zlib";
import type { WalletEvent } from "../domain/events.ts";
import type { Currency } from "../domain/names.ts";
import { commandText, crcText, type LogPosition } from "../ports/log-position.ts";

const FIRST_BUFFER_BYTES = 1 << 20;

/** The lines of one batch, and where the log ends with them. */
export interface EncodedBatch {
  /** Valid until the encoder's next append(). */
  readonly lines: Uint8Array;
  readonly start: LogPosition;
  readonly end: LogPosition;
}

export class LogEncoder {
  #buffer = Buffer.allocUnsafe(FIRST_BUFFER_BYTES);
  #length = 0;
  #start: LogPosition;
  #end: LogPosition;
  #currency: Currency | undefined;

  /** `currency` is the ledger's default; undefined for a log that is not open yet. */
  constructor(position: LogPosition, currency: Currency | undefined) {
    this.#start = position;
    this.#end = position;
    this.#currency = currency;
  }

  get position(): LogPosition {
    return this.#end;
  }

  /** Adds the lines of one command; `events` is not empty. `at` in ms since 1970, never before the last one's. */
  append(events: readonly WalletEvent[], at: number, sequence: number, index: number): void {
    let { seq, ledgerId, crc } = this.#end;
    let text = "";
    for (const event of events) {
      if (event.type === "LedgerOpened") {
        this.#currency = event.currency;
        ledgerId = event.ledger_id;
      }
      if (text !== "") text += "}\n";
      text += `{"seq":${++seq},"type":"${event.type}"${this.#fields(event)}`;
    }
    text += `,"at":${at},"command":"${commandText({ sequence, index })}"`;
    const start = this.#length;
    const body = this.#write(text, 32);
    crc = crc32(this.#buffer.subarray(start, body), crc);
    this.#length = body;
    this.#length = this.#write(`,"crc":"${crcText(crc)}"}\n`, 0);
    const bytes = this.#end.bytes + this.#length - start;
    this.#end = { seq, bytes, sequence, index, crc, at, ledgerId };
  }

  /** Everything since the last call; undefined where nothing was appended. */
  take(): EncodedBatch | undefined {
    if (this.#length === 0) return undefined;
    const batch = { lines: this.#buffer.subarray(0, this.#length), start: this.#start, end: this.#end };
    this.#length = 0;
    this.#start = this.#end;
    return batch;
  }

  #fields(event: WalletEvent): string {
    switch (event.type) {
      case "MoneyDeducted":
      case "MoneyCredited":
        return `,"transaction_id":"${event.transaction_id}","account":"${event.account}","amount":${event.amount}${this.#other(event.currency)}`;
      case "AccountOpened":
        return `,"transaction_id":"${event.transaction_id}","account":"${event.account}"${this.#other(event.currency)},"initial_balance":${event.initial_balance}`;
      case "TransactionFailed":
        return `,"transaction_id":"${event.transaction_id}","from_account":"${event.from_account}","reason":"${event.reason}","kind":"${event.kind}","to_account":"${event.to_account}","amount":${event.amount}${this.#other(event.currency)}`;
      case "LedgerOpened":
        return `,"format":${event.format},"ledger_id":"${event.ledger_id}","currency":"${event.currency}","strict":${event.strict}`;
    }
  }

  /** The currency where it is not the default one. */
  #other(currency: Currency): string {
    return currency === this.#currency ? "" : `,"currency":"${currency}"`;
  }

  /** Writes ASCII text at the end of the buffer, with room for `spare` bytes more; returns the new end. */
  #write(text: string, spare: number): number {
    const end = this.#length + text.length;
    if (end + spare > this.#buffer.length) {
      const larger = Buffer.allocUnsafe(Math.max(this.#buffer.length * 2, end + spare));
      this.#buffer.copy(larger, 0, 0, this.#length);
      this.#buffer = larger;
    }
    this.#buffer.write(text, this.#length, "latin1");
    return end;
  }
}
