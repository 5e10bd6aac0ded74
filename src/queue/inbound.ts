/**
 * Incoming messages. nats-server checks nothing that a client puts into a message: headers, status line, reply
 * subject, size, subject. The client library throws when it decodes a header name that it does not accept, and it
 * calls subscribers from inside its parser, which is out of step for the rest of the connection after one of them
 * throws. Hence two rules:
 *
 * - Nothing is thrown into the library: every subscription is made with listen().
 * - Headers decide nothing about a message that a client may have written. Stored messages are recognized by
 *   their reply subject, which nats-server writes (nats-session.ts). Only the server's own messages have their
 *   status read, with headersOf().
 */

import type { Msg, MsgHdrs, NatsConnection } from "@nats-io/transport-node";

/** Coffer's own subjects and the server's: `$JS.API…` would take an answer as a request from this node. */
const RESERVED = /^(\$|coffer\.)/;
/** Not valid in a subject to publish on: wildcards, empty tokens, blanks and control characters. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: matching them is the purpose
const UNFIT = /(^|\.)([*>]?)(\.|$)|[\s\u0000-\u001f\u007f\ufffd]/;

/** Subscribes. `failed` is called when the subscription ends, and with what `heard` throws; it must not throw. */
export function listen(
  connection: NatsConnection,
  subject: string,
  heard: (message: Msg) => void,
  failed: (error: Error) => void,
  options: { readonly queue?: string } = {},
): void {
  connection.subscribe(subject, {
    ...options,
    callback: (error, message) => {
      try {
        if (error) failed(error);
        else heard(message);
      } catch (thrown) {
        failed(thrown instanceof Error ? thrown : new Error(String(thrown)));
      }
    },
  });
}

/** The headers of one of the server's own messages; undefined if it has none that can be decoded. */
export function headersOf(message: Msg): MsgHdrs | undefined {
  return readHeaders(() => message.headers);
}

/** Headers as `read` decodes them; undefined if it throws. */
export function readHeaders(read: () => MsgHdrs | undefined): MsgHdrs | undefined {
  try {
    return read();
  } catch {
    return undefined; // no server writes headers that cannot be decoded
  }
}

/** Whether an answer may be sent to `reply`, which the client chose. */
export function mayAnswer(reply: string | undefined): reply is string {
  return reply !== undefined && reply !== "" && !RESERVED.test(reply) && !UNFIT.test(reply);
}
