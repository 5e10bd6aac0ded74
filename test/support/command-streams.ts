/** Streams of commands as the queue holds them: frames of gateways, JSON of others, and what is neither. */

import type { Command, Transfer } from "../../src/domain/commands/commands.ts";
import type { QueueMessage } from "../../src/ports/command-queue.ts";
import { buildFrame, CommandWriter } from "../../src/wire/frame.ts";
import { id, openLedger, transfer } from "./ledger-specs.ts";
import { FIRST_AT, someCommands } from "./log-files.ts";

/** A frame of the gateway with this origin (one byte, 16 times). */
export function frame(commands: readonly Command[], number = 1, origin = 7): Uint8Array {
  const writer = new CommandWriter();
  for (const command of commands) writer.add(command);
  return buildFrame(new Uint8Array(16).fill(origin), number, [writer.take()]);
}

/** What a client of NATS would send for this transfer. */
export function foreign({ transaction_id, from_account, to_account, amount, currency }: Transfer) {
  return { transaction_id, from_account, to_account, amount: String(amount), currency };
}

export function json(value: unknown): Uint8Array {
  return new TextEncoder().encode(typeof value === "string" ? value : JSON.stringify(value));
}

type Draw = (below: number) => number;

/** Messages that are no commands; none of them may change or stop anything. */
const MALFORMED: readonly ((draw: Draw, number: number) => Uint8Array)[] = [
  () => new Uint8Array(),
  (draw) => Uint8Array.from({ length: draw(200) }, () => draw(206)),
  () => json("{"),
  () => json([]),
  () => json("null"),
  () => json({ hello: "world" }),
  (_, number) => json({ ...foreign(transfer("a", "b", 1, { id: id(number) })), amount: 1.5 }),
  (_, number) => json({ ...foreign(transfer("a", "b", 1, { id: id(number) })), from_account: "@world" }),
  (_, number) => json({ ...foreign(transfer("a", "b", 1, { id: id(number) })), to_account: "a" }),
  (_, number) => json({ ...foreign(transfer("a", "b", 1, { id: id(number) })), note: "unknown" }),
  () => json({ from_account: "a", to_account: "b", amount: 1 }),
  (_, number) =>
    json([
      foreign(transfer("account-1", "b", 1, { id: id(number) })),
      { ...foreign(transfer("a", "b", 1)), amount: 0 },
    ]),
  (draw, number) => {
    const bytes = frame([transfer("account-1", "account-2", 1, { id: id(number) })]);
    const at = 4 + draw(bytes.length - 4);
    bytes[at] = (bytes[at] as number) ^ (1 << draw(8));
    return bytes;
  },
  (draw, number) => {
    const bytes = frame([transfer("account-1", "account-2", 1, { id: id(number) })]);
    return bytes.subarray(0, 2 + draw(bytes.length - 2));
  },
  (_, number) =>
    Buffer.concat([frame([transfer("account-1", "account-2", 1, { id: id(number) })]), Buffer.alloc(1)]),
];

/**
 * A stream of `count` messages: some before the ledger is opened, many with repeats, some later openings, times
 * that stand still or run backwards, as a server's clock may.
 */
export function recordStream(count: number, draw: Draw): QueueMessage[] {
  const commands = someCommands(count * 4, draw).slice(1);
  const take = (most: number) => commands.splice(0, 1 + draw(most));
  const opening = 2 + draw(3);
  let at = FIRST_AT;
  return Array.from({ length: count }, (_, number) => {
    at += draw(6) === 0 ? -draw(40) : draw(30);
    return { sequence: number + 1, at, data: dataOf(number) };
  });

  function dataOf(number: number): Uint8Array {
    if (number === opening) return frame([openLedger()], number);
    const kind = draw(10);
    if (kind === 0 && number > opening) return frame([openLedger({ strict: true, currency: "XAU" })], number);
    if (kind < 3) return MALFORMED[draw(MALFORMED.length)]?.(draw, 1 + draw(count * 4)) ?? json("");
    if (kind < 6) {
      const transfers = take(3).filter((command): command is Transfer => command.kind === "transfer");
      return json(transfers.length === 1 ? foreign(transfers[0] as Transfer) : transfers.map(foreign));
    }
    return frame(take(7), number, 1 + draw(3));
  }
}
