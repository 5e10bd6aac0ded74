/**
 * The NATS service `coffer.transfer`: a transfer or an array of them as JSON, by request and reply. The
 * reply is what HTTP would answer; its status is in the header `Coffer-Status`.
 */

import { headers, type Msg, type NatsConnection } from "@nats-io/transport-node";

export const TRANSFER_SUBJECT = "coffer.transfer";
/** Several gateways on one NATS share the requests. */
const QUEUE_GROUP = "coffer";
/** What an answer's headers may take of the server's limit. */
const HEADER_ALLOWANCE_BYTES = 1_024;

export interface ServiceAnswer {
  readonly status: number;
  readonly body: string;
  readonly replayed: boolean;
}

/**
 * The transfers were decided, but the server carries no message as large as what became of them. With ids of
 * its own the caller can ask again, for fewer at once.
 */
const ANSWER_TOO_LARGE: ServiceAnswer = {
  status: 504,
  body: JSON.stringify({
    type: "urn:coffer:problem:outcome_unknown",
    title: "The outcome is not known yet",
    status: 504,
    detail: "The answer is larger than a message may be. Send fewer at once, with the same ids.",
    code: "outcome_unknown",
  }),
  replayed: false,
};

/** Serves on one connection. A request without a reply subject is served as well: its outcome is in the log. `failed` hears of bugs. */
export function serveTransfers(
  connection: NatsConnection,
  answer: (request: Uint8Array, maxAnswerBytes: number) => Promise<ServiceAnswer>,
  failed: (error: unknown) => void,
): void {
  const serve = async (message: Msg): Promise<void> => {
    const given = await answer(message.data, maxBytesOf(connection));
    if (message.reply && !connection.isClosed()) respond(connection, message, given);
  };
  connection.subscribe(TRANSFER_SUBJECT, {
    queue: QUEUE_GROUP,
    callback: (error, message) => {
      if (error) failed(error);
      else serve(message).catch(failed);
    },
  });
}

/** What an answer may take. */
function maxBytesOf(connection: NatsConnection): number {
  return (connection.info?.max_payload ?? 0) - HEADER_ALLOWANCE_BYTES;
}

function respond(connection: NatsConnection, message: Msg, given: ServiceAnswer): void {
  const tooLarge = Buffer.byteLength(given.body) > maxBytesOf(connection);
  const { status, body, replayed } = tooLarge ? ANSWER_TOO_LARGE : given;
  const carrying = headers();
  carrying.set("Coffer-Status", String(status));
  carrying.set("Content-Type", status < 400 ? "application/json" : "application/problem+json");
  if (replayed) carrying.set("Idempotent-Replayed", "true");
  message.respond(body, { headers: carrying });
}
