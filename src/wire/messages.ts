/** What stands in a message of the queue: a gateway's frame, an outside client's JSON, or neither. */

import type { Command } from "../domain/commands/commands.ts";
import type { Currency } from "../domain/names.ts";
import { looksLikeFrame } from "./frame.ts";
import { type FastTransfer, type Frame, type KnownBalances, readFrame } from "./frame-reader.ts";
import { parseTransferOrArray } from "./requests.ts";
import { InvalidInput } from "./strict-json.ts";

export type Message<C = Command> =
  | ({ readonly from: "gateway" } & Frame<C>)
  | { readonly from: "outside"; readonly commands: readonly Command[] }
  | { readonly from: "nobody"; readonly why: string };

/**
 * Reads a message; `currency` is the ledger's default, undefined before it is opened (JSON is refused
 * then). Throws UnknownCommand where a gateway of another version wrote it.
 */
export function readMessage(data: Uint8Array, currency: Currency | undefined): Message;
/** As above; a frame's transfers between balances that are `known` are left where they are. */
export function readMessage(
  data: Uint8Array,
  currency: Currency | undefined,
  known: KnownBalances,
): Message<Command | FastTransfer>;
export function readMessage(
  data: Uint8Array,
  currency: Currency | undefined,
  known?: KnownBalances,
): Message<Command | FastTransfer> {
  if (looksLikeFrame(data)) {
    const frame = known ? readFrame(data, currency, known) : readFrame(data, currency);
    return frame ? { from: "gateway", ...frame } : { from: "nobody", why: "a damaged frame" };
  }
  if (!currency) return { from: "nobody", why: "the ledger is not open" };
  try {
    const request = parseTransferOrArray(data, { currency, newId: undefined });
    return { from: "outside", commands: "transfers" in request ? request.transfers : [request] };
  } catch (error) {
    if (error instanceof InvalidInput)
      return { from: "nobody", why: `${error.path} ${error.message}`.trim() };
    throw error;
  }
}
