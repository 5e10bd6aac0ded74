/** The fast reader for followers that need events: turns transfers read as bytes into what line.ts makes of their lines. */

import type { Money } from "../domain/amount.ts";
import { type AccountId, type Currency, parseAccount, type TransactionId, WORLD } from "../domain/names.ts";
import type { LoggedCommand } from "../ports/log-feed.ts";
import type { LogPosition } from "../ports/log-position.ts";
import type { LoggedTransfers } from "../ports/logged-transfers.ts";
import { LOG_BEGIN, type LogStart, type LogVisitor } from "./reader.ts";

const UUID_LENGTH = 36;

/** Gives `visit` every command of a log that is read from `start` on, whichever way it was read. */
export function everyCommand(
  visit: (command: LoggedCommand) => void,
  start: LogStart = LOG_BEGIN,
): LogVisitor {
  let { currency } = start;
  let { ledgerId } = start.position;
  return {
    command: (command) => {
      const [opened] = command.events;
      if (opened?.type === "LedgerOpened") ({ currency, ledger_id: ledgerId } = opened);
      visit(command);
    },
    transfers: (logged) => (currency ? visitTransfers(visit, logged, currency, ledgerId) : 0),
  };
}

/** Visits transfers up to one with an invalid account name, which is left to line.ts. Returns how many were visited. */
function visitTransfers(
  visit: (command: LoggedCommand) => void,
  logged: LoggedTransfers,
  currency: Currency,
  ledgerId: LogPosition["ledgerId"],
): number {
  const { bytes, idAt, payerAt, payerEnd, receiverAt, receiverEnd, amounts } = logged;
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let number = 0; number < logged.count; number++) {
    const payer = accountAt(text, payerAt[number] as number, payerEnd[number] as number);
    const receiver = accountAt(text, receiverAt[number] as number, receiverEnd[number] as number);
    if (!payer || !receiver) return number;
    const id = idAt[number] as number;
    const transaction_id = text.toString("latin1", id, id + UUID_LENGTH) as TransactionId;
    const amount = amounts[number] as Money & number;
    visit({
      events: [
        { type: "MoneyDeducted", transaction_id, account: payer, amount, currency },
        { type: "MoneyCredited", transaction_id, account: receiver, amount, currency },
      ],
      end: {
        seq: logged.seq + 2 * (number + 1),
        bytes: logged.ends[number] as number,
        sequence: logged.sequences[number] as number,
        index: logged.indexes[number] as number,
        crc: logged.crcs[number] as number,
        at: logged.ats[number] as number,
        ledgerId,
      },
    });
  }
  return logged.count;
}

function accountAt(text: Buffer, from: number, to: number): AccountId | undefined {
  const name = text.toString("latin1", from, to);
  return name === WORLD ? WORLD : parseAccount(name);
}
