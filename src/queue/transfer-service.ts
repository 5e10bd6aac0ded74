/**
 * The NATS service `coffer.transfer`: a transfer or an array of them as JSON, by request and reply. The
 * reply is what HTTP would answer; its status is in the header `Coffer-Status`.
 */

import { headers, type Msg, type NatsConnection } from "@nats-io/transport-node";
import type { Answer } from "../ports/answer.ts";
import { listen, mayAnswer } from "./inbound.ts";

export const TRANSFER_SUBJECT = "coffer.transfer";
/** Several gateways on one NATS share the requests. */
const QUEUE_GROUP = "coffer";
/** What an answer's headers may take of the server's limit. */
const HEADER_ALLOWANCE_BYTES = 1_024;

/**
 * Serves on one connection. A request without a reply subject, or with one that must not be answered, is served
 * as well: its outcome is in the log. `failed` hears of bugs.
 */
export function serveTransfers(
  connection: NatsConnection,
  answer: (request: Uint8Array, maxAnswerBytes: number) => Promise<Answer>,
  failed: (error: unknown) => void,
): void {
  const serve = async (message: Msg): Promise<void> => {
    const given = await answer(message.data, maxBytesOf(connection));
    if (mayAnswer(message.reply) && !connection.isClosed()) respond(message, given);
  };
  listen(connection, TRANSFER_SUBJECT, (message) => void serve(message).catch(failed), failed, {
    queue: QUEUE_GROUP,
  });
}

/** What an answer may take. That of a request with ids is never longer than the request. */
function maxBytesOf(connection: NatsConnection): number {
  return (connection.info?.max_payload ?? 0) - HEADER_ALLOWANCE_BYTES;
}

function respond(message: Msg, { status, body, replayed }: Answer): void {
  const carrying = headers();
  carrying.set("Coffer-Status", String(status));
  carrying.set("Content-Type", status < 400 ? "application/json" : "application/problem+json");
  if (replayed) carrying.set("Idempotent-Replayed", "true");
  message.respond(body, { headers: carrying });
}
