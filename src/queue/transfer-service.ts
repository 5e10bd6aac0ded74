/**
 * The NATS service `coffer.transfer`: a transfer or an array of them as JSON, by request and reply. The
 * reply is what HTTP would answer; its status is in the header `Coffer-Status`.
 */

import { headers, type NatsConnection } from "@nats-io/transport-node";

export const TRANSFER_SUBJECT = "coffer.transfer";
/** Several gateways on one NATS share the requests. */
const QUEUE_GROUP = "coffer";

export interface ServiceAnswer {
  readonly status: number;
  readonly body: string;
  readonly replayed: boolean;
}

/** Serves on one connection. A request without a reply subject is served as well: its outcome is in the log. `failed` hears of bugs. */
export function serveTransfers(
  connection: NatsConnection,
  answer: (request: Uint8Array) => Promise<ServiceAnswer>,
  failed: (error: unknown) => void,
): void {
  connection.subscribe(TRANSFER_SUBJECT, {
    queue: QUEUE_GROUP,
    callback: (error, message) => {
      if (error) return;
      answer(message.data).then(({ status, body, replayed }) => {
        if (!message.reply || connection.isClosed()) return;
        const carrying = headers();
        carrying.set("Coffer-Status", String(status));
        carrying.set("Content-Type", status < 400 ? "application/json" : "application/problem+json");
        if (replayed) carrying.set("Idempotent-Replayed", "true");
        message.respond(body, { headers: carrying });
      }, failed);
    },
  });
}
